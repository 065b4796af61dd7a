#include "jobs/store/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drive.h"
#include "thread/thread.h"

#define SECOND UINT64_C(1000000)

enum { START_US = 1000000000 };

static const struct store_limits roomy = {
    .queued_max = 1000,
    .queued_bytes_max = 1 << 20,
    .results_bytes_max = 1 << 20,
    .result_keep_us = 100 * SECOND,
    .records_max = 1000,
    .record_keep_us = 1000 * SECOND,
};

static struct drive open_with(struct store_limits limits)
{
    const struct store_config config = {.engine = "memory", .limits = limits};
    struct drive d = {.engine = &engine_memory, .now_us = START_US};

    assert_int_equal(engine_memory.open(&d.e, &config, NULL), 0);
    return d;
}

static int set_up(void **state)
{
    static struct drive d;

    d = open_with(roomy);
    *state = &d;
    return 0;
}

static int tear_down(void **state)
{
    const struct drive *d = *state;

    engine_memory.close(d->e);
    return 0;
}

#define assert_same(a, b) assert_string_equal(difference(a, b), "")

static const char *difference(const struct record *a, const struct record *b)
{
    const char *field = drive_difference(a, b);

    return field == NULL ? "" : field;
}

static struct record find(const struct drive *d, const struct id *id)
{
    struct record r;

    assert_int_equal(engine_memory.find(d->e, id->text, &r), 0);
    return r;
}

/* ---- submit ---- */

static void a_submission_is_found_complete(void **state)
{
    const struct drive *d = *state;
    struct store_submit w = drive_submission(d, "{\"a\":1}");
    struct record r;

    w.record.seq = 99;
    w.record.state = RECORD_DEAD;
    w.record.attempts = 7;
    w.record.end.outcome = JOB_DIED;
    w.record.deadline_us = START_US + 5;
    w.input_kind = PRONG_INPUT_RAW;
    w.input = "abc";
    w.input_bytes = 3;
    assert_int_equal(drive_write(d, &w.write), 0);
    r = find(d, &w.record.id);
    assert_same(&r, &w.record);
    assert_int_equal(r.seq, 1);
    assert_int_equal(r.state, RECORD_QUEUED);
    assert_int_equal(r.attempts, 0);
    assert_int_equal(r.end.outcome, JOB_PENDING);
    assert_int_equal(r.payload_bytes, 10);
    assert_int_equal(r.deadline_us, START_US + 5);
    assert_int_equal(r.chunks_wanted, 3);
    assert_string_equal(r.kernel, "sum");
    assert_int_equal(drive_submit(d).seq, 2);
    assert_int_equal(engine_memory.find(d->e, "no id at all", &r), -ENOENT);
}

static void its_payload_comes_back_as_it_was(void **state)
{
    const struct drive *d = *state;
    struct store_submit w = drive_submission(d, "{\"a\":1}");
    struct payload payload;
    char *params;

    w.input_kind = PRONG_INPUT_RAW;
    w.input = "a\0c";
    w.input_bytes = 3;
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(engine_memory.payload(d->e, w.record.seq, &payload), 0);
    assert_string_equal(payload.params, "{\"a\":1}");
    assert_int_equal(payload.input_kind, PRONG_INPUT_RAW);
    assert_int_equal(payload.input_bytes, 3);
    assert_memory_equal(payload.input, "a\0c", 3);
    payload_release(&payload);
    assert_int_equal(engine_memory.params(d->e, w.record.seq, &params), 0);
    assert_string_equal(params, "{\"a\":1}");
    free(params);
    assert_int_equal(engine_memory.payload(d->e, drive_submit(d).seq, &payload), 0);
    assert_int_equal(payload.input_kind, PRONG_INPUT_NONE);
    assert_null(payload.input);
    payload_release(&payload);
    assert_int_equal(engine_memory.payload(d->e, 77, &payload), -ENODATA);
    assert_int_equal(engine_memory.params(d->e, 77, &params), -ENODATA);
}

static void a_key_gives_the_same_job_until_it_is_forgotten(void **state)
{
    const struct drive *d = *state;
    struct store_submit first = drive_submission(d, "{}"), again = drive_submission(d, "{}");
    struct store_submit other = drive_submission(d, "[]");
    struct id id = first.record.id;

    first.key = again.key = other.key = "key";
    first.fingerprint = again.fingerprint = 5;
    other.fingerprint = 6;
    assert_int_equal(drive_write(d, &first.write), 0);
    assert_int_equal(drive_change(d, STORE_CANCEL, &id, NULL, NULL), 0);
    assert_int_equal(drive_write(d, &again.write), 1);
    assert_string_equal(again.record.id.text, id.text);
    assert_int_equal(again.record.state, RECORD_CANCELLED);
    assert_int_equal(drive_write(d, &other.write), -EEXIST);
    assert_int_equal(drive_change(d, STORE_FORGET, &id, NULL, NULL), 0);
    assert_int_equal(drive_write(d, &other.write), 0);
    assert_int_equal(other.record.seq, 2);
}

static int try_submit(const struct drive *d, const char *client, const char *params)
{
    struct store_submit w = drive_submission(d, params);

    (void)snprintf(w.record.client, sizeof(w.record.client), "%s", client);
    return drive_write(d, &w.write);
}

static void the_queue_has_its_limits(void **state)
{
    struct store_limits limits = roomy;
    struct store_counts counts;
    struct drive d;

    (void)state;
    limits.queued_max = 4;
    limits.queued_bytes_max = 20;
    d = open_with(limits);
    assert_int_equal(try_submit(&d, "b", "{}"), 0);
    assert_int_equal(try_submit(&d, "a", "{}"), 0);
    assert_int_equal(try_submit(&d, "a", "{}"), 0);
    assert_int_equal(try_submit(&d, "a", "{}"), -EDQUOT);
    assert_int_equal(try_submit(&d, "b", "[1,2,3,4,5,6]"), 0);
    assert_int_equal(try_submit(&d, "b", "{}"), -EBUSY);
    assert_int_equal(drive_claim(&d, 1, &(struct record) {0}), 1);
    assert_int_equal(try_submit(&d, "c", "{}"), -EFBIG);
    engine_memory.count(d.e, &counts);
    assert_int_equal(counts.queued[1], 3);
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.queued_bytes, 19);
    engine_memory.close(d.e);
}

/* ---- claim ---- */

static void claims_follow_priority_then_order(void **state)
{
    const struct drive *d = *state;
    const unsigned priorities[] = {2, 1, 0, 1, 2, 0}, expected[] = {3, 6, 2, 4, 1, 5};
    struct record records[6];
    uint64_t position;

    for (size_t i = 0; i < 6; i++) {
        struct store_submit w = drive_submission(d, "{}");
        w.record.priority = priorities[i];
        assert_int_equal(drive_write(d, &w.write), 0);
        records[i] = w.record;
    }
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(engine_memory.position(d->e, &records[expected[i] - 1], &position), 0);
        assert_int_equal(position, i);
    }
    assert_int_equal(drive_claim(d, 4, records), 4);
    assert_int_equal(drive_claim(d, 4, &records[4]), 2);
    assert_int_equal(drive_claim(d, 4, &records[4]), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(records[i].seq, expected[i]);
}

static void a_claimed_job_runs_under_a_new_lease(void **state)
{
    struct drive *d = *state;
    struct record first, second, r;

    r = drive_submit(d);
    d->now_us += SECOND;
    assert_int_equal(drive_claim(d, 1, &first), 1);
    assert_int_equal(first.state, RECORD_RUNNING);
    assert_int_equal(first.attempts, 1);
    assert_int_equal(first.started_us, d->now_us);
    assert_true(first.lease >> 32 > 0);
    r = find(d, &r.id);
    assert_same(&r, &first);
    assert_int_equal(drive_end(d, &first, RECORD_QUEUED), 0);
    d->now_us += SECOND;
    assert_int_equal(drive_claim(d, 1, &second), 1);
    assert_int_equal(second.attempts, 2);
    assert_int_equal(second.end.outcome, JOB_PENDING);
    assert_true(second.lease > first.lease);
    assert_int_equal(drive_end(d, &first, RECORD_SUCCEEDED), -ESTALE);
    assert_int_equal(drive_end(d, &second, RECORD_SUCCEEDED), 0);
    assert_int_equal(drive_end(d, &second, RECORD_SUCCEEDED), -ESTALE);
}

static void a_job_that_may_not_run_yet_waits(void **state)
{
    struct drive *d = *state;
    struct record waiting = drive_to(d, RECORD_RUNNING), other, claimed;
    struct store_claim w = {.write.kind = STORE_CLAIM, .want = 1, .records = &claimed};
    uint64_t position;

    assert_int_equal(drive_end(d, &waiting, RECORD_QUEUED), 0);
    other = drive_submit(d);
    assert_int_equal(engine_memory.position(d->e, &other, &position), 0);
    assert_int_equal(position, 0);
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.count, 1);
    assert_int_equal(claimed.seq, other.seq);
    assert_int_equal(w.next_us, d->now_us + 1000);
    assert_int_equal(find(d, &waiting.id).run_at_us, d->now_us + 1000);
    d->now_us += 1000;
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.count, 1);
    assert_int_equal(claimed.seq, waiting.seq);
    assert_int_equal(w.next_us, 0);
}

static struct record submit_until(const struct drive *d, uint64_t deadline_us)
{
    struct store_submit w = drive_submission(d, "{}");

    w.record.deadline_us = deadline_us;
    assert_int_equal(drive_write(d, &w.write), 0);
    return w.record;
}

static void the_late_fail_instead_of_running(void **state)
{
    struct drive *d = *state;
    struct record late = submit_until(d, START_US + 10), later = submit_until(d, START_US + 99);
    struct store_claim w = {.write.kind = STORE_CLAIM};
    struct record r;

    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.late_count, 0);
    assert_int_equal(w.next_us, START_US + 10);
    d->now_us += 10;
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.late_count, 1);
    assert_string_equal(w.late[0].text, late.id.text);
    assert_int_equal(w.next_us, START_US + 99);
    r = find(d, &late.id);
    assert_int_equal(r.state, RECORD_FAILED);
    assert_int_equal(r.end.outcome, JOB_DEADLINE);
    assert_int_equal(r.finished_us, d->now_us);
    assert_true(r.end.text[0] != '\0');
    assert_int_equal(drive_claim(d, 1, &r), 1);
    assert_int_equal(r.seq, later.seq);
}

static void of_too_many_late_ones_none_runs(void **state)
{
    struct drive *d = *state;
    struct record r;
    struct store_claim w = {.write.kind = STORE_CLAIM, .want = 1, .records = &r};

    for (unsigned i = 0; i < STORE_CLAIM_MAX + 3; i++)
        (void)submit_until(d, START_US + 1);
    d->now_us += 1;
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.late_count, STORE_CLAIM_MAX);
    assert_int_equal(w.count, 0);
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.late_count, 3);
    assert_int_equal(w.count, 0);
}

static void no_claim_is_longer_than_its_limit(void **state)
{
    const struct drive *d = *state;
    static struct record records[STORE_CLAIM_MAX + 1];

    for (unsigned i = 0; i < STORE_CLAIM_MAX + 1; i++)
        (void)drive_submit(d);
    assert_int_equal(drive_claim(d, STORE_CLAIM_MAX + 1, records), STORE_CLAIM_MAX);
}

/* ---- end ---- */

static void a_success_keeps_its_result(void **state)
{
    const struct drive *d = *state;
    struct record r = drive_to(d, RECORD_SUCCEEDED);
    struct store_result result;
    struct store_counts counts;

    assert_int_equal(r.state, RECORD_SUCCEEDED);
    assert_int_equal(r.finished_us, d->now_us);
    assert_int_equal(r.end.outcome, JOB_OK);
    assert_string_equal(r.end.text, "how it went");
    assert_int_equal(r.receipt.cpu_ns, 3);
    assert_int_equal(r.result, RECORD_RESULT_KEPT);
    assert_int_equal(r.result_bytes, 10);
    assert_string_equal(r.media_type, "application/json");
    assert_int_equal(engine_memory.result(d->e, r.seq, &result), 0);
    assert_int_equal(result.fd, -1);
    assert_int_equal(result.bytes, 10);
    assert_memory_equal(result.data, "{\"sum\":45}", 10);
    free(result.data);
    engine_memory.count(d->e, &counts);
    assert_int_equal(counts.results_bytes, 10);
    assert_int_equal(counts.ended, 1);
    assert_int_equal(engine_memory.result(d->e, drive_submit(d).seq, &result), -ENODATA);
}

static void an_attempt_that_does_not_count_is_only_recorded(void **state)
{
    struct drive *d = *state;
    struct record r = drive_to(d, RECORD_RUNNING);
    struct store_end w = drive_ending(d, &r, RECORD_QUEUED);
    struct record_attempt *attempts;

    w.counts = false;
    w.run_at_us = 0;
    w.attempt.end.wait_status = 9;
    w.attempt.end.was_oom = true;
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(w.seq, r.seq);
    assert_int_equal(find(d, &r.id).attempts, 0);
    assert_int_equal(find(d, &r.id).end.outcome, JOB_DIED);
    assert_int_equal(drive_claim(d, 1, &r), 1);
    assert_int_equal(r.attempts, 1);
    assert_int_equal(drive_end(d, &r, RECORD_FAILED), 0);
    assert_int_equal(engine_memory.attempts(d->e, r.seq, &attempts), 2);
    assert_int_equal(attempts[0].number, 1);
    assert_int_equal(attempts[0].end.outcome, JOB_DIED);
    assert_int_equal(attempts[0].end.wait_status, 9);
    assert_true(attempts[0].end.was_oom);
    assert_string_equal(attempts[0].end.text, "how it went");
    assert_int_equal(attempts[1].number, 2);
    assert_int_equal(attempts[1].end.outcome, JOB_FAILED);
    assert_int_equal(attempts[1].finished_us, d->now_us);
    free(attempts);
}

static void the_newest_attempts_are_remembered(void **state)
{
    struct drive *d = *state;
    struct record r = drive_submit(d);
    struct record_attempt *attempts;

    for (unsigned i = 0; i < RECORD_ATTEMPTS_MAX + 5; i++) {
        d->now_us += SECOND;
        assert_int_equal(drive_claim(d, 1, &r), 1);
        assert_int_equal(drive_end(d, &r, RECORD_QUEUED), 0);
    }
    assert_int_equal(engine_memory.attempts(d->e, r.seq, &attempts), RECORD_ATTEMPTS_MAX);
    for (unsigned i = 0; i < RECORD_ATTEMPTS_MAX; i++)
        assert_int_equal(attempts[i].number, i + 6);
    free(attempts);
    assert_int_equal(engine_memory.attempts(d->e, 77, &attempts), 0);
    free(attempts);
}

/* ---- changes by a client ---- */

static void cancelling_ends_what_waits_or_runs(void **state)
{
    const struct drive *d = *state;
    const enum record_state states[] = {RECORD_QUEUED, RECORD_RUNNING};
    struct record_attempt *attempts;

    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        struct record r = drive_to(d, states[i]), now, found;
        bool was_running;
        assert_int_equal(drive_change(d, STORE_CANCEL, &r.id, &now, &was_running), 0);
        assert_int_equal(was_running, states[i] == RECORD_RUNNING);
        found = find(d, &r.id);
        assert_same(&now, &found);
        assert_int_equal(now.state, RECORD_CANCELLED);
        assert_int_equal(now.end.outcome, JOB_CANCELLED);
        assert_int_equal(now.finished_us, d->now_us);
        assert_int_equal(drive_end(d, &r, RECORD_SUCCEEDED), -ESTALE);
        assert_int_equal(engine_memory.attempts(d->e, r.seq, &attempts), was_running);
        free(attempts);
        assert_int_equal(drive_change(d, STORE_CANCEL, &r.id, &now, &was_running), -EALREADY);
        assert_int_equal(now.state, RECORD_CANCELLED);
        assert_false(was_running);
    }
    assert_int_equal(drive_change(d, STORE_CANCEL, &(struct id) {"x"}, NULL, NULL), -ENOENT);
}

static void only_the_dead_and_failed_are_retried(void **state)
{
    struct drive *d = *state;

    for (enum record_state s = RECORD_QUEUED; s < RECORD_STATE_COUNT; s++) {
        bool can = s == RECORD_DEAD || s == RECORD_FAILED;
        struct record r = drive_to(d, s), now, claimed;
        assert_int_equal(drive_change(d, STORE_RETRY, &r.id, &now, NULL), can ? 0 : -EALREADY);
        assert_int_equal(now.state, can ? RECORD_QUEUED : s);
        while (drive_claim(d, 1, &claimed) == 1) {
            assert_int_equal(claimed.attempts, 1);
            assert_true(claimed.lease > r.lease);
        }
    }
    assert_int_equal(drive_change(d, STORE_RETRY, &(struct id) {"x"}, NULL, NULL), -ENOENT);
}

static void a_retry_needs_room_and_its_payload(void **state)
{
    static char large[STORE_PARAMS_KEPT_MAX + 2];
    struct store_limits limits = roomy;
    struct drive d;
    struct record r;
    struct store_submit w;

    (void)state;
    limits.queued_max = 1;
    d = open_with(limits);
    memset(large, ' ', sizeof(large) - 1);
    w = drive_submission(&d, large);
    assert_int_equal(drive_write(&d, &w.write), 0);
    assert_int_equal(drive_claim(&d, 1, &r), 1);
    assert_int_equal(drive_end(&d, &r, RECORD_DEAD), 0);
    w = drive_submission(&d, "{}");
    assert_int_equal(drive_write(&d, &w.write), 0);
    assert_int_equal(drive_change(&d, STORE_RETRY, &r.id, NULL, NULL), -EBUSY);
    assert_int_equal(drive_change(&d, STORE_CANCEL, &w.record.id, NULL, NULL), 0);
    d.now_us += limits.result_keep_us;
    assert_int_equal(drive_sweep(&d), 1);
    assert_int_equal(drive_change(&d, STORE_RETRY, &r.id, &r, NULL), -ENODATA);
    assert_int_equal(r.state, RECORD_DEAD);
    engine_memory.close(d.e);
}

static void a_retry_must_leave_room_for_other_clients(void **state)
{
    struct store_limits limits = roomy;
    struct drive d;
    struct record dead;

    (void)state;
    limits.queued_max = 4;
    d = open_with(limits);
    dead = drive_to(&d, RECORD_DEAD);
    assert_int_equal(try_submit(&d, "127.0.0.1", "{}"), 0);
    assert_int_equal(try_submit(&d, "127.0.0.1", "{}"), 0);
    assert_int_equal(try_submit(&d, "other", "{}"), 0);
    assert_int_equal(drive_change(&d, STORE_RETRY, &dead.id, NULL, NULL), -EBUSY);
    assert_int_equal(drive_claim(&d, 1, &(struct record) {0}), 1);
    assert_int_equal(drive_change(&d, STORE_RETRY, &dead.id, NULL, NULL), 0);
    engine_memory.close(d.e);
}

static void only_what_has_ended_is_forgotten(void **state)
{
    const struct drive *d = *state;

    for (enum record_state s = RECORD_QUEUED; s < RECORD_STATE_COUNT; s++) {
        struct record r = drive_to(d, s);
        struct record_attempt *attempts;
        int rc = drive_change(d, STORE_FORGET, &r.id, NULL, NULL);
        assert_int_equal(rc, record_has_ended(s) ? 0 : -EBUSY);
        assert_int_equal(engine_memory.find(d->e, r.id.text, &r), rc == 0 ? -ENOENT : 0);
        assert_int_equal(engine_memory.attempts(d->e, r.seq, &attempts), 0);
        free(attempts);
        if (rc < 0)
            assert_int_equal(drive_change(d, STORE_CANCEL, &r.id, NULL, NULL), 0);
    }
    assert_int_equal(drive_change(d, STORE_FORGET, &(struct id) {"x"}, NULL, NULL), -ENOENT);
}

/* ---- what is kept for how long ---- */

static void fill(char *text, size_t bytes)
{
    memset(text, ' ', bytes);
    text[bytes] = '\0';
}

static void what_is_kept_of_a_payload_depends_on_the_end(void **state)
{
    static char most[STORE_PARAMS_KEPT_MAX + 1], more[STORE_PARAMS_KEPT_MAX + 2];
    static const char input[STORE_PAYLOAD_SMALL_MAX];
    const struct {
        const char *params;
        size_t input_bytes;
        bool has_input, is_small, are_params_kept;
    } cases[] = {
        {"{}", 0, false, true, true},
        {"{}", STORE_PAYLOAD_SMALL_MAX - 2, true, true, true},
        {"{}", STORE_PAYLOAD_SMALL_MAX - 1, true, false, true},
        {most, 0, false, true, true},
        {most, 0, true, false, true},
        {more, 0, false, false, false},
    };
    const struct drive *d = *state;

    fill(most, STORE_PARAMS_KEPT_MAX);
    fill(more, STORE_PARAMS_KEPT_MAX + 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (enum record_state s = RECORD_SUCCEEDED; s < RECORD_STATE_COUNT; s++) {
            struct store_submit w = drive_submission(d, cases[i].params);
            bool can_retry = s == RECORD_FAILED || s == RECORD_DEAD;
            struct payload payload = {0};
            char *params = NULL;
            w.input_kind = cases[i].has_input ? PRONG_INPUT_RAW : PRONG_INPUT_NONE;
            w.input = input;
            w.input_bytes = cases[i].input_bytes;
            assert_int_equal(drive_write(d, &w.write), 0);
            assert_int_equal(drive_claim(d, 1, &w.record), 1);
            assert_int_equal(drive_end(d, &w.record, s), 0);
            assert_int_equal(engine_memory.payload(d->e, w.record.seq, &payload),
                             cases[i].is_small || can_retry ? 0 : -ENODATA);
            payload_release(&payload);
            assert_int_equal(engine_memory.params(d->e, w.record.seq, &params),
                             cases[i].are_params_kept || can_retry ? 0 : -ENODATA);
            free(params);
        }
    }
}

static void results_and_records_go_when_their_time_has_come(void **state)
{
    struct drive *d = *state;
    struct record old = drive_to(d, RECORD_SUCCEEDED), young, r;
    struct store_counts counts;
    struct store_result result;

    d->now_us += roomy.result_keep_us - 1;
    young = drive_to(d, RECORD_SUCCEEDED);
    assert_int_equal(drive_sweep(d), 0);
    d->now_us += 1;
    assert_int_equal(drive_sweep(d), 1);
    r = find(d, &old.id);
    assert_int_equal(r.result, RECORD_RESULT_EXPIRED);
    assert_int_equal(r.result_bytes, 10);
    assert_int_equal(engine_memory.result(d->e, old.seq, &result), -ENODATA);
    assert_int_equal(find(d, &young.id).result, RECORD_RESULT_KEPT);
    d->now_us = START_US + roomy.record_keep_us;
    assert_int_equal(drive_sweep(d), 2);
    assert_int_equal(engine_memory.find(d->e, old.id.text, &r), -ENOENT);
    assert_int_equal(find(d, &young.id).result, RECORD_RESULT_EXPIRED);
    engine_memory.count(d->e, &counts);
    assert_int_equal(counts.ended, 1);
    assert_int_equal(counts.results_bytes, 0);
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct store_limits limits = roomy;
    struct record records[4], r;
    struct drive d;

    (void)state;
    limits.records_max = 3;
    limits.results_bytes_max = 20;
    d = open_with(limits);
    for (size_t i = 0; i < 4; i++)
        records[i] = drive_to(&d, RECORD_SUCCEEDED);
    assert_int_equal(drive_sweep(&d), 2);
    assert_int_equal(engine_memory.find(d.e, records[0].id.text, &r), -ENOENT);
    assert_int_equal(find(&d, &records[1].id).result, RECORD_RESULT_EXPIRED);
    assert_int_equal(find(&d, &records[2].id).result, RECORD_RESULT_KEPT);
    assert_int_equal(drive_sweep(&d), 0);
    engine_memory.close(d.e);
}

static void no_sweep_is_longer_than_its_limit(void **state)
{
    struct drive *d = *state;

    for (unsigned i = 0; i < STORE_SWEEP_MAX + 3; i++)
        (void)drive_to(d, RECORD_DEAD);
    d->now_us += roomy.record_keep_us;
    assert_int_equal(drive_sweep(d), STORE_SWEEP_MAX);
    assert_int_equal(drive_sweep(d), 3);
    assert_int_equal(drive_sweep(d), 0);
}

/* ---- pages ---- */

static int list(const struct drive *d, int state, const char *kernel, uint64_t before, size_t max,
                struct record *ret)
{
    const struct store_filter filter = {state, kernel, before};

    return engine_memory.list(d->e, &filter, max, ret);
}

static void pages_are_filtered_newest_first(void **state)
{
    const struct drive *d = *state;
    struct record records[8];

    (void)drive_to(d, RECORD_DEAD);
    (void)drive_to(d, RECORD_SUCCEEDED);
    (void)drive_to(d, RECORD_DEAD);
    struct store_submit w = drive_submission(d, "{}");
    (void)snprintf(w.record.kernel, sizeof(w.record.kernel), "pi");
    assert_int_equal(drive_write(d, &w.write), 0);
    assert_int_equal(list(d, -1, NULL, 0, 8, records), 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(records[i].seq, 4 - i);
    assert_int_equal(list(d, -1, NULL, 3, 1, records), 1);
    assert_int_equal(records[0].seq, 2);
    assert_int_equal(list(d, RECORD_DEAD, NULL, 0, 8, records), 2);
    assert_int_equal(records[1].seq, 1);
    assert_int_equal(list(d, RECORD_DEAD, NULL, 3, 8, records), 1);
    assert_int_equal(list(d, -1, "pi", 0, 8, records), 1);
    assert_int_equal(records[0].seq, 4);
    assert_int_equal(list(d, -1, "sum", 0, 8, records), 3);
    assert_int_equal(list(d, RECORD_SUCCEEDED, "sum", 0, 8, records), 1);
    assert_int_equal(list(d, RECORD_SUCCEEDED, "pi", 0, 8, records), 0);
    assert_int_equal(list(d, -1, "never", 0, 8, records), 0);
    assert_int_equal(list(d, -1, NULL, 1, 8, records), 0);
}

/* ---- the shared state ---- */

struct rows {
    struct store_state state;
    const char *const (*rows)[2];
    size_t count, next, rewinds;
};

static bool next_row(struct store_state *w, bool rewind, const char **ret_key,
                     const char **ret_value, uint64_t *ret_version)
{
    struct rows *r = CONTAINER_OF(w, struct rows, state);

    if (rewind) {
        r->next = 0;
        r->rewinds++;
    }
    if (r->next == r->count)
        return false;
    *ret_key = r->rows[r->next][0];
    *ret_value = r->rows[r->next][1];
    *ret_version = ++r->next;
    return true;
}

static int count_keys(void *arg, const char *key, const char *value, uint64_t version)
{
    (void)key;
    (void)value;
    return version == 3 && --*(int *)arg == 0 ? 55 : 0;
}

static void the_state_keeps_the_newest_of_each_key(void **state)
{
    static const char *const rows[][2] = {{"a", "1"}, {"b", "[]"}, {"a", "2"}, {"b", NULL}};
    const struct drive *d = *state;
    struct rows w = {.state = {.write.kind = STORE_STATE, .next = next_row, .version = 9},
                     .rows = rows,
                     .count = 4};
    uint64_t version;
    char *value;
    int left = 2;

    assert_int_equal(drive_write(d, &w.state.write), 0);
    assert_int_equal(w.rewinds, 1);
    assert_int_equal(engine_memory.find_state(d->e, "a", &value, &version), 0);
    assert_string_equal(value, "2");
    assert_int_equal(version, 3);
    free(value);
    assert_int_equal(engine_memory.find_state(d->e, "b", &value, &version), -ENOENT);
    assert_int_equal(engine_memory.each_state(d->e, count_keys, &left, &version), 0);
    assert_int_equal(version, 9);
    assert_int_equal(left, 1);
    assert_int_equal(engine_memory.each_state(d->e, count_keys, &left, &version), 55);
}

/* ---- transactions ---- */

static void nothing_is_left_of_a_transaction_that_was_rolled_back(void **state)
{
    static const char *const rows[][2] = {{"a", "1"}};
    struct drive *d = *state;
    struct record running = drive_to(d, RECORD_RUNNING), dead = drive_to(d, RECORD_DEAD), r;
    struct store_counts before, after;
    struct store_submit submit = drive_submission(d, "{}");
    struct store_end end = drive_ending(d, &running, RECORD_SUCCEEDED);
    struct store_change forget = {.write.kind = STORE_FORGET, .id = dead.id};
    struct rows rows_of = {.state = {.write.kind = STORE_STATE, .next = next_row, .version = 9},
                           .rows = rows,
                           .count = 1};
    struct store_write *writes[] = {&submit.write, &end.write, &forget.write, &rows_of.state.write};
    struct record_attempt *attempts;
    uint64_t version;
    int left = 9;

    submit.key = "key";
    engine_memory.count(d->e, &before);
    assert_int_equal(engine_memory.begin(d->e), 0);
    for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
        assert_int_equal(engine_memory.apply(d->e, writes[i]), 0);
    engine_memory.rollback(d->e);
    engine_memory.count(d->e, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    r = find(d, &running.id);
    assert_same(&r, &running);
    r = find(d, &dead.id);
    assert_same(&r, &dead);
    assert_int_equal(engine_memory.attempts(d->e, running.seq, &attempts), 0);
    free(attempts);
    assert_int_equal(engine_memory.find(d->e, submit.record.id.text, &r), -ENOENT);
    assert_int_equal(engine_memory.each_state(d->e, count_keys, &left, &version), 0);
    assert_int_equal(version, 0);
    for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
        assert_int_equal(drive_write(d, writes[i]), 0);
    assert_int_equal(submit.record.seq, 3);
    assert_int_equal(rows_of.rewinds, 2);
}

enum { READS = 3000 };

static void *read_always(void *arg)
{
    const struct drive *d = arg;
    static _Thread_local struct record page[20];
    struct store_counts counts;
    struct store_result result;

    for (int i = 0; i < READS; i++) {
        int count = list(d, -1, NULL, 0, ARRAY_SIZE(page), page);
        engine_memory.count(d->e, &counts);
        for (int k = 0; k < count; k++) {
            CHECK((page[k].result == RECORD_RESULT_KEPT) == (page[k].state == RECORD_SUCCEEDED));
            if (engine_memory.result(d->e, page[k].seq, &result) == 0) {
                CHECK(memcmp(result.data, "{\"sum\":45}", 10) == 0);
                free(result.data);
            }
        }
    }
    return NULL;
}

static void readers_see_whole_transactions(void **state)
{
    struct drive *d = *state;
    struct thread threads[2];

    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(thread_start(&threads[i], "reader", read_always, d), 0);
    for (int i = 0; i < READS; i++) {
        struct record r = drive_to(d, RECORD_SUCCEEDED);
        if (i % 2 == 0)
            assert_int_equal(drive_change(d, STORE_FORGET, &r.id, NULL, NULL), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        thread_join(&threads[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_submission_is_found_complete),
        TEST(its_payload_comes_back_as_it_was),
        TEST(a_key_gives_the_same_job_until_it_is_forgotten),
        TEST(the_queue_has_its_limits),
        TEST(claims_follow_priority_then_order),
        TEST(a_claimed_job_runs_under_a_new_lease),
        TEST(a_job_that_may_not_run_yet_waits),
        TEST(the_late_fail_instead_of_running),
        TEST(of_too_many_late_ones_none_runs),
        TEST(no_claim_is_longer_than_its_limit),
        TEST(a_success_keeps_its_result),
        TEST(an_attempt_that_does_not_count_is_only_recorded),
        TEST(the_newest_attempts_are_remembered),
        TEST(cancelling_ends_what_waits_or_runs),
        TEST(only_the_dead_and_failed_are_retried),
        TEST(a_retry_needs_room_and_its_payload),
        TEST(a_retry_must_leave_room_for_other_clients),
        TEST(only_what_has_ended_is_forgotten),
        TEST(what_is_kept_of_a_payload_depends_on_the_end),
        TEST(results_and_records_go_when_their_time_has_come),
        TEST(the_oldest_go_when_there_are_too_many),
        TEST(no_sweep_is_longer_than_its_limit),
        TEST(pages_are_filtered_newest_first),
        TEST(the_state_keeps_the_newest_of_each_key),
        TEST(nothing_is_left_of_a_transaction_that_was_rolled_back),
        TEST(readers_see_whole_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
