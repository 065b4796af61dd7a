#include "http/target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static char out[64];

static ssize_t decode(const char *text)
{
    return target_decode(text, strlen(text), out, sizeof(out));
}

static void assert_parts(const char *text, enum target_form form, const char *authority,
                         const char *path, const char *query)
{
    struct target t = target_split(text);

    assert_int_equal(t.form, form);
    assert_int_equal(t.authority_bytes, strlen(authority));
    if (*authority != '\0')
        assert_memory_equal(t.authority, authority, t.authority_bytes);
    assert_int_equal(t.path_bytes, strlen(path));
    assert_memory_equal(t.path, path, t.path_bytes);
    if (query == NULL)
        assert_null(t.query);
    else
        assert_string_equal(t.query, query);
}

static void the_path_ends_at_the_query(void **state)
{
    (void)state;
    assert_parts("/a/b?c=d?e", TARGET_ORIGIN, "", "/a/b", "c=d?e");
    assert_parts("/", TARGET_ORIGIN, "", "/", NULL);
    assert_parts("//a", TARGET_ORIGIN, "", "//a", NULL);
    assert_parts("/?", TARGET_ORIGIN, "", "/", "");
    assert_parts("/a?b=http://c/", TARGET_ORIGIN, "", "/a", "b=http://c/");
}

static void absolute_form_has_an_authority(void **state)
{
    (void)state;
    assert_parts("http://host:1/a?b", TARGET_ABSOLUTE, "host:1", "/a", "b");
    assert_parts("HTTPS://Host", TARGET_ABSOLUTE, "Host", "/", NULL);
    assert_parts("http://host?x", TARGET_ABSOLUTE, "host", "/", "x");
    assert_parts("http:///x", TARGET_ABSOLUTE, "", "/x", NULL);
    assert_parts("http://a@b/", TARGET_ABSOLUTE, "a@b", "/", NULL);
}

static void what_has_another_form_is_told_apart(void **state)
{
    static const char *const others[] = {"",          "a",       "?x",      "**",       "http:/a",
                                         "ftp://a/b", "http//a", "host:80", "httpx://a"};

    (void)state;
    assert_parts("*", TARGET_ASTERISK, "", "*", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_int_equal(target_split(others[i]).form, TARGET_OTHER);
}

static bool is_sound(const char *text)
{
    return target_is_sound(text, strlen(text));
}

static void every_byte_is_judged(void **state)
{
    static const char bad[] = " \"#<>\\^`{|}\x7f";

    (void)state;
    for (int c = 1; c < 256; c++) {
        char text[] = {'/', (char)c, '\0'};
        bool good = c > ' ' && c < 0x7f && c != '%' && strchr(bad, c) == NULL;
        if (is_sound(text) != good)
            fail_msg("byte %d", c);
    }
    assert_false(target_is_sound("/\0", 2));
    assert_false(is_sound(""));
}

/* In a short text and in long ones, which are looked at eight bytes at a time. */
static void a_byte_is_judged_alike_at_any_place(void **state)
{
    char text[24];

    (void)state;
    for (int c = 1; c < 256; c++) {
        const char alone[] = {'/', (char)c, '\0'};
        for (size_t bytes = 2; bytes < sizeof(text); bytes++) {
            for (size_t at = 0; at < bytes; at++) {
                memcpy(text, "/gZ_9.-0/gZ_9.-0/gZ_9.-0", sizeof(text));
                text[at] = (char)c;
                if (target_is_sound(text, bytes) != is_sound(alone))
                    fail_msg("byte %d at %zu of %zu", c, at, bytes);
            }
        }
    }
}

static void escapes_must_be_whole(void **state)
{
    static const char *const bad[] = {"/%",   "/%4",  "/%zz",     "/%4g",
                                      "/%g4", "/%00", "/a?b=%00", "/%%20"};

    (void)state;
    assert_true(is_sound("/%41%aF%fa?%01"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(is_sound(bad[i]));
    assert_false(target_is_sound("/%41", 3));
}

static void authorities_are_hosts_with_ports(void **state)
{
    static const char *const good[] = {
        "a",     "localhost",  "LOCAL-host.example.", "127.0.0.1:80", "a_b~:0",
        "[::1]", "[::1]:8080", "[::ffff:1.2.3.4]",    "x:65535",      "x:00080"};
    static const char *const bad[] = {"",
                                      ":80",
                                      "a:",
                                      "a:b",
                                      "a:65536",
                                      "a:-1",
                                      "a b",
                                      "a@b",
                                      "[]",
                                      "[::1",
                                      "::1",
                                      "[::1]x",
                                      "[g::]",
                                      "a/b",
                                      "a:80:80",
                                      "a,b",
                                      "a%41",
                                      "[::1]:",
                                      "a\x80",
                                      "a?",
                                      "a#",
                                      "a:+80",
                                      "a:18446744073709551696",
                                      "[",
                                      "]"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        if (!target_is_authority(good[i], strlen(good[i])))
            fail_msg("%s is refused", good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (target_is_authority(bad[i], strlen(bad[i])))
            fail_msg("%s is taken", bad[i]);
    }
    /* It must not reach behind the bytes given. */
    assert_false(target_is_authority("[::1]", 4));
    assert_true(target_is_authority("a:80", 1));
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

/* As "name=value;…". */
static const char *arguments(const char *query)
{
    static char text[256];
    size_t room = target_arguments_bytes(strlen(query)), n, used = 0;
    char *decoded = malloc(room), *p = decoded;

    text[0] = '\0';
    n = target_arguments(query, decoded);
    for (size_t i = 0; i < n; i++) {
        const char *name = p, *value = name + strlen(name) + 1;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s;", name, value);
        p += strlen(name) + strlen(value) + 2;
        assert_true((size_t)(p - decoded) <= room);
    }
    free(decoded);
    return text;
}

static void arguments_are_decoded(void **state)
{
    (void)state;
    assert_string_equal(arguments("a=1&b=2"), "a=1;b=2;");
    assert_string_equal(arguments("a+b=c+d%20e%2B"), "a b=c d e+;");
    assert_string_equal(arguments("%61%3d=%26"), "a==&;");
    assert_string_equal(arguments("a=b=c"), "a=b=c;");
    assert_string_equal(arguments(""), "");
    assert_string_equal(arguments("a&b&c"), "a=;b=;c=;");
    assert_string_equal(arguments("&&a=1&&"), "a=1;");
    assert_string_equal(arguments("=1&="), "=1;=;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_ends_at_the_query),
        cmocka_unit_test(absolute_form_has_an_authority),
        cmocka_unit_test(what_has_another_form_is_told_apart),
        cmocka_unit_test(every_byte_is_judged),
        cmocka_unit_test(a_byte_is_judged_alike_at_any_place),
        cmocka_unit_test(escapes_must_be_whole),
        cmocka_unit_test(authorities_are_hosts_with_ports),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(what_is_no_escape_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(arguments_are_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
