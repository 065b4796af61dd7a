#include "api/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"

static uint64_t at_ms(uint64_t ms)
{
    return (1000000 + ms) * CLOCK_NS_PER_MS;
}

static void one_look_says_nothing(void **state)
{
    struct rate rate = {0};

    (void)state;
    assert_true(rate_note(&rate, at_ms(0), 1000) <= 0);
    assert_true(rate_note(&rate, at_ms(RATE_LEAST_MS - 1), 2000) <= 0);
}

static void two_looks_say_how_many(void **state)
{
    struct rate rate = {0};

    (void)state;
    (void)rate_note(&rate, at_ms(0), 1000);
    assert_float_equal(rate_note(&rate, at_ms(500), 1100), 200.0, 1e-6);
    assert_float_equal(rate_note(&rate, at_ms(2000), 1100), 50.0, 1e-6);
}

static void what_is_old_is_left_behind(void **state)
{
    struct rate rate = {0};
    double per_s = 0;

    (void)state;
    /* 1000 a second for 20 s, then 10 a second. */
    for (uint64_t ms = 0; ms <= 20000; ms += 100)
        per_s = rate_note(&rate, at_ms(ms), ms);
    assert_float_equal(per_s, 1000.0, 1e-6);
    for (uint64_t ms = 20100; ms <= 40000; ms += 100)
        per_s = rate_note(&rate, at_ms(ms), 20000 + (ms - 20000) / 100);
    assert_float_equal(per_s, 10.0, 1e-6);
}

static void a_long_pause_is_a_new_beginning(void **state)
{
    struct rate rate = {0};

    (void)state;
    (void)rate_note(&rate, at_ms(0), 0);
    (void)rate_note(&rate, at_ms(1000), 1000);
    assert_true(rate_note(&rate, at_ms(RATE_FORGET_MS + 1001), 1000) <= 0);
    assert_float_equal(rate_note(&rate, at_ms(RATE_FORGET_MS + 2001), 1005), 5.0, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_look_says_nothing),
        cmocka_unit_test(two_looks_say_how_many),
        cmocka_unit_test(what_is_old_is_left_behind),
        cmocka_unit_test(a_long_pause_is_a_new_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
