#include "lab/advice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct lab_figures took(double wall_s)
{
    return (struct lab_figures) {.count = 1, .wall_s = {wall_s}};
}

static struct lab_facts facts = {.cores = 2, .python_has_lock = true};

static struct lab_advice advise(enum lab_experiment experiment, const struct lab_figures *all)
{
    struct lab_spec spec = {.experiment = experiment, .n = 100, .workers = 2, .repeat = 1};
    struct lab_advice advice;

    lab_advise(&spec, all, &facts, &advice);
    return advice;
}

#define assert_says(text, words)       assert_non_null(strstr(text, words))
#define assert_never_says(text, words) assert_null(strstr(text, words))

static void work_that_computes(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {[LAB_SEQUENTIAL] = took(2),
                                              [LAB_THREADS] = took(1.1),
                                              [LAB_GIL] = took(2.02),
                                              [LAB_PROCESSES] = took(1.05)};
    struct lab_advice a = advise(LAB_CPU, all);

    (void)state;
    assert_string_equal(a.headline, "This work computes: processes.");
    assert_says(a.text, "Two processes were 1.90× as fast");
    assert_says(a.text, "were 0.99× as fast as one");
    assert_says(a.text, "without it were 1.82×");
    assert_never_says(a.text, "Python");
    assert_never_says(a.text, "Others used");
}

static void a_machine_that_is_busy_or_small(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {
        [LAB_SEQUENTIAL] = took(1), [LAB_PROCESSES] = took(0.98)};
    struct lab_advice a;

    (void)state;
    facts.background_cores = 1.4;
    a = advise(LAB_CPU, all);
    assert_string_equal(a.headline, "The machine was too busy to tell.");
    facts.background_cores = 0.8;
    a = advise(LAB_CPU, all);
    assert_string_equal(a.headline, "Nothing was gained by sharing it out.");
    assert_says(a.text, "Others used 0.8 of the machine's cores");
    facts.cores = 1;
    a = advise(LAB_CPU, all);
    assert_says(a.text, "one core alone");
    facts.cores = 2;
    facts.background_cores = 0;
}

static void what_is_too_short_to_share(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {
        [LAB_SEQUENTIAL] = took(0.0014), [LAB_PROCESSES] = took(0.004)};

    (void)state;
    assert_says(advise(LAB_CPU, all).text, "in 1.4 ms");
    all[LAB_SEQUENTIAL] = took(0.014);
    assert_never_says(advise(LAB_CPU, all).text, "larger n");
}

static void a_lock_that_cannot_have_been_one(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {[LAB_SEQUENTIAL] = took(2), [LAB_GIL] = took(1)};

    (void)state;
    assert_says(advise(LAB_CPU, all).text, "too busy to tell");
    assert_never_says(advise(LAB_CPU, all).text, "buys nothing");
}

static void python_beside_c(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {[LAB_SEQUENTIAL] = took(0.05),
                                              [LAB_PY_SEQUENTIAL] = took(5),
                                              [LAB_PY_THREADS] = took(5.1),
                                              [LAB_PY_PROCESSES] = took(2.6)};
    struct lab_advice a = advise(LAB_CPU, all);

    (void)state;
    assert_string_equal(a.headline, "This work computes: processes.");
    assert_says(a.text, "threads 0.98×, processes 1.92×");
    assert_says(a.text, "5 s in Python and 0.05 s in C");
    assert_never_says(a.text, "no global lock");
    facts.python_has_lock = false;
    assert_says(advise(LAB_CPU, all).text, "no global lock");
    facts.python_has_lock = true;
    assert_never_says(advise(LAB_IO, all).text, "in C");
}

static void work_that_waits(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {[LAB_SEQUENTIAL] = took(0.4),
                                              [LAB_THREADS] = took(0.2),
                                              [LAB_GIL] = took(0.2),
                                              [LAB_PROCESSES] = took(0.25)};
    struct lab_advice a = advise(LAB_IO, all);

    (void)state;
    assert_string_equal(a.headline, "This work waits: threads.");
    assert_says(a.text, "Two threads were 2.00×");
    assert_says(a.text, "Under one lock it is 2.00×");
    assert_says(a.text, "Processes gain 1.60×");
}

static void additions_are_lost_or_not(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {
        [LAB_UNLOCKED] = took(0.1), [LAB_LOCKED] = took(0.5), [LAB_ATOMIC] = took(0.2)};
    struct lab_advice a;

    (void)state;
    all[LAB_UNLOCKED].results[0] = 1500000;
    all[LAB_UNLOCKED].expected = 2000000;
    a = advise(LAB_RACE, all);
    assert_string_equal(a.headline, "Without the lock, additions are lost.");
    assert_says(a.text, "Of 2,000,000 additions up to 500,000 were lost (25 %)");
    assert_says(a.text, "The lock makes it right and 5.0× as slow");
    assert_says(a.text, "2.0× as slow");
    all[LAB_UNLOCKED].results[0] = 2000000;
    a = advise(LAB_RACE, all);
    assert_string_equal(a.headline, "No addition was lost this time.");
    all[LAB_UNLOCKED].count = 0;
    a = advise(LAB_RACE, all);
    assert_never_says(a.text, "lost");
    assert_string_equal(a.text, "");
}

static void a_crash(void **state)
{
    struct lab_figures all[LAB_MODE_COUNT] = {[LAB_THREADS] = took(0.1)};

    (void)state;
    all[LAB_THREADS].expected = 2;
    assert_says(advise(LAB_CRASH, all).text, "One of 2 threads followed a bad pointer: 0 answered");
    assert_never_says(advise(LAB_CRASH, all).text, "2 processes");
    all[LAB_PROCESSES] = took(0.1);
    all[LAB_PROCESSES].expected = 2;
    all[LAB_PROCESSES].results[0] = 1;
    assert_says(advise(LAB_CRASH, all).text, "One of 2 processes did the same: 1 answered");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_that_computes),
        cmocka_unit_test(a_machine_that_is_busy_or_small),
        cmocka_unit_test(what_is_too_short_to_share),
        cmocka_unit_test(a_lock_that_cannot_have_been_one),
        cmocka_unit_test(python_beside_c),
        cmocka_unit_test(work_that_waits),
        cmocka_unit_test(additions_are_lost_or_not),
        cmocka_unit_test(a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
