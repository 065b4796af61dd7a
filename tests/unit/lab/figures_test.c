#include "lab/figures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static const struct lab_spec cpu = {
    .experiment = LAB_CPU, .n = 1000, .workers = 4, .repeat = 3, .seed = 5};

static bool is_near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void a_plan_has_each_mode_once_in_a_round(void **state)
{
    struct lab_spec spec = cpu;
    struct lab_plan plan;

    (void)state;
    spec.modes = lab_modes_of(LAB_CPU);
    lab_plan_make(&spec, &plan);
    assert_int_equal(plan.count, 7 * 4);
    for (unsigned round = 0; round < 4; round++) {
        unsigned seen = 0;
        for (unsigned i = 0; i < 7; i++) {
            assert_int_equal(plan.steps[round * 7 + i].repeat, round);
            seen |= LAB_MODE_BIT(plan.steps[round * 7 + i].mode);
        }
        assert_int_equal(seen, spec.modes);
    }
}

static void the_seed_decides_the_order(void **state)
{
    struct lab_spec spec = cpu;
    struct lab_plan first, again, other;

    (void)state;
    spec.modes = lab_modes_of(LAB_CPU);
    spec.repeat = LAB_REPEAT_MAX;
    lab_plan_make(&spec, &first);
    lab_plan_make(&spec, &again);
    spec.seed++;
    lab_plan_make(&spec, &other);
    assert_int_equal(first.count, 7 * (LAB_REPEAT_MAX + 1));
    assert_memory_equal(first.steps, again.steps, first.count * sizeof(first.steps[0]));
    assert_memory_not_equal(first.steps, other.steps, first.count * sizeof(first.steps[0]));
}

/* Every mode comes first in some round, or what the first one pays would be paid by some alone. */
static void no_mode_is_always_behind_another(void **state)
{
    struct lab_spec spec = cpu;
    struct lab_plan plan;
    unsigned firsts = 0;

    (void)state;
    spec.modes = LAB_MODE_BIT(LAB_THREADS) | LAB_MODE_BIT(LAB_GIL) | LAB_MODE_BIT(LAB_PROCESSES);
    spec.repeat = LAB_REPEAT_MAX;
    lab_plan_make(&spec, &plan);
    for (unsigned round = 1; round <= spec.repeat; round++)
        firsts |= LAB_MODE_BIT(plan.steps[3 * round].mode);
    assert_int_equal(firsts, spec.modes);
}

static void a_warm_up_does_a_tenth(void **state)
{
    struct lab_spec spec = cpu;

    (void)state;
    assert_int_equal(lab_warm_n(&spec), 100);
    spec.n = 3;
    assert_int_equal(lab_warm_n(&spec), 1);
    spec.experiment = LAB_IO;
    spec.n = 800;
    assert_int_equal(lab_warm_n(&spec), 4);
    spec.n = 2;
    assert_int_equal(lab_warm_n(&spec), 2);
}

static void medians(void **state)
{
    (void)state;
    assert_true(is_near(lab_median((double[]) {3}, 1), 3));
    assert_true(is_near(lab_median((double[]) {3, 1}, 2), 2));
    assert_true(is_near(lab_median((double[]) {9, 1, 2}, 3), 2));
    assert_true(is_near(lab_median((double[]) {4, 1, 3, 2}, 4), 2.5));
}

static void the_typical_run_is_the_one_at_the_median(void **state)
{
    struct lab_figures f = {.count = 3, .wall_s = {9, 1, 2}};

    (void)state;
    assert_int_equal(lab_typical(&f), 2);
    f = (struct lab_figures) {.count = 1, .wall_s = {9}};
    assert_int_equal(lab_typical(&f), 0);
}

static void the_worst_result_is_told(void **state)
{
    struct lab_figures f = {.count = 3, .results = {10, 7, 9}, .expected = 10};

    (void)state;
    assert_int_equal(lab_worst_result(&f), 7);
    f.results[1] = 12;
    f.results[2] = 11;
    assert_int_equal(lab_worst_result(&f), 12);
    f.results[1] = f.results[2] = 10;
    assert_int_equal(lab_worst_result(&f), 10);
}

static void each_language_is_compared_with_itself(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {{0}};

    (void)state;
    all[LAB_SEQUENTIAL] = (struct lab_figures) {.count = 3, .wall_s = {2, 2.5, 1}};
    all[LAB_PROCESSES] = (struct lab_figures) {.count = 1, .wall_s = {1}};
    all[LAB_PY_PROCESSES] = (struct lab_figures) {.count = 1, .wall_s = {4}};
    assert_true(is_near(lab_speedup(LAB_CPU, LAB_PROCESSES, all), 2));
    assert_true(is_near(lab_speedup(LAB_CPU, LAB_PY_PROCESSES, all), 0));
    all[LAB_PY_SEQUENTIAL] = (struct lab_figures) {.count = 1, .wall_s = {6}};
    assert_true(is_near(lab_speedup(LAB_CPU, LAB_PY_PROCESSES, all), 1.5));
    assert_true(is_near(lab_speedup(LAB_CPU, LAB_THREADS, all), 0));
    assert_true(is_near(lab_speedup(LAB_CRASH, LAB_PROCESSES, all), 0));
}

static void ideals(void **state)
{
    struct lab_spec spec = cpu;

    (void)state;
    assert_true(is_near(lab_ideal(&spec, LAB_PROCESSES, 2, true), 2));
    assert_true(is_near(lab_ideal(&spec, LAB_PROCESSES, 8, true), 4));
    assert_true(is_near(lab_ideal(&spec, LAB_THREADS, 1.5, true), 1.5));
    assert_true(is_near(lab_ideal(&spec, LAB_THREADS, 0.5, true), 1));
    assert_true(is_near(lab_ideal(&spec, LAB_GIL, 8, true), 1));
    assert_true(is_near(lab_ideal(&spec, LAB_PY_THREADS, 8, true), 1));
    assert_true(is_near(lab_ideal(&spec, LAB_PY_THREADS, 8, false), 4));
    assert_true(is_near(lab_ideal(&spec, LAB_PY_SEQUENTIAL, 8, true), 1));
    spec.experiment = LAB_IO;
    spec.n = 8;
    assert_true(is_near(lab_ideal(&spec, LAB_GIL, 1, true), 4));
    spec.n = 9; /* one of them has three */
    assert_true(is_near(lab_ideal(&spec, LAB_THREADS, 1, true), 3));
    spec.n = 2;
    assert_true(is_near(lab_ideal(&spec, LAB_THREADS, 1, true), 2));
    spec.experiment = LAB_RACE;
    assert_true(is_near(lab_ideal(&spec, LAB_LOCKED, 4, true), 0));
}

static void warm_ups_foretell(void **state)
{
    struct lab_spec spec = cpu;
    struct lab_figures all[LAB_MODE_COUNT] = {{0}};

    (void)state;
    spec.modes = LAB_MODE_BIT(LAB_SEQUENTIAL) | LAB_MODE_BIT(LAB_PROCESSES);
    all[LAB_SEQUENTIAL].warm_s = 0.5;
    all[LAB_PROCESSES].warm_s = 0.25;
    all[LAB_PY_SEQUENTIAL].warm_s = 100;
    assert_true(is_near(lab_predict_s(&spec, all), 0.75 * 10 * 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_has_each_mode_once_in_a_round),
        cmocka_unit_test(the_seed_decides_the_order),
        cmocka_unit_test(no_mode_is_always_behind_another),
        cmocka_unit_test(a_warm_up_does_a_tenth),
        cmocka_unit_test(medians),
        cmocka_unit_test(the_typical_run_is_the_one_at_the_median),
        cmocka_unit_test(the_worst_result_is_told),
        cmocka_unit_test(each_language_is_compared_with_itself),
        cmocka_unit_test(ideals),
        cmocka_unit_test(warm_ups_foretell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
