#include "base/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void whole_numbers_are_read(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    assert_int_equal(parse_u64("0", &u), 0);
    assert_int_equal(u, 0);
    assert_int_equal(parse_u64("18446744073709551615", &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(parse_i64("-9223372036854775808", &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(parse_i64("9223372036854775807", &i), 0);
    assert_true(i == INT64_MAX);
}

static void numbers_too_large_are_out_of_range(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;
    double d = 7;

    (void)state;
    assert_int_equal(parse_u64("18446744073709551616", &u), -ERANGE);
    assert_int_equal(parse_i64("9223372036854775808", &i), -ERANGE);
    assert_int_equal(parse_i64("-9223372036854775809", &i), -ERANGE);
    assert_int_equal(parse_real("1e309", &d), -ERANGE);
    assert_int_equal(parse_real("-1e309", &d), -ERANGE);
    assert_true(u == 7 && i == 7 && d == 7);
}

static void what_is_not_a_whole_number_is_refused(void **state)
{
    const char *const bad[] = {"",    " 1", "1 ", "+1",  "1.0", "0x10", "1e3",
                               "--1", "-",  "a",  "1\n", "١",   "1,000"};
    uint64_t u = 7;
    int64_t i = 7;

    (void)state;
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        assert_int_equal(parse_u64(bad[n], &u), -EINVAL);
        assert_int_equal(parse_i64(bad[n], &i), -EINVAL);
    }
    assert_int_equal(parse_u64("-1", &u), -EINVAL);
    assert_true(u == 7 && i == 7);
}

static void reals_are_those_of_json(void **state)
{
    const char *const good[] = {"0", "-0", "1.5", "-1.5e3", "1E-3", "0.000", "1e+2"};
    const double value[] = {0, 0, 1.5, -1500, 0.001, 0, 100};
    double d;

    (void)state;
    for (size_t n = 0; n < sizeof(good) / sizeof(good[0]); n++) {
        assert_int_equal(parse_real(good[n], &d), 0);
        assert_true(d == value[n]);
    }
}

static void what_json_forbids_is_no_real(void **state)
{
    const char *const bad[] = {"",    ".5",  "5.", "01",   "+1",  "1e",   "1e+",  "0x1p3",
                               "inf", "nan", "-",  "-inf", " 1",  "1 ",   "1.e3", "Infinity",
                               "1,5", "--1", "1-", "00",   "-01", "1e5.0"};
    double d = 7;

    (void)state;
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
        assert_int_equal(parse_real(bad[n], &d), -EINVAL);
    assert_true(d == 7);
}

static void seconds_become_nanoseconds(void **state)
{
    uint64_t ns;

    (void)state;
    assert_int_equal(parse_seconds_ns("2.5", &ns), 0);
    assert_int_equal(ns, 2500000000);
    assert_int_equal(parse_seconds_ns("0", &ns), 0);
    assert_int_equal(ns, 0);
    assert_int_equal(parse_seconds_ns("1e-9", &ns), 0);
    assert_int_equal(ns, 1);
    assert_int_equal(parse_seconds_ns("31622400", &ns), 0);
    assert_int_equal(ns, 31622400ULL * 1000000000);
}

static void every_millisecond_is_exact(void **state)
{
    uint64_t ns;
    char text[32];

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(text, sizeof(text), "%u.%03u", i / 1000, i % 1000);
        assert_int_equal(parse_seconds_ns(text, &ns), 0);
        assert_int_equal(ns, i * 1000000ULL);
    }
}

static void seconds_have_bounds(void **state)
{
    uint64_t ns = 7;

    (void)state;
    assert_int_equal(parse_seconds_ns("-1", &ns), -EINVAL);
    assert_int_equal(parse_seconds_ns("-0", &ns), -EINVAL);
    assert_int_equal(parse_seconds_ns("2s", &ns), -EINVAL);
    assert_int_equal(parse_seconds_ns("31622401", &ns), -ERANGE);
    assert_int_equal(parse_seconds_ns("1e999", &ns), -ERANGE);
    assert_int_equal(ns, 7);
}

static void names_are_short_and_plain(void **state)
{
    (void)state;
    assert_int_equal(parse_name("az09_-", 6), 0);
    assert_int_equal(parse_name("a", 1), 0);
    assert_int_equal(parse_name("", 6), -EINVAL);
    assert_int_equal(parse_name("az09_-x", 6), -EINVAL);
    assert_int_equal(parse_name("A", 6), -EINVAL);
    assert_int_equal(parse_name("a b", 6), -EINVAL);
    assert_int_equal(parse_name("../x", 6), -EINVAL);
    assert_int_equal(parse_name("\xc3\xa4", 6), -EINVAL);
}

static void bytes_have_units(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_int_equal(parse_bytes("0", &value), 0);
    assert_true(value == 0);
    assert_int_equal(parse_bytes("3K", &value), 0);
    assert_true(value == 3072);
    assert_int_equal(parse_bytes("2G", &value), 0);
    assert_true(value == 2ULL << 30);
    assert_int_equal(parse_bytes("17179869184G", &value), -ERANGE);
    assert_int_equal(parse_bytes("", &value), -EINVAL);
    assert_int_equal(parse_bytes("K", &value), -EINVAL);
    assert_int_equal(parse_bytes("1k", &value), -EINVAL);
    assert_int_equal(parse_bytes("-1", &value), -EINVAL);
    assert_true(value == 2ULL << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read),
        cmocka_unit_test(numbers_too_large_are_out_of_range),
        cmocka_unit_test(what_is_not_a_whole_number_is_refused),
        cmocka_unit_test(reals_are_those_of_json),
        cmocka_unit_test(what_json_forbids_is_no_real),
        cmocka_unit_test(seconds_become_nanoseconds),
        cmocka_unit_test(every_millisecond_is_exact),
        cmocka_unit_test(seconds_have_bounds),
        cmocka_unit_test(bytes_have_units),
        cmocka_unit_test(names_are_short_and_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
