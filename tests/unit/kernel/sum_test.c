#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mock_host.h"

static void adds_the_default_range(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_check_answer(&m, "{\"sum\":4999999950000000,\"count\":100000000}");
    mock_release(&m);
}

static void check_sum(int64_t start, int64_t end, const char *expected)
{
    struct mock m;

    mock_init(&m);
    mock_int(&m, "start", start);
    mock_int(&m, "end", end);
    mock_check_answer(&m, expected);
    mock_release(&m);
}

static void adds_small_and_odd_ranges(void **state)
{
    (void)state;
    check_sum(0, 0, "{\"sum\":0,\"count\":0}");
    check_sum(5, 5, "{\"sum\":0,\"count\":0}");
    check_sum(0, 1, "{\"sum\":0,\"count\":1}");
    check_sum(10, 13, "{\"sum\":33,\"count\":3}");
    check_sum(1, 1048577, "{\"sum\":549756338176,\"count\":1048576}");
    check_sum(3, 3145762, "{\"sum\":4947907707438,\"count\":3145759}");
}

static void passes_64_bits(void **state)
{
    (void)state;
    check_sum(9999990000000, 10000000000000, "{\"sum\":99999949999995000000,\"count\":10000000}");
}

static void refuses_an_end_before_the_start(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_int(&m, "start", 2);
    mock_int(&m, "end", 1);
    assert_string_equal(mock_complaint(&m), "The end, 1, lies before the start, 2.");
    mock_release(&m);
}

static void units_are_bounded_at_the_largest_range(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_int(&m, "end", 10000000000000);
    assert_int_equal(mock_plan(&m).units, 9536744);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_the_default_range),
        cmocka_unit_test(adds_small_and_odd_ranges),
        cmocka_unit_test(passes_64_bits),
        cmocka_unit_test(refuses_an_end_before_the_start),
        cmocka_unit_test(units_are_bounded_at_the_largest_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
