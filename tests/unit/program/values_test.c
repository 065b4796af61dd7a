#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "program/values.h"

static void test_what_is_put_is_read(void **state)
{
    struct values v;
    struct buf b;

    (void)state;
    buf_init(&b, VALUES_BYTES_MAX);
    values_put(&b, "width", "640", 3);
    values_put(&b, "file-name", "a b", 3);
    assert_int_equal(buf_failed(&b), 0);
    assert_int_equal(values_read(b.data, b.size, &v), 0);
    assert_int_equal(v.count, 2);
    assert_string_equal(values_find(&v, "width"), "640");
    assert_string_equal(values_find(&v, "file-name"), "a b");
    assert_null(values_find(&v, "height"));
    for (size_t n = 1; n < b.size; n++) {
        /* Cut between the two, it is one pair less; cut elsewhere, it is none. */
        int rc = values_read(b.data, n, &v);
        assert_true(rc == -EPROTO || (rc == 0 && v.count == 1));
    }
    buf_release(&b);
}

static void test_names_are_judged(void **state)
{
    struct values v;
    struct buf b;

    (void)state;
    buf_init(&b, VALUES_BYTES_MAX);
    values_put(&b, "LD_PRELOAD=x", "y", 1);
    assert_int_equal(values_read(b.data, b.size, &v), -EPROTO);
    buf_release(&b);
}

static void test_too_many(void **state)
{
    struct values v;
    struct buf b;

    (void)state;
    buf_init(&b, VALUES_BYTES_MAX);
    for (int i = 0; i <= VALUES_MAX; i++)
        values_put(&b, "x", "y", 1);
    assert_int_equal(values_read(b.data, b.size, &v), -EPROTO);
    buf_release(&b);
}

static void test_variables(void **state)
{
    struct values_pair pair = {.name = "file-name_2", .text = "a=b"};
    char *variable = values_variable(&pair);

    (void)state;
    assert_string_equal(variable, "PRONG_PARAM_FILE_NAME_2=a=b");
    free(variable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_is_read),
        cmocka_unit_test(test_names_are_judged),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
