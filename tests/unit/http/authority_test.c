#include "http/authority.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static void equal_names_become_equal_texts(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } cases[] = {
        {"localhost", "localhost", 0},
        {"LocalHost:8080", "localhost", 8080},
        {"prong.example.", "prong.example", 0},
        {"Prong.Example.:1", "prong.example", 1},
        {"127.0.0.1:65535", "127.0.0.1", 65535},
        {"a_b-c.9", "a_b-c.9", 0},
        {"x:", "x", 0},
        {"[::1]", "[::1]", 0},
        {"[0:0:0:0:0:0:0:1]:80", "[::1]", 80},
        {"[2001:DB8::00ff]:", "[2001:db8::ff]", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct authority a;
        assert_int_equal(authority_read(cases[i].text, strlen(cases[i].text), &a), 0);
        assert_string_equal(a.host, cases[i].host);
        assert_int_equal(a.port, cases[i].port);
    }
}

static void what_is_no_name_is_refused(void **state)
{
    static const char *const bad[] = {
        "",          ".",       "..",          ":80",
        "a..",       "a b",     "a,b",         "a/b",
        "a@b",       "a%41",    "\xc3\xa9.x",  "a:-1",
        "a:65536",   "a:1x",    "a:1:2",       "a:99999999999",
        "::1",       "[::1",    "[::1]x",      "[]",
        "[1.2.3.4]", "[::1%1]", "[::1]:99999", "[g::]",
        "[::1]]:1",  "a\tb",    " a",          "a ",
        "*",
    };
    char much[300];
    struct authority a;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (authority_read(bad[i], strlen(bad[i]), &a) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    memset(much, 'a', sizeof(much));
    assert_int_equal(authority_read(much, 255, &a), 0);
    assert_int_equal(authority_read(much, 256, &a), -EINVAL);
    much[0] = '[';
    assert_int_equal(authority_read(much, sizeof(much), &a), -EINVAL);
    much[290] = ']';
    assert_int_equal(authority_read(much, sizeof(much), &a), -EINVAL);
}

static struct authority named(const char *text)
{
    struct authority a;

    assert_int_equal(authority_read(text, strlen(text), &a), 0);
    return a;
}

static void addresses_are_told_from_names(void **state)
{
    static const struct {
        const char *text;
        bool is_address, is_loopback, is_wildcard;
    } cases[] = {
        {"10.0.0.7", true, false, false},        {"[fe80::1]", true, false, false},
        {"127.9.8.7:1", true, true, false},      {"[::1]", true, true, false},
        {"localhost", false, true, false},       {"0.0.0.0", true, false, true},
        {"[::]:80", true, false, true},          {"127.evil.example", false, false, false},
        {"127.0.0.1.evil", false, false, false}, {"1.2.3.4.5", false, false, false},
        {"localhost.evil", false, false, false}, {"10.0.0", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct authority a = named(cases[i].text);
        assert_int_equal(authority_is_address(&a), cases[i].is_address);
        assert_int_equal(authority_is_loopback(&a), cases[i].is_loopback);
        assert_int_equal(authority_is_wildcard(&a), cases[i].is_wildcard);
    }
}

static void an_origin_has_one_spelling(void **state)
{
    static const struct {
        const char *text, *origin;
    } cases[] = {
        {"http://localhost:8080", "http://localhost:8080"},
        {"HTTPS://Lab.Example", "https://lab.example"},
        {"https://lab.example:443", "https://lab.example"},
        {"http://lab.example:443", "http://lab.example:443"},
        {"http://[0::1]:80", "http://[::1]"},
    };
    static const char *const bad[] = {"null",       "",           "http://",
                                      "http:/x",    "ftp://x",    "httpx://x",
                                      "http://x/",  "http://x/y", "https//x",
                                      "x",          "http://x y", "http://a,http://b",
                                      "http://u@x", "file://",    "https:lab.example"};
    char origin[ORIGIN_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(origin_read(cases[i].text, strlen(cases[i].text), origin), 0);
        assert_string_equal(origin, cases[i].origin);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (origin_read(bad[i], strlen(bad[i]), origin) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void the_longest_origin_fits(void **state)
{
    char text[400] = "https://", origin[ORIGIN_BYTES];

    (void)state;
    memset(text + 8, 'a', 255);
    (void)snprintf(text + 8 + 255, sizeof(text) - 8 - 255, ":65535");
    assert_int_equal(origin_read(text, strlen(text), origin), 0);
    assert_string_equal(origin, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_names_become_equal_texts),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(addresses_are_told_from_names),
        cmocka_unit_test(an_origin_has_one_spelling),
        cmocka_unit_test(the_longest_origin_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
