#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_code_comes_back_with_the_sentence(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(err_set(&err, -EINVAL, "Line %d is no %s.", 3, "good"), -EINVAL);
    assert_string_equal(err.text, "Line 3 is no good.");
}

static void nobody_needs_to_read_it(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -EIO, "Lost %d.", 1), -EIO);
}

static void a_long_sentence_is_cut(void **state)
{
    struct err err;

    (void)state;
    memset(&err, 'x', sizeof(err));
    assert_int_equal(err_set(&err, -E2BIG, "%0*d", (int)sizeof(err.text) * 2, 1), -E2BIG);
    assert_int_equal(strnlen(err.text, sizeof(err.text)), sizeof(err.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_code_comes_back_with_the_sentence),
        cmocka_unit_test(nobody_needs_to_read_it),
        cmocka_unit_test(a_long_sentence_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
