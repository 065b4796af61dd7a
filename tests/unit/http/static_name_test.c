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

static void a_hash_in_a_name_is_known(void **state)
{
    static const char *const hashed[] = {
        "app.0f3a9c1e.js",
        "app-0f3a9c1e.js",
        "a/b/app_0f3a9c1e.css",
        "0f3a9c1e.js",
        "app.0f3a9c1e.min.js",
        "app.0f3a9c1e.js.map",
        "x.0123456789abcdef.woff2",
        "0f3a9c1e0f3a9c1e0f3a.png",
        "f.d41d8cd98f00b204e9800998ecf8427e.png",
        "f-da39a3ee5e6b4b0d3255bfef95601890afd80709.png",
        "f.e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.png"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hashed); i++) {
        if (!static_name_has_hash(hashed[i]))
            fail_msg("%s has one", hashed[i]);
    }
}

static void what_is_no_hash_is_not_taken_for_one(void **state)
{
    static const char *const plain[] = {
        "",
        "app.js",
        "uplot-1.6.31.min.js",
        "report-20240131.csv",                       /* a date */
        "deadbeef.txt",                              /* a word */
        "x-3f2504e0-4f89-41d3-9a0c-0305e82c3301.js", /* a UUID */
        "app.0f3a9c1.js",                            /* seven */
        "app.0f3a9c1e5.js",                          /* nine */
        "app.0F3A9C1E.js",
        "app.0f3a9c1e",      /* an ending, not a hash */
        "app.0f3a9c1g.js",   /* a letter too far */
        "app0f3a9c1e.js",    /* not a part of its own */
        "0f3a9c1e.d/app.js", /* the folder's name */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        if (static_name_has_hash(plain[i]))
            fail_msg("%s has none", plain[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_stands_for_its_index),
        cmocka_unit_test(a_name_is_tried_as_it_is_and_as_a_page),
        cmocka_unit_test(what_might_leave_the_directory_has_no_name),
        cmocka_unit_test(a_name_too_long_is_none),
        cmocka_unit_test(a_hash_in_a_name_is_known),
        cmocka_unit_test(what_is_no_hash_is_not_taken_for_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
