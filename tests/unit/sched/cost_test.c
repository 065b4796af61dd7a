#include "sched/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { US = 1000, MS = 1000 * 1000 };

static void unknown_until_something_ran(void **state)
{
    struct cost c = {0};

    (void)state;
    assert_int_equal(cost_start_ns(&c), COST_UNKNOWN_NS);
    assert_int_equal(cost_job_ns(&c), COST_UNKNOWN_NS);
    assert_true(c.ns_per_cost == 0);
    assert_false(cost_is_short(&c));
}

static void start_jumps_up_at_once(void **state)
{
    struct cost c = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        cost_add_start(&c, 1 * MS);
    assert_int_equal(cost_start_ns(&c), 1 * MS);
    cost_add_start(&c, 400 * MS);
    assert_int_equal(cost_start_ns(&c), 400 * MS);
}

static void start_comes_down_slowly(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_start(&c, 100 * MS);
    cost_add_start(&c, 0);
    assert_int_equal(cost_start_ns(&c), 98 * MS);
    for (int i = 0; i < 400; i++)
        cost_add_start(&c, 2 * MS);
    assert_in_range(cost_start_ns(&c), 2 * MS, 2 * MS + 100 * US);
}

static void job_is_a_mean(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_job(&c, 10 * MS);
    assert_int_equal(cost_job_ns(&c), 10 * MS);
    cost_add_job(&c, 20 * MS);
    assert_int_equal(cost_job_ns(&c), 12 * MS);
    for (int i = 0; i < 1000; i++)
        cost_add_job(&c, i % 2 == 0 ? 5 * MS : 15 * MS);
    assert_in_range(cost_job_ns(&c), 9 * MS, 11 * MS);
}

static void units_give_the_time_of_cost_one(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_units(&c, 1000, 2.0, 20 * MS);
    assert_true(fabs(c.ns_per_cost - 10000) < 1e-6);
    cost_add_units(&c, 1000, 2.0, 40 * MS);
    assert_true(fabs(c.ns_per_cost - 12000) < 1e-6);
}

static void a_unit_cost_of_zero_means_one(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_units(&c, 1000, 0, 1 * MS);
    assert_true(fabs(c.ns_per_cost - 1000) < 1e-6);
}

static void short_runs_tell_nothing_once_something_is_known(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_units(&c, 1000, 1.0, 1 * MS);
    cost_add_units(&c, 1, 1.0, 49 * US);
    assert_true(fabs(c.ns_per_cost - 1000) < 1e-6);
}

static void a_rough_first_measure_is_replaced(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_units(&c, 1, 1.0, 40 * US);
    assert_true(fabs(c.ns_per_cost - 40000) < 1e-6);
    cost_add_units(&c, 1, 1.0, 30 * US);
    assert_true(fabs(c.ns_per_cost - 40000) < 1e-6);
    cost_add_units(&c, 1000, 1.0, 1 * MS);
    assert_true(fabs(c.ns_per_cost - 1000) < 1e-6);
}

static void nonsense_from_a_worker_changes_nothing(void **state)
{
    const double bad[] = {NAN, INFINITY, -INFINITY, -1.0, 1e308 * 10};
    struct cost c = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cost_add_units(&c, 10, bad[i], 1 * MS);
    cost_add_units(&c, 0, 1.0, 1 * MS);
    cost_add_units(&c, 10, 1.0, 0);
    assert_true(c.ns_per_cost == 0);
}

static void short_needs_runs_and_a_short_prediction(void **state)
{
    struct cost c = {0};

    (void)state;
    for (int i = 0; i < COST_EXPRESS_RUNS_MIN; i++) {
        assert_false(cost_is_short(&c));
        cost_add_start(&c, COST_EXPRESS_NS_MAX);
    }
    assert_true(cost_is_short(&c));
    cost_add_start(&c, COST_EXPRESS_NS_MAX + 1);
    assert_false(cost_is_short(&c));
}

static void the_longest_times_do_not_overflow(void **state)
{
    struct cost c = {0};

    (void)state;
    cost_add_start(&c, UINT64_MAX);
    cost_add_job(&c, UINT64_MAX);
    assert_true(cost_start_ns(&c) >= INT64_MAX);
    assert_true(cost_job_ns(&c) >= INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_until_something_ran),
        cmocka_unit_test(start_jumps_up_at_once),
        cmocka_unit_test(start_comes_down_slowly),
        cmocka_unit_test(job_is_a_mean),
        cmocka_unit_test(units_give_the_time_of_cost_one),
        cmocka_unit_test(a_unit_cost_of_zero_means_one),
        cmocka_unit_test(short_runs_tell_nothing_once_something_is_known),
        cmocka_unit_test(a_rough_first_measure_is_replaced),
        cmocka_unit_test(nonsense_from_a_worker_changes_nothing),
        cmocka_unit_test(short_needs_runs_and_a_short_prediction),
        cmocka_unit_test(the_longest_times_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
