#include "base/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *json(const char *text)
{
    static char out[256];
    size_t n = escape_json(text, out, sizeof(out) - 1);

    out[n] = '\0';
    return out;
}

static void json_rules(void **state)
{
    (void)state;
    assert_string_equal(json("plain / text"), "plain / text");
    assert_string_equal(json("\"\\\b\f\n\r\t"), "\\\"\\\\\\b\\f\\n\\r\\t");
    assert_string_equal(json("\x01\x1b\x7f"), "\\u0001\\u001b\\u007f");
    assert_string_equal(json("\xc2\x80\xc2\x9f\xc2\xa0"), "\\u0080\\u009f\xc2\xa0");
    assert_string_equal(json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                        "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void what_is_no_utf8_is_replaced(void **state)
{
    static const char *const bad[] = {
        "\x80",         "\xff",     "\xc0\xaf", "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xc3",     "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf0\x9f\x98", "\xf5\x80", "\xc3(",    "\xe2\x82(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *out = json(bad[i]);
        assert_memory_equal(out, "\xef\xbf\xbd", 3);
        assert_null(strpbrk(out, "\xc0\xc1\xf5\xff"));
    }
    assert_string_equal(json("\xc3(x"), "\xef\xbf\xbd(x");
}

static void bytes_as_access_logs_have_them(void **state)
{
    char out[64];
    size_t n = escape_bytes("a b\"\\\n\xc3\xa9\x7f~", out, sizeof(out));

    (void)state;
    out[n] = '\0';
    assert_string_equal(out, "a b\\x22\\x5C\\x0A\\xC3\\xA9\\x7F~");
}

/* In every capacity: nothing behind it, and no half of anything. */
static void what_does_not_fit_is_left_out_whole(void **state)
{
    static const char text[] = "a\"\x1b\xe2\x82\xac\xff";
    static const size_t written[] = {0, 1, 1, 3, 3, 3, 3, 3, 3, 9, 9, 9, 12, 12, 12, 15};
    char out[64];

    (void)state;
    for (size_t capacity = 0; capacity < sizeof(written) / sizeof(written[0]); capacity++) {
        memset(out, '#', sizeof(out));
        assert_int_equal(escape_json(text, out, capacity), written[capacity]);
        assert_int_equal(out[written[capacity]], '#');
    }
    assert_int_equal(escape_bytes("ab\n", out, 5), 2);
    assert_int_equal(escape_bytes("ab\n", out, 6), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_rules),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(bytes_as_access_logs_have_them),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
