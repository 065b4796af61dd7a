#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

#define BASE "http://example.org/dir/page"

static void check_bytes(const char *type, const void *bytes, size_t size, const char *expected)
{
    struct mock m;

    mock_init(&m);
    mock_text(&m, "content_type", type);
    mock_text(&m, "base", BASE);
    mock_input(&m, PRONG_INPUT_RAW, bytes, size);
    mock_check_answer(&m, expected);
    mock_release(&m);
}

static void check(const char *type, const char *bytes, const char *expected)
{
    check_bytes(type, bytes, strlen(bytes), expected);
}

static void check_text(const char *html, const char *text)
{
    char expected[1024];

    (void)snprintf(expected, sizeof(expected),
                   "{\"charset\":\"utf-8\",\"title\":null,\"links\":[],\"links_total\":0,"
                   "\"text\":\"%s\",\"text_cut\":false}",
                   text);
    check("text/html; charset=utf-8", html, expected);
}

static void check_link(const char *href, const char *url)
{
    char html[512], expected[1024];

    (void)snprintf(html, sizeof(html), "<a href=\"%s\">x</a>", href);
    (void)snprintf(expected, sizeof(expected),
                   "{\"charset\":\"utf-8\",\"title\":null,\"links\":[%s%s%s],\"links_total\":%d,"
                   "\"text\":\"x\",\"text_cut\":false}",
                   *url == '\0' ? "" : "\"", url, *url == '\0' ? "" : "\"", *url != '\0');
    check("text/html; charset=utf-8", html, expected);
}

static void finds_title_text_and_links(void **state)
{
    (void)state;
    check(
        "text/html; charset=utf-8",
        "<!doctype html><html><head><meta charset=x><title> A  page\n of&nbsp;mine </title>"
        "<style>p { color: red }</style></head><body><h1>Head</h1><p>One <b>t</b>wo &amp; "
        "three<br>four"
        "<script>var a = '<p>no</p>';</script><!-- not <b>this</b> --><a "
        "href=/x>link</a></body></html>",
        "{\"charset\":\"utf-8\",\"title\":\"A page of mine\",\"links\":[\"http://example.org/x\"],"
        "\"links_total\":1,\"text\":\"Head\\u000aOne two & "
        "three\\u000afour\\u000alink\",\"text_cut\":false}");
}

static void survives_what_is_broken(void **state)
{
    (void)state;
    check_text("a < b > c <3 d", "a < b > c <3 d");
    check_text("<p>one<p>two</div></nothing>three", "one\\u000atwo\\u000athree");
    check_text("text<a href=", "text");
    check_text("text<a href='x", "text");
    check_text("text<", "text<");
    check_text("text</", "text</");
    check_text("text<!--", "text");
    check_text("a<!-->b", "ab");
    check_text("a<script>never ends", "a");
    check_text("a<script>x</scripty></script >b", "a\\u000ab");
    check_text("a<SCRIPT>x</ScRiPt>b", "a\\u000ab");
    check_text("<![CDATA[x]]>y", "y");
    check_text("<?php echo ?>y", "y");
    check_text("<p =a \"'>x</p>", "x");
    check_text("", "");
}

static void decodes_references(void **state)
{
    (void)state;
    check_text("&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#X43;&euro;&hellip;",
               "<>&\\\"'ABC\xe2\x82\xac\xe2\x80\xa6");
    check_text("&#128;&#150;", "\xe2\x82\xac\xe2\x80\x93"); /* windows-1252, as browsers do */
    check_text("&#0;&#xD800;&#1114112;&#99999999999;",
               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    check_text("&nosuch; &amp &; &# &#x; AT&T &", "&nosuch; &amp &; &# &#x; AT&T &");
    check_text("&amp;lt;", "&lt;");
}

static void resolves_links(void **state)
{
    (void)state;
    check_link("other", "http://example.org/dir/other");
    check_link("/root", "http://example.org/root");
    check_link("../up", "http://example.org/up");
    check_link("../../../up", "http://example.org/up");
    check_link("./a/./b/../c", "http://example.org/dir/a/c");
    check_link("..", "http://example.org/");
    check_link(".", "http://example.org/dir/");
    check_link("?q=1&amp;r=2", "http://example.org/dir/page?q=1&r=2");
    check_link("//other.example/x", "http://other.example/x");
    check_link("HTTPS://Other.Example:8443", "https://other.example:8443/");
    check_link("https://other.example/a/../b?c/../d", "https://other.example/b?c/../d");
    check_link("  x y\n z ", "http://example.org/dir/x%20y%20z");
    check_link("\\\\other.example\\x", "http://other.example/x");
    check_link("caf\xc3\xa9", "http://example.org/dir/caf%C3%A9");
    check_link("x#part", "http://example.org/dir/x");
}

static void leaves_out_what_is_no_page(void **state)
{
    (void)state;
    check_link("#part", "");
    check_link("", "");
    check_link("mailto:a@b.example", "");
    check_link("javascript:alert(1)", "");
    check_link("JavaScript:alert(1)", "");
    check_link("java\nscript:alert(1)", "");
    check_link("data:text/html,x", "");
    check_link("ftp://example.org/", "");
    check_link("http:x", "");
    check_link("http://", "");
    check_link("http://user:secret@example.org/", "");
}

static void obeys_the_base_element(void **state)
{
    (void)state;
    check("text/html", "<base href=//cdn.example/a/><a href=b>x</a><a href=b>y</a><area href='/c'>",
          "{\"charset\":\"utf-8\",\"title\":null,\"links\":[\"http://cdn.example/a/b\","
          "\"http://cdn.example/c\"],\"links_total\":2,\"text\":\"xy\",\"text_cut\":false}");
}

static void names_a_hundred_links_and_counts_the_rest(void **state)
{
    char *html = malloc(1 << 20), *at = html;
    struct mock_bytes answer;
    struct mock m;
    size_t links = 0;

    (void)state;
    for (int i = 0; i < 3000; i++)
        at += sprintf(at, "<a href=%d>x</a>", i % 1500);
    mock_init(&m);
    mock_text(&m, "base", BASE);
    mock_input(&m, PRONG_INPUT_RAW, html, (size_t)(at - html));
    answer = mock_run(&m);
    for (const char *p = answer.data; (p = strstr(p, "http://example.org/dir/")) != NULL; p++)
        links++;
    assert_int_equal(links, 100);
    assert_non_null(strstr(answer.data, "\"links_total\":1500,"));
    free(answer.data);
    mock_release(&m);
    free(html);
}

static void reads_charsets(void **state)
{
    static const char utf16[] = "\xff\xfe<\0p\0>\0\xe9\0=\xd8\x00\xde";
    static const char utf16be[] = "\0<\0p\0>\0\xe9";

    (void)state;
#define ANSWER(charset, text)                                                                      \
    "{\"charset\":\"" charset "\",\"title\":null,\"links\":[],\"links_total\":0,\"text\":\"" text  \
    "\",\"text_cut\":false}"
    check("text/html; charset=ISO-8859-1", "<p>caf\xe9 \x80",
          ANSWER("windows-1252", "caf\xc3\xa9 \xe2\x82\xac"));
    check("text/html; charset=\"latin1\"", "<p>caf\xe9", ANSWER("windows-1252", "caf\xc3\xa9"));
    check("text/html", "<meta charset=\"windows-1252\"><p>\xe9",
          ANSWER("windows-1252", "\xc3\xa9"));
    check("text/html", "<p>\xe9", ANSWER("windows-1252", "\xc3\xa9"));
    check("text/html", "<p>\xc3\xa9", ANSWER("utf-8", "\xc3\xa9"));
    check("text/html; charset=utf-8", "<p>\xe9!", ANSWER("utf-8", "\xef\xbf\xbd!"));
    check("text/html; charset=shift_jis", "<p>a\x83z", ANSWER("unknown", "a\xef\xbf\xbdz"));
    check("text/html; charset=latin1", "\xef\xbb\xbf<p>\xc3\xa9", ANSWER("utf-8", "\xc3\xa9"));
    check_bytes("text/html", utf16, sizeof(utf16) - 1,
                ANSWER("utf-16le", "\xc3\xa9\xf0\x9f\x98\x80"));
    check_bytes("text/html; charset=utf-16be", utf16be, sizeof(utf16be) - 1,
                ANSWER("utf-16be", "\xc3\xa9"));
    check_bytes("text/html; charset=utf-16le",
                "a\0\0\xd8"
                "b\0c",
                7,
                ANSWER("utf-16le", "a\xef\xbf\xbd"
                                   "b\xef\xbf\xbd"));
    check_bytes("text/html; charset=utf-8", "a\0b\x01", 4, ANSWER("utf-8", "a b"));
    check("text/plain; charset=latin1", "a <b> \xe9", ANSWER("windows-1252", "a <b> \xc3\xa9"));
}

static void reads_only_text(void **state)
{
#define NOTHING                                                                                    \
    "{\"charset\":null,\"title\":null,\"links\":[],\"links_total\":0,\"text\":null,\"text_cut\":"  \
    "false}"
    (void)state;
    check("image/png", "<title>x</title>", NOTHING);
    check("application/octet-stream", "<title>x</title>", NOTHING);
    check_bytes("", "\0\1\2", 3, NOTHING);
    check("application/json", "{\"a\":1}", ANSWER("utf-8", "{\\\"a\\\":1}"));
    check("", " just words", ANSWER("utf-8", " just words"));
    check("", " <p>x", ANSWER("utf-8", "x"));
    check("application/xhtml+xml", "<p>x</p>", ANSWER("utf-8", "x"));
}

static void cuts_long_texts_at_a_character(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_int(&m, "text_max", 8);
    mock_text(&m, "content_type", "text/plain");
    mock_input(&m, PRONG_INPUT_RAW, "1234567\xc3\xa9", 9);
    mock_check_answer(&m, "{\"charset\":\"utf-8\",\"title\":null,\"links\":[],\"links_total\":0,"
                          "\"text\":\"1234567\",\"text_cut\":true}");
    mock_release(&m);
}

static void keeps_the_first_title_and_not_all_of_it(void **state)
{
    char html[4096] = "<title>", *answer;
    struct mock_bytes got;
    struct mock m;

    (void)state;
    memset(html + 7, 't', 3000);
    strcpy(html + 3007, "</title><title>second</title>");
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, html, strlen(html));
    got = mock_run(&m);
    answer = strstr(got.data, "\"title\":\"") + 9;
    assert_in_range(strspn(answer, "t"), 1000, 1024);
    assert_null(strstr(got.data, "second"));
    free(got.data);
    mock_release(&m);
}

/* Nothing that comes makes it read or write where it must not: the sanitizers watch. */
static void takes_any_bytes(void **state)
{
    static const char alphabet[] = "<>/!-=\"' a&#x;:?%.\\\n\xc3\xa9\xff";
    static const char *const words[] = {"<a href=", "<title>", "</title>", "<script", "<!--",
                                        "-->",      "&#x",     "charset=", "//",      "../"};
    char bytes[600];
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t n = 0;
        struct mock_bytes got;
        struct mock m;

        while (n < 500) {
            seed = seed * 1103515245 + 12345;
            if ((seed >> 16) % 4 == 0) {
                const char *word = words[(seed >> 18) % 10];
                memcpy(bytes + n, word, strlen(word));
                n += strlen(word);
            } else {
                bytes[n++] = alphabet[(seed >> 18) % (sizeof(alphabet) - 1)];
            }
        }
        mock_init(&m);
        mock_text(&m, "base", BASE);
        mock_text(&m, "content_type", round % 3 == 0 ? "text/html;charset=utf-16" : "text/html");
        mock_input(&m, PRONG_INPUT_RAW, bytes, n - (size_t)round % 7);
        got = mock_run(&m);
        assert_non_null(strstr(got.data, "\"text_cut\":false}"));
        free(got.data);
        mock_release(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_title_text_and_links),
        cmocka_unit_test(survives_what_is_broken),
        cmocka_unit_test(decodes_references),
        cmocka_unit_test(resolves_links),
        cmocka_unit_test(leaves_out_what_is_no_page),
        cmocka_unit_test(obeys_the_base_element),
        cmocka_unit_test(names_a_hundred_links_and_counts_the_rest),
        cmocka_unit_test(reads_charsets),
        cmocka_unit_test(reads_only_text),
        cmocka_unit_test(cuts_long_texts_at_a_character),
        cmocka_unit_test(keeps_the_first_title_and_not_all_of_it),
        cmocka_unit_test(takes_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
