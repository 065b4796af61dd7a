#include "http/static_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static void types_follow_endings(void **state)
{
    (void)state;
    assert_string_equal(static_type("a/index.html")->media_type, "text/html; charset=utf-8");
    assert_string_equal(static_type("APP.JS")->media_type, "text/javascript; charset=utf-8");
    assert_string_equal(static_type("x.tar.gz")->media_type, "application/gzip");
    assert_string_equal(static_type("noending")->media_type, "application/octet-stream");
    assert_string_equal(static_type("x.unknown")->media_type, "application/octet-stream");
    assert_string_equal(static_type("a.html/x")->media_type, "application/octet-stream");
}

static void what_the_web_serves_is_known(void **state)
{
    static const char *const names[] = {
        "x.css",  "x.mjs",   "x.json", "x.map",  "x.txt",  "x.md",         "x.csv",  "x.xml",
        "x.svg",  "x.png",   "x.jpg",  "x.jpeg", "x.gif",  "x.webp",       "x.avif", "x.ico",
        "x.woff", "x.woff2", "x.ttf",  "x.otf",  "x.wasm", "x.pdf",        "x.mp4",  "x.webm",
        "x.mp3",  "x.ogg",   "x.wav",  "x.zip",  "x.gz",   "x.webmanifest"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_string_not_equal(static_type(names[i])->media_type, "application/octet-stream");
}

static void texts_have_a_charset(void **state)
{
    static const char *const names[] = {"x.html", "x.css", "x.js", "x.txt",
                                        "x.md",   "x.csv", "x.vtt"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_non_null(strstr(static_type(names[i])->media_type, "; charset=utf-8"));
}

static void what_can_run_scripts_is_told_apart(void **state)
{
    (void)state;
    assert_int_equal(static_type("x.html")->policy, STATIC_PAGE);
    assert_int_equal(static_type("x.xhtml")->policy, STATIC_PAGE);
    assert_int_equal(static_type("x.js")->policy, STATIC_SCRIPT);
    assert_int_equal(static_type("x.svg")->policy, STATIC_DOCUMENT);
    assert_int_equal(static_type("x.xml")->policy, STATIC_DOCUMENT);
    assert_int_equal(static_type("x.pdf")->policy, STATIC_DOCUMENT);
    assert_int_equal(static_type("x.png")->policy, STATIC_INERT);
    assert_int_equal(static_type("x")->policy, STATIC_INERT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_follow_endings),
        cmocka_unit_test(what_the_web_serves_is_known),
        cmocka_unit_test(texts_have_a_charset),
        cmocka_unit_test(what_can_run_scripts_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
