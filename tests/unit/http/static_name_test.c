#include "http/static_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

/* What the server does with files is in static_test.c. */

static char name[STATIC_NAME_BYTES];

static void a_directory_stands_for_its_index(void **state)
{
    (void)state;
    assert_true(static_name("/", "/", 0, name));
    assert_string_equal(name, "index.html");
    assert_false(static_name("/", "/", 1, name));
    assert_true(static_name("/docs/", "/docs/", 0, name));
    assert_string_equal(name, "docs/index.html");
}

static void a_name_is_tried_as_it_is_and_as_a_page(void **state)
{
    (void)state;
    assert_true(static_name("/lab", "/lab", 0, name));
    assert_string_equal(name, "lab");
    assert_true(static_name("/lab", "/lab", 1, name));
    assert_string_equal(name, "lab.html");
    assert_false(static_name("/lab", "/lab", 2, name));
}

static void what_might_leave_the_directory_has_no_name(void **state)
{
    static const char *const paths[] = {"",      "x",       "/..",     "/../x", "/a/../b",
                                        "/./x",  "/.git/x", "/a/.hid", "/a//b", "//x",
                                        "/a\\b", "/a\nb",   "/a\x7f"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        assert_false(static_name(paths[i], paths[i], 0, name));
    assert_false(static_name("/a/b", "/a%2Fb", 0, name));
    assert_false(static_name("/a/b", "/a%2fb", 0, name));
}

static void a_name_too_long_is_none(void **state)
{
    char path[STATIC_NAME_BYTES + 2] = "/";

    (void)state;
    memset(path + 1, 'a', STATIC_NAME_BYTES);
    assert_false(static_name(path, path, 0, name));
}

static void types_follow_endings(void **state)
{
    (void)state;
    assert_string_equal(static_type("a/index.html"), "text/html; charset=utf-8");
    assert_string_equal(static_type("APP.JS"), "text/javascript; charset=utf-8");
    assert_string_equal(static_type("noending"), "application/octet-stream");
    assert_string_equal(static_type("x.unknown"), "application/octet-stream");
}

static void if_none_match_is_a_list(void **state)
{
    (void)state;
    assert_true(static_etag_matches("\"a-1\"", "\"a-1\""));
    assert_true(static_etag_matches("\"x\", W/\"a-1\"", "\"a-1\""));
    assert_true(static_etag_matches("*", "\"a-1\""));
    assert_false(static_etag_matches("\"a-11\"", "\"a-1\""));
    assert_false(static_etag_matches("a-1", "\"a-1\""));
    assert_false(static_etag_matches("", "\"a-1\""));
    assert_false(static_etag_matches(",,W/", "\"a-1\""));
}

static void dates_are_compared_as_dates(void **state)
{
    static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT"; /* of RFC 9110: 784111777 */

    (void)state;
    assert_true(static_is_not_after(784111777, date));
    assert_true(static_is_not_after(784111776, date));
    assert_false(static_is_not_after(784111778, date));
    assert_false(static_is_not_after(0, "yesterday"));
    assert_false(static_is_not_after(0, "Sun, 06 Nov 1994 08:49:37 GMT and more"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_stands_for_its_index),
        cmocka_unit_test(a_name_is_tried_as_it_is_and_as_a_page),
        cmocka_unit_test(what_might_leave_the_directory_has_no_name),
        cmocka_unit_test(a_name_too_long_is_none),
        cmocka_unit_test(types_follow_endings),
        cmocka_unit_test(if_none_match_is_a_list),
        cmocka_unit_test(dates_are_compared_as_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
