#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "worker/json.h"

static void check_number(double value, const char *expected)
{
    char text[JSON_NUMBER_MAX];

    assert_int_equal(json_number(value, text), strlen(expected));
    assert_string_equal(text, expected);
}

static void numbers_are_the_shortest_that_read_back(void **state)
{
    (void)state;
    check_number(0, "0");
    check_number(-0.0, "-0.0");
    check_number(4, "4");
    check_number(-17, "-17");
    check_number(0.1, "0.1");
    check_number(0.1 + 0.2, "0.30000000000000004");
    check_number(1.0 / 3.0, "0.3333333333333333");
    check_number(1e15, "1000000000000000");
    check_number(9007199254740991.0, "9007199254740991");
    check_number(1e300, "1e+300");
    check_number(5e-324, "4.94065645841247e-324");
    check_number(NAN, "null");
    check_number(-INFINITY, "null");
}

static void any_double_reads_back(void **state)
{
    char text[JSON_NUMBER_MAX];
    uint64_t seed = 88172645463325252ULL;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        double value;
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        memcpy(&value, &seed, sizeof(value));
        if (!isfinite(value))
            continue;
        assert_true(json_number(value, text) < JSON_NUMBER_MAX);
        assert_true(strtod(text, NULL) == value);
    }
}

static void check_string(const char *text, size_t bytes, const char *expected)
{
    char out[256];
    size_t n = json_quote(text, bytes, out);

    out[n] = '\0';
    assert_string_equal(out, expected);
    assert_int_equal(json_quote_bytes(text, bytes), n);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    check_string("", 0, "\"\"");
    check_string("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    check_string("\n\r\t\b\x1f\x7f", 6, "\"\\n\\r\\t\\u0008\\u001f\x7f\"");
    check_string("a\0b", 3, "\"a\\u0000b\"");
}

static void good_utf8_stays(void **state)
{
    (void)state;
    check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x99", 9,
                 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x99\"");
    check_string("\xf4\x8f\xbf\xbf\xed\x9f\xbf", 7, "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\"");
}

static void bad_utf8_is_replaced(void **state)
{
    static const char *const bad[] = {
        "\xc3",             /* cut */
        "\x80",             /* a tail alone */
        "\xc0\xaf",         /* overlong */
        "\xe0\x80\xaf",     /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xff",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char out[64];
        size_t n = json_quote(bad[i], strlen(bad[i]), out);
        assert_int_equal(n, 2 + 3 * strlen(bad[i]));
        assert_memory_equal(out + 1, "\xef\xbf\xbd", 3);
    }
    check_string("a\xc3(", 3, "\"a\xef\xbf\xbd(\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_the_shortest_that_read_back),
        cmocka_unit_test(any_double_reads_back),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(good_utf8_stays),
        cmocka_unit_test(bad_utf8_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
