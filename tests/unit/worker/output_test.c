#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/output.h"

static void grows_up_to_its_limit_and_not_beyond(void **state)
{
    struct output o;
    char *at;

    (void)state;
    assert_int_equal(output_init(&o, 1000000), 0);
    at = output_reserve(&o, 10);
    memset(at, 'a', 10);
    at = output_reserve(&o, 999990);
    assert_non_null(at);
    memset(at, 'b', 999990);
    at[999990] = '\0'; /* the byte behind the end is there */
    assert_int_equal(o.size, 1000000);
    assert_memory_equal(o.data, "aaaaaaaaaab", 11);
    assert_null(output_reserve(&o, 1));
    assert_true(output_is_full(&o, 1));
    assert_false(output_is_full(&o, 0));
    output_release(&o);
}

static void absurd_sizes_do_not_wrap(void **state)
{
    struct output o;

    (void)state;
    assert_int_equal(output_init(&o, SIZE_MAX - 1), 0);
    assert_non_null(output_reserve(&o, 1));
    assert_null(output_reserve(&o, SIZE_MAX));
    assert_null(output_reserve(&o, SIZE_MAX - 2));
    assert_int_equal(o.size, 1);
    output_release(&o);
}

static void trimming_gives_the_memory_back(void **state)
{
    struct output o;

    (void)state;
    assert_int_equal(output_init(&o, 64 << 20), 0);
    assert_non_null(output_reserve(&o, 32 << 20));
    assert_true(o.capacity >= 32 << 20);
    output_trim(&o);
    assert_int_equal(o.capacity, OUTPUT_KEEP_BYTES);
    assert_int_equal(o.size, 0);
    memset(output_reserve(&o, OUTPUT_KEEP_BYTES), 1, OUTPUT_KEEP_BYTES);
    output_clear(&o);
    assert_int_equal(o.size, 0);
    output_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_limit_and_not_beyond),
        cmocka_unit_test(absurd_sizes_do_not_wrap),
        cmocka_unit_test(trimming_gives_the_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
