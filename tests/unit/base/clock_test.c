#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_time_left_is_whole_microseconds(void **state)
{
    (void)state;
    assert_int_equal(clock_left_us(7000, 5000), 2);
    assert_int_equal(clock_left_us(7999, 5000), 2);
    assert_int_equal(clock_left_us(5999, 5000), 0);
    assert_int_equal(clock_left_us(5000, 5000), 0);
    assert_int_equal(clock_left_us(CLOCK_NEVER, 5000), INT64_MAX);
}

/* Zero would say that it is still to come. */
static void a_deadline_has_passed_from_its_first_nanosecond_on(void **state)
{
    (void)state;
    assert_int_equal(clock_left_us(5000, 5001), -1);
    assert_int_equal(clock_left_us(5000, 6000), -1);
    assert_int_equal(clock_left_us(5000, 6001), -2);
    assert_int_equal(clock_left_us(0, 60 * CLOCK_NS_PER_S), -60000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_left_is_whole_microseconds),
        cmocka_unit_test(a_deadline_has_passed_from_its_first_nanosecond_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
