#include "jobs/store/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { EPOCH = 7, NOW = 5000 };

static struct record queued(void)
{
    struct store_submit w = {
        .record = {.priority = 2, .attempts_max = 3, .deadline_us = UINT64_MAX},
        .params = "{}",
        .input_bytes = 10};

    (void)snprintf(w.record.kernel, sizeof(w.record.kernel), "sum");
    return step_submit(&w, 17);
}

static struct record running(void)
{
    struct record r = queued();

    step_claim(&r, EPOCH, NOW);
    return r;
}

static void a_submission_is_queued(void **state)
{
    struct record r = queued();

    (void)state;
    assert_int_equal(r.state, RECORD_QUEUED);
    assert_int_equal(r.seq, 17);
    assert_int_equal(r.payload_bytes, 12);
    assert_int_equal(r.priority, 2);
    assert_string_equal(r.kernel, "sum");
    assert_true(r.deadline_us <= INT64_MAX);
}

static void each_claim_has_a_lease_of_its_own_and_of_its_epoch(void **state)
{
    struct record r = running();
    uint64_t first = r.lease;
    struct store_end end = {.lease = first, .state = RECORD_QUEUED, .counts = true, .run_at_us = 9};

    (void)state;
    assert_int_equal(r.attempts, 1);
    assert_int_equal(r.started_us, NOW);
    assert_int_equal(first >> 32, EPOCH);
    assert_int_equal(step_end(&r, &end), 0);
    assert_int_equal(r.run_at_us, 9);
    step_claim(&r, EPOCH, NOW);
    assert_int_equal(r.lease, first + 1);
    assert_int_equal(step_end(&r, &end), -ESTALE);
    assert_int_equal(r.state, RECORD_RUNNING);
    end.lease = r.lease;
    assert_int_equal(step_end(&r, &end), 0);
    step_claim(&r, EPOCH + 1, NOW);
    assert_int_equal(r.lease >> 32, EPOCH + 1);
    assert_int_equal(r.attempts, 3);
}

static void an_attempt_that_does_not_count_is_taken_back(void **state)
{
    struct record r = running();
    struct store_end end = {.lease = r.lease, .state = RECORD_QUEUED, .counts = false};

    (void)state;
    assert_int_equal(step_end(&r, &end), 0);
    assert_int_equal(r.attempts, 0);
}

static void an_end_has_a_time_and_how(void **state)
{
    struct record r = running();
    struct store_end end = {.lease = r.lease,
                            .state = RECORD_FAILED,
                            .counts = true,
                            .receipt.chunks = 4,
                            .attempt = {.end = {.outcome = JOB_FAILED, .text = "no"}}};

    (void)state;
    assert_int_equal(step_end(&r, &end), 0);
    assert_int_equal(r.state, RECORD_FAILED);
    assert_int_equal(r.finished_us, 1); /* 0 would mean that it has not */
    assert_string_equal(r.end.text, "no");
    assert_int_equal(r.receipt.chunks, 4);
    assert_int_equal(step_end(&r, &end), -ESTALE);
}

static void cancelling_cuts_what_runs(void **state)
{
    struct record_attempt attempt = {.number = 99};
    struct record r = queued();

    (void)state;
    r.run_at_us = 77;
    assert_int_equal(step_cancel(&r, NOW, &attempt), 0);
    assert_int_equal(attempt.number, 99);
    assert_int_equal(r.state, RECORD_CANCELLED);
    assert_int_equal(r.run_at_us, 0);
    assert_int_equal(step_cancel(&r, NOW, &attempt), -EALREADY);
    r = running();
    assert_int_equal(step_cancel(&r, NOW + 1, &attempt), 1);
    assert_int_equal(attempt.started_us, NOW);
    assert_int_equal(attempt.finished_us, NOW + 1);
    assert_int_equal(attempt.end.outcome, JOB_CANCELLED);
    assert_int_equal(r.end.outcome, JOB_CANCELLED);
}

static void only_what_went_wrong_can_be_retried(void **state)
{
    (void)state;
    for (int s = 0; s < RECORD_STATE_COUNT; s++) {
        struct record r = {
            .state = (enum record_state)s, .attempts = 3, .deadline_us = 5, .finished_us = 6};
        bool may = s == RECORD_DEAD || s == RECORD_FAILED;
        assert_int_equal(step_retry(&r), may ? 0 : -EALREADY);
        assert_int_equal(r.state, may ? RECORD_QUEUED : s);
        assert_int_equal(r.attempts, may ? 0 : 3);
        assert_int_equal(r.deadline_us, may ? 0 : 5);
        assert_int_equal(r.finished_us, may ? 0 : 6);
    }
}

static void what_the_servers_end_cut_off_waits_again(void **state)
{
    struct record_attempt attempt;
    struct record r = running();

    (void)state;
    step_cut_off(&r, NOW + 2, &attempt);
    assert_int_equal(r.state, RECORD_QUEUED);
    assert_int_equal(r.attempts, 0);
    assert_int_equal(attempt.finished_us, NOW + 2);
    assert_int_equal(attempt.end.outcome, JOB_CANCELLED);
    assert_non_null(strstr(r.end.text, "server ended"));
}

static void a_deadline_that_passed_ends_it(void **state)
{
    struct record r = queued();

    (void)state;
    r.run_at_us = 77;
    step_late(&r, NOW);
    assert_int_equal(r.state, RECORD_FAILED);
    assert_int_equal(r.finished_us, NOW);
    assert_int_equal(r.run_at_us, 0);
    assert_int_equal(r.end.outcome, JOB_DEADLINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submission_is_queued),
        cmocka_unit_test(each_claim_has_a_lease_of_its_own_and_of_its_epoch),
        cmocka_unit_test(an_attempt_that_does_not_count_is_taken_back),
        cmocka_unit_test(an_end_has_a_time_and_how),
        cmocka_unit_test(cancelling_cuts_what_runs),
        cmocka_unit_test(only_what_went_wrong_can_be_retried),
        cmocka_unit_test(what_the_servers_end_cut_off_waits_again),
        cmocka_unit_test(a_deadline_that_passed_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
