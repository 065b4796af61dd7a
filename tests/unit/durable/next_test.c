#include "durable/next.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct next_rules rules = {
    .now_us = 5000000, .backoff_us = 1000000, .backoff_max_us = 60000000, .random = 0};

static struct next after(enum job_outcome outcome, unsigned attempts, unsigned attempts_max)
{
    struct record record = {.attempts = attempts, .attempts_max = attempts_max};
    struct job job = {.outcome = outcome};

    return next_of(&record, &job, &rules);
}

static struct next after_refusal(enum job_refusal refusal, uint64_t retry_after_s)
{
    struct record record = {.attempts = 1, .attempts_max = 3};
    struct job job = {.outcome = JOB_REFUSED, .refusal = refusal, .retry_after_s = retry_after_s};

    return next_of(&record, &job, &rules);
}

static void test_ends(void **state)
{
    (void)state;
    assert_int_equal(after(JOB_OK, 1, 3).state, RECORD_SUCCEEDED);
    assert_int_equal(after(JOB_FAILED, 1, 3).state, RECORD_FAILED);
    assert_int_equal(after(JOB_DEADLINE, 1, 3).state, RECORD_FAILED);
    assert_true(after(JOB_DEADLINE, 1, 3).counts);
}

static void test_deaths_are_tried_again_until_attempts_are_used_up(void **state)
{
    (void)state;
    assert_int_equal(after(JOB_DIED, 1, 3).state, RECORD_QUEUED);
    assert_int_equal(after(JOB_DIED, 2, 3).state, RECORD_QUEUED);
    assert_true(after(JOB_DIED, 2, 3).counts);
    assert_int_equal(after(JOB_DIED, 3, 3).state, RECORD_DEAD);
    assert_true(after(JOB_DIED, 3, 3).counts);
    assert_int_equal(after(JOB_DIED, 1, 1).state, RECORD_DEAD);
}

static uint64_t pause_us(unsigned attempts, uint64_t random)
{
    struct record record = {.attempts = attempts, .attempts_max = 100};
    struct job job = {.outcome = JOB_DIED};
    struct next_rules drawn = rules;

    drawn.random = random;
    return next_of(&record, &job, &drawn).run_at_us - rules.now_us;
}

static void test_pause_doubles_with_jitter_up_to_its_maximum(void **state)
{
    (void)state;
    assert_int_equal(pause_us(1, 0), 500000);
    assert_int_equal(pause_us(1, 500000), 1000000);
    assert_int_equal(pause_us(1, 500001), 500000);
    assert_int_equal(pause_us(2, 0), 1000000);
    assert_int_equal(pause_us(3, 0), 2000000);
    assert_int_equal(pause_us(7, 0), 30000000);
    assert_int_equal(pause_us(99, 0), 30000000);
    for (uint64_t random = 0; random < 100; random++) {
        uint64_t us = pause_us(4, random * 7919777);
        assert_in_range(us, 4000000, 8000000);
    }
}

static void test_no_pause_when_none_is_wanted(void **state)
{
    struct record record = {.attempts = 1, .attempts_max = 3};
    struct job job = {.outcome = JOB_DIED};
    struct next_rules at_once = {.now_us = 7, .random = 12345};

    (void)state;
    assert_int_equal(next_of(&record, &job, &at_once).run_at_us, 7);
}

static void test_what_the_end_of_the_server_cut_off_costs_no_attempt(void **state)
{
    struct next next = after(JOB_CANCELLED, 3, 3);

    (void)state;
    assert_int_equal(next.state, RECORD_QUEUED);
    assert_false(next.counts);
    assert_int_equal(next.run_at_us, 0);
}

static void test_what_never_began_costs_no_attempt(void **state)
{
    struct next next = after_refusal(JOB_REFUSAL_QUEUE_FULL, 3);

    (void)state;
    assert_int_equal(next.state, RECORD_QUEUED);
    assert_false(next.counts);
    assert_int_equal(next.run_at_us, rules.now_us + 3000000);
    assert_int_equal(after_refusal(JOB_REFUSAL_BRAKE, 0).run_at_us, rules.now_us + 1000000);
    next = after_refusal(JOB_REFUSAL_DRAINING, 1);
    assert_int_equal(next.state, RECORD_QUEUED);
    assert_int_equal(next.run_at_us, 0);
}

static void test_a_broken_kernel_fails_its_jobs(void **state)
{
    (void)state;
    assert_int_equal(after_refusal(JOB_REFUSAL_BROKEN, 0).state, RECORD_FAILED);
}

static void test_a_kernel_that_is_replaced_meanwhile_keeps_its_jobs(void **state)
{
    struct next next = after_refusal(JOB_REFUSAL_BROKEN, 1);

    (void)state;
    assert_int_equal(next.state, RECORD_QUEUED);
    assert_false(next.counts);
    assert_int_equal(next.run_at_us, rules.now_us + 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_deaths_are_tried_again_until_attempts_are_used_up),
        cmocka_unit_test(test_pause_doubles_with_jitter_up_to_its_maximum),
        cmocka_unit_test(test_no_pause_when_none_is_wanted),
        cmocka_unit_test(test_what_the_end_of_the_server_cut_off_costs_no_attempt),
        cmocka_unit_test(test_what_never_began_costs_no_attempt),
        cmocka_unit_test(test_a_broken_kernel_fails_its_jobs),
        cmocka_unit_test(test_a_kernel_that_is_replaced_meanwhile_keeps_its_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
