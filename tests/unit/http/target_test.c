#include "http/target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static char out[64];

static ssize_t decode(const char *text)
{
    return target_decode(text, strlen(text), out, sizeof(out));
}

static void the_path_ends_at_the_query(void **state)
{
    size_t bytes;

    (void)state;
    assert_string_equal(target_path("/a/b?c=d?e", &bytes), "/a/b?c=d?e");
    assert_int_equal(bytes, 4);
    (void)target_path("?x", &bytes);
    assert_int_equal(bytes, 0);
}

static void absolute_form_loses_its_authority(void **state)
{
    size_t bytes;

    (void)state;
    assert_string_equal(target_path("http://host:1/a?b", &bytes), "/a?b");
    assert_int_equal(bytes, 2);
    (void)target_path("HTTP://host", &bytes);
    assert_int_equal(bytes, 1);
    assert_memory_equal(target_path("http://host?x", &bytes), "/", 1);
    assert_int_equal(bytes, 1);
}

static void absolute_form_has_an_authority(void **state)
{
    size_t bytes = 0;

    (void)state;
    assert_string_equal(target_authority("http://host:1/a?b", &bytes), "host:1/a?b");
    assert_int_equal(bytes, 6);
    (void)target_authority("HTTPS://a@b?/c", &bytes);
    assert_int_equal(bytes, 3);
    (void)target_authority("http://", &bytes);
    assert_int_equal(bytes, 0);
    assert_null(target_authority("/http://host", &bytes));
    assert_null(target_authority("ftp://host", &bytes));
    assert_null(target_authority("*", &bytes));
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    assert_int_equal(decode("/a%2Fb%c3%A9%7e"), 7);
    assert_string_equal(out, "/a/b\xc3\xa9~");
    assert_int_equal(decode("%01"), 1);
    assert_int_equal(decode(""), 0);
}

static void what_is_no_escape_is_refused(void **state)
{
    static const char *const bad[] = {"%",   "%4",   "%zz",  "%4g", "%00",
                                      "a b", "a\tb", "\x7f", "%%20"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(decode(bad[i]), -EINVAL);
    /* The escape must not reach behind the bytes given. */
    assert_int_equal(target_decode("%41", 2, out, sizeof(out)), -EINVAL);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    assert_int_equal(target_decode("abc", 3, out, 3), -ENOBUFS);
    assert_int_equal(target_decode("abc", 3, out, 4), 3);
    assert_int_equal(target_decode("", 0, out, 0), -ENOBUFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_ends_at_the_query),
        cmocka_unit_test(absolute_form_loses_its_authority),
        cmocka_unit_test(absolute_form_has_an_authority),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(what_is_no_escape_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
