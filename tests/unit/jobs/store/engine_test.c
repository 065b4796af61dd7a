/* What store.h says of each write and read, asked of the engine itself. */
#include "store_fixture.h"

static int set_up(void **state)
{
    static struct fixture f;

    fixture_init(&f, &engine_sqlite);
    fixture_reopen(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    return fixture_end(*state);
}

static void set_limits(struct fixture *f, struct store_limits limits)
{
    f->config.limits = limits;
    fixture_reopen(f);
}

/* ---- submit ---- */

static void a_submitted_job_is_complete(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum");
    struct record found;

    s.record.chunks_wanted = UINT64_MAX;
    s.record.deadline_us = FIXTURE_NOW + FIXTURE_S;
    s.input_kind = PRONG_INPUT_RAW;
    s.input = "a\0b";
    s.input_bytes = 3;
    assert_int_equal(fixture_submit(f, &s), 0);
    assert_int_equal(s.record.seq, 1);
    assert_int_equal(s.record.state, RECORD_QUEUED);
    assert_int_equal(s.record.payload_bytes, strlen(s.params) + 3);
    found = fixture_find(f, &s.record.id);
    assert_string_equal(found.id.text, s.record.id.text);
    assert_string_equal(found.kernel, "sum");
    assert_string_equal(found.client, "127.0.0.1");
    assert_int_equal(found.chunks_wanted, UINT64_MAX);
    assert_int_equal(found.deadline_us, s.record.deadline_us);
    assert_int_equal(found.timeout_us, 60 * FIXTURE_S);
    assert_int_equal(found.attempts_max, 3);
    assert_int_equal(found.created_us, FIXTURE_NOW);
    assert_int_equal(found.payload_bytes, s.record.payload_bytes);
    assert_int_equal(found.run_at_us, 0);
    assert_int_equal(found.result, RECORD_RESULT_NONE);
}

static void a_payload_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    const size_t sizes[] = {0, 3, 100000, FIXTURE_LARGE};

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct store_submit s = fixture_job("sum");
        CLEANUP_FREE char *input = malloc(sizes[i] + 1);
        struct payload payload;

        memset(input, 'x', sizes[i]);
        s.input_kind = PRONG_INPUT_RAW;
        s.input = input;
        s.input_bytes = sizes[i];
        assert_int_equal(fixture_submit(f, &s), 0);
        assert_int_equal(f->engine->payload(f->e, s.record.seq, &payload), 0);
        assert_string_equal(payload.params, s.params);
        assert_int_equal(payload.input_kind, PRONG_INPUT_RAW);
        assert_int_equal(payload.input_bytes, sizes[i]);
        assert_memory_equal(payload.input, input, sizes[i]);
        payload_release(&payload);
    }
    assert_int_equal(fixture_file_count(f->files), 1);
}

static void a_job_without_input_has_none(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_queue(f, "sum");
    struct payload payload;

    assert_int_equal(f->engine->payload(f->e, job.seq, &payload), 0);
    assert_int_equal(payload.input_kind, PRONG_INPUT_NONE);
    assert_null(payload.input);
    payload_release(&payload);
    assert_int_equal(f->engine->payload(f->e, 99, &payload), -ENODATA);
}

static void a_key_gives_the_same_job(void **state)
{
    struct fixture *f = *state;
    struct store_submit first = fixture_job("sum"), again = fixture_job("sum");
    struct store_change change;

    first.key = again.key = "k";
    first.fingerprint = again.fingerprint = UINT64_MAX - 1;
    assert_int_equal(fixture_submit(f, &first), 0);
    (void)fixture_claim_one(f);
    assert_int_equal(fixture_submit(f, &again), 1);
    assert_string_equal(again.record.id.text, first.record.id.text);
    assert_int_equal(again.record.state, RECORD_RUNNING);
    again = fixture_job("sum");
    again.key = "k";
    again.fingerprint = 5;
    assert_int_equal(fixture_submit(f, &again), -EEXIST);
    again.key = "K";
    assert_int_equal(fixture_submit(f, &again), 0);

    assert_int_equal(fixture_change(f, STORE_CANCEL, &first.record.id, &change), 0);
    assert_int_equal(fixture_change(f, STORE_FORGET, &first.record.id, &change), 0);
    again = fixture_job("sum");
    again.key = "k";
    assert_int_equal(fixture_submit(f, &again), 0);
}

static void a_key_is_known_though_the_queue_is_full(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct store_submit first = fixture_job("sum"), again = fixture_job("sum");

    limits.queued_max = 1;
    set_limits(f, limits);
    first.key = again.key = "k";
    assert_int_equal(fixture_submit(f, &first), 0);
    assert_int_equal(fixture_submit(f, &again), 1);
    again = fixture_job("sum");
    assert_int_equal(fixture_submit(f, &again), -EBUSY);
}

static void a_refusal_leaves_the_transaction_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct store_submit a = fixture_job("sum"), b = fixture_job("sum"), c = fixture_job("sum");

    limits.queued_bytes_max = 2 * strlen(a.params);
    set_limits(f, limits);
    fixture_begin(f);
    assert_int_equal(fixture_submit(f, &a), 0);
    b.params = "{\"n\":123}";
    assert_int_equal(fixture_submit(f, &b), -EFBIG);
    assert_int_equal(fixture_submit(f, &c), 0);
    fixture_commit(f);
    assert_int_equal(fixture_count(f).queued[1], 2);
    assert_int_equal(c.record.seq, a.record.seq + 1);
}

static void one_client_gets_half_when_others_wait(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct store_submit s;

    limits.queued_max = 4;
    set_limits(f, limits);
    for (int i = 0; i < 2; i++)
        (void)fixture_queue(f, "sum");
    s = fixture_job("sum");
    (void)snprintf(s.record.client, sizeof(s.record.client), "10.0.0.2");
    assert_int_equal(fixture_submit(f, &s), 0);
    s = fixture_job("sum");
    assert_int_equal(fixture_submit(f, &s), -EDQUOT);
}

static void what_is_rolled_back_was_never_there(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum");
    CLEANUP_FREE char *input = calloc(1, FIXTURE_LARGE);
    struct record record;

    s.input_kind = PRONG_INPUT_RAW;
    s.input = input;
    s.input_bytes = FIXTURE_LARGE;
    fixture_begin(f);
    assert_int_equal(fixture_submit(f, &s), 0);
    assert_int_equal(fixture_file_count(f->files), 1);
    fixture_rollback(f);
    assert_int_equal(fixture_file_count(f->files), 0);
    assert_int_equal(f->engine->find(f->e, s.record.id.text, &record), -ENOENT);
    assert_int_equal(fixture_count(f).queued[1], 0);
    assert_int_equal(fixture_submit(f, &s), 0);
}

static void readers_see_what_is_committed(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum");
    struct record record;

    fixture_begin(f);
    assert_int_equal(fixture_submit(f, &s), 0);
    assert_int_equal(f->engine->find(f->e, s.record.id.text, &record), -ENOENT);
    fixture_commit(f);
    assert_int_equal(f->engine->find(f->e, s.record.id.text, &record), 0);
    assert_int_equal(f->engine->find(f->e, "no id", &record), -ENOENT);
}

/* ---- claim ---- */

static void jobs_are_claimed_by_priority_then_age(void **state)
{
    struct fixture *f = *state;
    const unsigned priorities[] = {2, 1, 1, 0};
    const uint64_t expected[] = {4, 2, 3};
    struct record records[3];
    struct store_claim w;

    for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
        struct store_submit s = fixture_job("sum");
        s.record.priority = priorities[i];
        assert_int_equal(fixture_submit(f, &s), 0);
    }
    assert_int_equal(fixture_claim(f, 3, &w, records), 0);
    assert_int_equal(w.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(records[i].seq, expected[i]);
        assert_int_equal(records[i].state, RECORD_RUNNING);
        assert_int_equal(records[i].attempts, 1);
        assert_int_equal(records[i].started_us, f->now_us);
    }
    assert_int_equal(fixture_count(f).running, 3);
    assert_int_equal(fixture_claim(f, 3, &w, records), 0);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.next_us, 0);
}

static void a_claim_takes_at_most_claim_max(void **state)
{
    struct fixture *f = *state;
    struct record records[STORE_CLAIM_MAX];
    struct store_claim w;

    fixture_begin(f);
    for (int i = 0; i < STORE_CLAIM_MAX + 1; i++)
        (void)fixture_queue(f, "sum");
    fixture_commit(f);
    assert_int_equal(fixture_claim(f, STORE_CLAIM_MAX, &w, records), 0);
    assert_int_equal(w.count, STORE_CLAIM_MAX);
    assert_int_equal(fixture_count(f).queued[1], 1);
}

static struct record queue_until(struct fixture *f, uint64_t run_at_us)
{
    struct record claimed;
    struct store_end w;

    (void)fixture_queue(f, "sum");
    claimed = fixture_claim_one(f);
    w = fixture_ending(f, &claimed, RECORD_QUEUED, JOB_DIED);
    w.run_at_us = run_at_us;
    assert_int_equal(fixture_write(f, &w.write), 0);
    return claimed;
}

static void a_job_waits_for_its_time(void **state)
{
    struct fixture *f = *state;
    struct record before = queue_until(f, FIXTURE_NOW + 10 * FIXTURE_S), claimed;
    struct store_claim w;

    assert_int_equal(fixture_find(f, &before.id).run_at_us, FIXTURE_NOW + 10 * FIXTURE_S);
    f->now_us += 10 * FIXTURE_S - 1;
    assert_int_equal(fixture_claim(f, 1, &w, &claimed), 0);
    assert_int_equal(w.count, 0);
    assert_int_equal(w.next_us, FIXTURE_NOW + 10 * FIXTURE_S);
    f->now_us += 1;
    claimed = fixture_claim_one(f);
    assert_string_equal(claimed.id.text, before.id.text);
    assert_int_equal(claimed.attempts, 2);
    assert_true(claimed.lease > before.lease);
}

static void a_clock_that_went_back_does_not_keep_a_job_waiting(void **state)
{
    struct fixture *f = *state;
    struct record before = queue_until(f, FIXTURE_NOW + 30 * FIXTURE_S);
    struct store_claim w;
    struct record claimed;

    f->now_us = FIXTURE_NOW + 30 * FIXTURE_S - STORE_RUN_AHEAD_US;
    assert_int_equal(fixture_claim(f, 1, &w, &claimed), 0);
    assert_int_equal(w.count, 0);
    f->now_us -= 1;
    claimed = fixture_claim_one(f);
    assert_string_equal(claimed.id.text, before.id.text);
}

static void a_job_whose_deadline_passed_fails_without_room(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum"), on_time = fixture_job("sum");
    struct store_claim w;
    struct record found;

    s.record.deadline_us = FIXTURE_NOW + FIXTURE_S;
    on_time.record.deadline_us = FIXTURE_NOW + 9 * FIXTURE_S;
    assert_int_equal(fixture_submit(f, &s), 0);
    assert_int_equal(fixture_submit(f, &on_time), 0);
    assert_int_equal(fixture_claim(f, 0, &w, NULL), 0);
    assert_int_equal(w.late_count, 0);
    assert_int_equal(w.next_us, s.record.deadline_us);
    f->now_us += FIXTURE_S;
    assert_int_equal(fixture_claim(f, 0, &w, NULL), 0);
    assert_int_equal(w.late_count, 1);
    assert_string_equal(w.late[0].text, s.record.id.text);
    assert_int_equal(w.next_us, on_time.record.deadline_us);
    found = fixture_find(f, &s.record.id);
    assert_int_equal(found.state, RECORD_FAILED);
    assert_int_equal(found.end.outcome, JOB_DEADLINE);
    assert_int_equal(found.finished_us, f->now_us);
    assert_int_equal(found.attempts, 0);
    assert_int_equal(fixture_count(f).ended, 1);
}

static void late_ones_are_never_claimed_even_when_there_are_many(void **state)
{
    struct fixture *f = *state;
    struct record records[STORE_CLAIM_MAX];
    struct store_claim w;

    fixture_begin(f);
    for (int i = 0; i < STORE_CLAIM_MAX + 5; i++) {
        struct store_submit s = fixture_job("sum");
        s.record.deadline_us = FIXTURE_NOW;
        assert_int_equal(fixture_submit(f, &s), 0);
    }
    (void)fixture_queue(f, "last");
    fixture_commit(f);
    assert_int_equal(fixture_claim(f, STORE_CLAIM_MAX, &w, records), 0);
    assert_int_equal(w.late_count, STORE_CLAIM_MAX);
    assert_int_equal(w.count, 1);
    assert_string_equal(records[0].kernel, "last");
    assert_int_equal(w.next_us, FIXTURE_NOW);
    assert_int_equal(fixture_claim(f, STORE_CLAIM_MAX, &w, records), 0);
    assert_int_equal(w.late_count, 5);
    assert_int_equal(w.next_us, 0);
}

static void a_position_counts_who_comes_first(void **state)
{
    struct fixture *f = *state;
    const unsigned priorities[] = {1, 0, 2, 1};
    const uint64_t expected[] = {1, 0, 3, 2};
    struct store_submit s[4];

    for (size_t i = 0; i < 4; i++) {
        s[i] = fixture_job("sum");
        s[i].record.priority = priorities[i];
        assert_int_equal(fixture_submit(f, &s[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        uint64_t position = 99;
        assert_int_equal(f->engine->position(f->e, &s[i].record, &position), 0);
        assert_int_equal(position, expected[i]);
    }
}

/* ---- end ---- */

static void an_ended_job_has_its_result_and_its_attempt(void **state)
{
    struct fixture *f = *state;
    struct record queued = fixture_queue(f, "sum"), claimed = fixture_claim_one(f), found;
    struct store_end w = fixture_ending(f, &claimed, RECORD_SUCCEEDED, JOB_OK);
    struct record_attempt *attempts;
    struct store_result result;
    struct job_receipt receipt = {UINT64_MAX, 2, 3, UINT32_MAX, 5, 6, 7, 0};

    w.receipt = receipt;
    assert_int_equal(fixture_write(f, &w.write), 0);
    assert_int_equal(w.seq, queued.seq);
    found = fixture_find(f, &queued.id);
    assert_int_equal(found.state, RECORD_SUCCEEDED);
    assert_int_equal(found.end.outcome, JOB_OK);
    assert_int_equal(found.result, RECORD_RESULT_KEPT);
    assert_int_equal(found.result_bytes, 2);
    assert_string_equal(found.media_type, "application/json");
    assert_memory_equal(&found.receipt, &receipt, offsetof(struct job_receipt, missing));
    assert_int_equal(f->engine->result(f->e, queued.seq, &result), 0);
    assert_int_equal(result.fd, -1);
    assert_memory_equal(result.data, "42", 2);
    free(result.data);
    assert_int_equal(f->engine->attempts(f->e, queued.seq, &attempts), 1);
    assert_int_equal(attempts[0].number, 1);
    assert_int_equal(attempts[0].end.outcome, JOB_OK);
    free(attempts);
    assert_int_equal(fixture_count(f).results_bytes, 2);
    assert_int_equal(fixture_count(f).queued_bytes, 0);
}

static void a_large_result_is_a_file_at_its_start(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_succeed(f, "sum", FIXTURE_LARGE);
    struct store_result result;
    struct store_change change;
    char start[4] = "";

    assert_int_equal(f->engine->result(f->e, job.seq, &result), 0);
    assert_null(result.data);
    assert_int_equal(result.bytes, FIXTURE_LARGE);
    assert_int_equal(read(result.fd, start, 3), 3);
    assert_string_equal(start, "rrr");
    (void)close(result.fd);
    assert_int_equal(fixture_change(f, STORE_FORGET, &job.id, &change), 0);
    assert_int_equal(f->engine->result(f->e, job.seq, &result), -ENODATA);
    assert_int_equal(fixture_file_count(f->files), 0);
}

static void an_empty_result_is_kept(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_succeed(f, "sum", 0);
    struct store_result result;

    assert_int_equal(f->engine->result(f->e, job.seq, &result), 0);
    assert_non_null(result.data);
    assert_int_equal(result.bytes, 0);
    free(result.data);
}

static void a_lease_that_is_over_ends_nothing(void **state)
{
    struct fixture *f = *state;
    struct record first, second;
    struct store_change change;

    (void)fixture_queue(f, "sum");
    first = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &first, RECORD_QUEUED, JOB_DIED), 0);
    assert_int_equal(fixture_end_job(f, &first, RECORD_SUCCEEDED, JOB_OK), -ESTALE);
    second = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &first, RECORD_SUCCEEDED, JOB_OK), -ESTALE);
    assert_int_equal(fixture_find(f, &first.id).state, RECORD_RUNNING);
    assert_int_equal(fixture_change(f, STORE_CANCEL, &first.id, &change), 0);
    assert_int_equal(fixture_end_job(f, &second, RECORD_SUCCEEDED, JOB_OK), -ESTALE);
    assert_int_equal(fixture_change(f, STORE_FORGET, &first.id, &change), 0);
    assert_int_equal(fixture_end_job(f, &second, RECORD_SUCCEEDED, JOB_OK), -ESTALE);
}

static void an_attempt_may_not_count(void **state)
{
    struct fixture *f = *state;
    struct record claimed;
    struct store_end w;
    struct record_attempt *attempts;

    (void)fixture_queue(f, "sum");
    claimed = fixture_claim_one(f);
    w = fixture_ending(f, &claimed, RECORD_QUEUED, JOB_CANCELLED);
    w.counts = false;
    assert_int_equal(fixture_write(f, &w.write), 0);
    assert_int_equal(fixture_find(f, &claimed.id).attempts, 0);
    assert_int_equal(f->engine->attempts(f->e, claimed.seq, &attempts), 1);
    free(attempts);
}

static void only_the_newest_attempts_are_kept(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_queue(f, "sum"), claimed;
    struct record_attempt *attempts;

    fixture_begin(f);
    for (int i = 0; i < RECORD_ATTEMPTS_MAX + 5; i++) {
        claimed = fixture_claim_one(f);
        assert_int_equal(fixture_end_job(f, &claimed, RECORD_QUEUED, JOB_DIED), 0);
    }
    fixture_commit(f);
    assert_int_equal(f->engine->attempts(f->e, job.seq, &attempts), RECORD_ATTEMPTS_MAX);
    assert_int_equal(attempts[0].number, 6);
    assert_int_equal(attempts[RECORD_ATTEMPTS_MAX - 1].number, RECORD_ATTEMPTS_MAX + 5);
    free(attempts);
}

static void the_input_goes_with_success_and_the_parameters_stay(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum");
    CLEANUP_FREE char *input = calloc(1, FIXTURE_LARGE);
    CLEANUP_FREE char *params = NULL;
    struct payload payload;
    struct record claimed;

    s.input_kind = PRONG_INPUT_RAW;
    s.input = input;
    s.input_bytes = FIXTURE_LARGE;
    assert_int_equal(fixture_submit(f, &s), 0);
    claimed = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_SUCCEEDED, JOB_OK), 0);
    assert_int_equal(fixture_file_count(f->files), 0);
    assert_int_equal(f->engine->payload(f->e, s.record.seq, &payload), -ENODATA);
    assert_int_equal(f->engine->params(f->e, s.record.seq, &params), 0);
    assert_string_equal(params, s.params);
}

static void large_parameters_go_with_success(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum");
    CLEANUP_FREE char *params = calloc(1, 65536 + 2);
    char *found = NULL;
    struct record claimed;

    memset(params, '7', 65536 + 1);
    s.params = params;
    assert_int_equal(fixture_submit(f, &s), 0);
    claimed = fixture_claim_one(f);
    assert_int_equal(f->engine->params(f->e, s.record.seq, &found), 0);
    assert_int_equal(strlen(found), 65536 + 1);
    free(found);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_SUCCEEDED, JOB_OK), 0);
    assert_int_equal(f->engine->params(f->e, s.record.seq, &found), -ENODATA);
}

/* ---- cancel, retry, forget ---- */

static void a_cancelled_job_is_over(void **state)
{
    struct fixture *f = *state;
    struct record queued = fixture_queue(f, "sum");
    struct record_attempt *attempts;
    struct store_change change;

    (void)fixture_claim_one(f);
    assert_int_equal(fixture_change(f, STORE_CANCEL, &queued.id, &change), 0);
    assert_true(change.was_running);
    assert_int_equal(change.record.state, RECORD_CANCELLED);
    assert_int_equal(f->engine->attempts(f->e, queued.seq, &attempts), 1);
    free(attempts);
    assert_int_equal(fixture_change(f, STORE_CANCEL, &queued.id, &change), -EALREADY);
    assert_int_equal(change.record.state, RECORD_CANCELLED);
    queued = fixture_queue(f, "sum");
    assert_int_equal(fixture_change(f, STORE_CANCEL, &queued.id, &change), 0);
    assert_false(change.was_running);
    assert_int_equal(fixture_find(f, &queued.id).end.outcome, JOB_CANCELLED);
    assert_int_equal(fixture_count(f).ended, 2);
    queued.id = id_new();
    assert_int_equal(fixture_change(f, STORE_CANCEL, &queued.id, &change), -ENOENT);
    assert_int_equal(fixture_change(f, STORE_RETRY, &queued.id, &change), -ENOENT);
    assert_int_equal(fixture_change(f, STORE_FORGET, &queued.id, &change), -ENOENT);
}

static void a_dead_job_is_retried_with_all_its_attempts(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_queue(f, "sum"), claimed = fixture_claim_one(f);
    struct store_change change;
    struct record_attempt *attempts;

    assert_int_equal(fixture_change(f, STORE_RETRY, &job.id, &change), -EALREADY);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_DEAD, JOB_DIED), 0);
    assert_int_equal(fixture_change(f, STORE_RETRY, &job.id, &change), 0);
    assert_int_equal(change.record.state, RECORD_QUEUED);
    assert_int_equal(change.record.attempts, 0);
    assert_int_equal(change.record.finished_us, 0);
    claimed = fixture_claim_one(f);
    assert_int_equal(claimed.attempts, 1);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_FAILED, JOB_FAILED), 0);
    assert_int_equal(f->engine->attempts(f->e, job.seq, &attempts), 2);
    assert_int_equal(attempts[1].number, 2);
    free(attempts);
    assert_int_equal(fixture_change(f, STORE_RETRY, &job.id, &change), 0);
    claimed = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_SUCCEEDED, JOB_OK), 0);
    assert_int_equal(fixture_change(f, STORE_RETRY, &job.id, &change), -EALREADY);
}

static void a_retry_is_admitted_like_a_submission(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct record job, claimed;
    struct store_change change;

    limits.queued_max = 1;
    set_limits(f, limits);
    job = fixture_queue(f, "sum");
    claimed = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_DEAD, JOB_DIED), 0);
    (void)fixture_queue(f, "sum");
    assert_int_equal(fixture_change(f, STORE_RETRY, &job.id, &change), -EBUSY);
}

static void a_payload_that_went_cannot_be_retried(void **state)
{
    struct fixture *f = *state;
    struct store_submit s = fixture_job("sum");
    CLEANUP_FREE char *input = calloc(1, FIXTURE_LARGE);
    struct store_change change;
    struct record claimed;

    s.input_kind = PRONG_INPUT_RAW;
    s.input = input;
    s.input_bytes = FIXTURE_LARGE;
    assert_int_equal(fixture_submit(f, &s), 0);
    claimed = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_DEAD, JOB_DIED), 0);
    f->now_us += f->config.limits.result_keep_us - 1;
    assert_int_equal(fixture_sweep(f), 0);
    assert_int_equal(fixture_file_count(f->files), 1);
    f->now_us += 1;
    assert_int_equal(fixture_sweep(f), 1);
    assert_int_equal(fixture_file_count(f->files), 0);
    assert_int_equal(fixture_change(f, STORE_RETRY, &s.record.id, &change), -ENODATA);
}

static void only_ended_jobs_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_queue(f, "sum"), found;
    struct record_attempt *attempts;
    struct store_change change;
    char *params;

    assert_int_equal(fixture_change(f, STORE_FORGET, &job.id, &change), -EBUSY);
    assert_int_equal(fixture_change(f, STORE_CANCEL, &job.id, &change), 0);
    assert_int_equal(fixture_change(f, STORE_FORGET, &job.id, &change), 0);
    assert_int_equal(f->engine->find(f->e, job.id.text, &found), -ENOENT);
    assert_int_equal(f->engine->params(f->e, job.seq, &params), -ENODATA);
    assert_int_equal(f->engine->attempts(f->e, job.seq, &attempts), 0);
    free(attempts);
    assert_int_equal(fixture_count(f).ended, 0);
    assert_int_equal(fixture_queue(f, "sum").seq, job.seq + 1);
}

/* ---- sweep ---- */

static void old_results_go_before_their_records(void **state)
{
    struct fixture *f = *state;
    struct record job = fixture_succeed(f, "sum", 10), found;
    struct store_result result;

    f->now_us += f->config.limits.result_keep_us;
    assert_int_equal(fixture_sweep(f), 1);
    assert_int_equal(f->engine->result(f->e, job.seq, &result), -ENODATA);
    found = fixture_find(f, &job.id);
    assert_int_equal(found.result, RECORD_RESULT_EXPIRED);
    assert_int_equal(found.result_bytes, 10);
    assert_int_equal(fixture_count(f).results_bytes, 0);
    assert_int_equal(fixture_sweep(f), 0);
    f->now_us = FIXTURE_NOW + f->config.limits.record_keep_us;
    assert_int_equal(fixture_sweep(f), 1);
    assert_int_equal(f->engine->find(f->e, job.id.text, &found), -ENOENT);
    assert_int_equal(fixture_count(f).ended, 0);
}

static void the_oldest_results_go_when_they_are_too_many_bytes(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct record jobs[3];

    limits.results_bytes_max = 20;
    set_limits(f, limits);
    for (size_t i = 0; i < 3; i++) {
        f->now_us += 1;
        jobs[i] = fixture_succeed(f, "sum", 10);
    }
    assert_int_equal(fixture_sweep(f), 1);
    assert_int_equal(fixture_find(f, &jobs[0].id).result, RECORD_RESULT_EXPIRED);
    assert_int_equal(fixture_find(f, &jobs[1].id).result, RECORD_RESULT_KEPT);
    assert_int_equal(fixture_count(f).results_bytes, 20);
}

static struct record die_with_input(struct fixture *f)
{
    struct store_submit s = fixture_job("sum");
    CLEANUP_FREE char *input = calloc(1, FIXTURE_LARGE);
    struct record claimed;

    f->now_us += 1;
    s.input_kind = PRONG_INPUT_RAW;
    s.input = input;
    s.input_bytes = FIXTURE_LARGE;
    assert_int_equal(fixture_submit(f, &s), 0);
    claimed = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &claimed, RECORD_DEAD, JOB_DIED), 0);
    return claimed;
}

static void the_oldest_inputs_go_when_they_are_too_many_bytes(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct record jobs[3];
    struct store_change change;
    uint64_t bytes;

    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        jobs[i] = die_with_input(f);
    bytes = jobs[0].payload_bytes;
    assert_int_equal(fixture_count(f).inputs_bytes, 3 * bytes);
    limits.results_bytes_max = 2 * bytes;
    set_limits(f, limits);
    assert_int_equal(fixture_count(f).inputs_bytes, 3 * bytes);
    assert_int_equal(fixture_sweep(f), 1);
    assert_int_equal(fixture_count(f).inputs_bytes, 2 * bytes);
    assert_int_equal(fixture_file_count(f->files), 2);
    assert_int_equal(fixture_change(f, STORE_RETRY, &jobs[0].id, &change), -ENODATA);
    assert_int_equal(fixture_change(f, STORE_RETRY, &jobs[1].id, &change), 0);
    assert_int_equal(fixture_count(f).inputs_bytes, bytes);
    assert_int_equal(fixture_change(f, STORE_FORGET, &jobs[2].id, &change), 0);
    assert_int_equal(fixture_count(f).inputs_bytes, 0);
    jobs[1] = fixture_claim_one(f);
    assert_int_equal(fixture_end_job(f, &jobs[1], RECORD_SUCCEEDED, JOB_OK), 0);
    assert_int_equal(fixture_count(f).inputs_bytes, 0);
}

static void the_oldest_records_go_when_they_are_too_many(void **state)
{
    struct fixture *f = *state;
    struct store_limits limits = f->config.limits;
    struct record jobs[3], found;

    limits.records_max = 1;
    set_limits(f, limits);
    for (size_t i = 0; i < 3; i++) {
        f->now_us += 1;
        jobs[i] = fixture_succeed(f, "sum", FIXTURE_LARGE);
    }
    assert_int_equal(fixture_sweep(f), 2);
    assert_int_equal(f->engine->find(f->e, jobs[1].id.text, &found), -ENOENT);
    assert_int_equal(fixture_find(f, &jobs[2].id).seq, jobs[2].seq);
    assert_int_equal(fixture_file_count(f->files), 1);
}

static void one_sweep_is_bounded(void **state)
{
    struct fixture *f = *state;

    fixture_begin(f);
    for (int i = 0; i < STORE_SWEEP_MAX + 10; i++)
        (void)fixture_succeed(f, "sum", 1);
    fixture_commit(f);
    f->now_us += f->config.limits.record_keep_us;
    assert_int_equal(fixture_sweep(f), STORE_SWEEP_MAX);
    assert_int_equal(fixture_sweep(f), 10);
    assert_int_equal(fixture_sweep(f), 0);
    assert_int_equal(fixture_count(f).results_bytes, 0);
}

static void a_job_that_waits_or_runs_is_not_swept(void **state)
{
    struct fixture *f = *state;

    (void)fixture_queue(f, "sum");
    (void)fixture_claim_one(f);
    (void)fixture_queue(f, "sum");
    f->now_us += 100 * f->config.limits.record_keep_us;
    assert_int_equal(fixture_sweep(f), 0);
}

/* ---- lists ---- */

static int list(struct fixture *f, int state, const char *kernel, uint64_t before, uint64_t *seqs)
{
    struct store_filter filter = {state, kernel, before};
    struct record records[10];
    int count = f->engine->list(f->e, &filter, ARRAY_SIZE(records), records);

    for (int i = 0; i < count; i++)
        seqs[i] = records[i].seq;
    return count;
}

static void lists_are_newest_first_and_filtered(void **state)
{
    struct fixture *f = *state;
    uint64_t seqs[10];

    for (int i = 0; i < 3; i++) {
        (void)fixture_queue(f, "sum");
        (void)fixture_queue(f, "pi");
    }
    (void)fixture_claim_one(f);
    (void)fixture_claim_one(f);
    assert_int_equal(list(f, -1, NULL, 0, seqs), 6);
    assert_int_equal(seqs[0], 6);
    assert_int_equal(list(f, -1, NULL, 3, seqs), 2);
    assert_int_equal(seqs[0], 2);
    assert_int_equal(list(f, RECORD_RUNNING, NULL, 0, seqs), 2);
    assert_int_equal(seqs[0], 2);
    assert_int_equal(list(f, -1, "pi", 6, seqs), 2);
    assert_int_equal(seqs[0], 4);
    assert_int_equal(list(f, RECORD_QUEUED, "sum", 0, seqs), 2);
    assert_int_equal(seqs[0], 5);
    assert_int_equal(list(f, RECORD_QUEUED, "none", 0, seqs), 0);
}

static void a_page_has_at_most_list_max(void **state)
{
    struct fixture *f = *state;
    struct store_filter filter = {.state = -1};
    struct record *records = calloc(STORE_LIST_MAX + 1, sizeof(*records));

    f->config.limits.queued_max = 2000;
    fixture_reopen(f);
    fixture_begin(f);
    for (int i = 0; i < STORE_LIST_MAX + 1; i++)
        (void)fixture_queue(f, "sum");
    fixture_commit(f);
    assert_int_equal(f->engine->list(f->e, &filter, STORE_LIST_MAX + 1, records), STORE_LIST_MAX);
    assert_int_equal(records[0].seq, STORE_LIST_MAX + 1);
    free(records);
}

/* ---- the shared state ---- */

static int collect(void *arg, const char *key, const char *value, uint64_t version)
{
    char *all = arg;
    size_t used = strlen(all);

    (void)snprintf(all + used, 200 - used, "%s=%s@%llu ", key, value, (unsigned long long)version);
    return 0;
}

static int stop(void *arg, const char *key UNUSED, const char *value UNUSED,
                uint64_t version UNUSED)
{
    ++*(int *)arg;
    return 7;
}

static void state_is_what_was_written_last(void **state)
{
    struct fixture *f = *state;
    char all[200] = "";
    uint64_t version = 0;
    char *value;
    int calls = 0;

    assert_int_equal(fixture_put(f, "a", "1", 1), 0);
    assert_int_equal(fixture_put(f, "b", "[2]", 2), 0);
    assert_int_equal(fixture_put(f, "a", "3", 3), 0);
    assert_int_equal(fixture_put(f, "b", NULL, 4), 0);
    assert_int_equal(f->engine->each_state(f->e, collect, all, &version), 0);
    assert_string_equal(all, "a=3@3 ");
    assert_int_equal(version, 4);
    assert_int_equal(f->engine->find_state(f->e, "a", &value, &version), 0);
    assert_string_equal(value, "3");
    assert_int_equal(version, 3);
    free(value);
    assert_int_equal(f->engine->find_state(f->e, "b", &value, &version), -ENOENT);
    assert_int_equal(f->engine->each_state(f->e, stop, &calls, &version), 7);
    assert_int_equal(calls, 1);
    assert_int_equal(fixture_put(f, "c", "4", 5), 0);
}

static void many_rows_share_one_write(void **state)
{
    struct fixture *f = *state;
    const char *const keys[] = {"a", "b", "a"}, *const values[] = {"1", "2", NULL};
    const uint64_t versions[] = {1, 2, 3};
    struct fixture_state w = {
        .state = {.write.kind = STORE_STATE, .next = fixture_next_row},
        .keys = keys,
        .values = values,
        .versions = versions,
        .count = 3,
    };
    char all[200] = "";
    uint64_t version;

    fixture_begin(f);
    assert_int_equal(fixture_write(f, &w.state.write), 0);
    fixture_rollback(f);
    assert_int_equal(f->engine->each_state(f->e, collect, all, &version), 0);
    assert_string_equal(all, "");
    assert_int_equal(version, 0);
    assert_int_equal(fixture_write(f, &w.state.write), 0);
    assert_int_equal(f->engine->each_state(f->e, collect, all, &version), 0);
    assert_string_equal(all, "b=2@2 ");
    assert_int_equal(version, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_submitted_job_is_complete),
        TEST(a_payload_comes_back_as_it_was),
        TEST(a_job_without_input_has_none),
        TEST(a_key_gives_the_same_job),
        TEST(a_key_is_known_though_the_queue_is_full),
        TEST(a_refusal_leaves_the_transaction_as_it_was),
        TEST(one_client_gets_half_when_others_wait),
        TEST(what_is_rolled_back_was_never_there),
        TEST(readers_see_what_is_committed),
        TEST(jobs_are_claimed_by_priority_then_age),
        TEST(a_claim_takes_at_most_claim_max),
        TEST(a_job_waits_for_its_time),
        TEST(a_clock_that_went_back_does_not_keep_a_job_waiting),
        TEST(a_job_whose_deadline_passed_fails_without_room),
        TEST(late_ones_are_never_claimed_even_when_there_are_many),
        TEST(a_position_counts_who_comes_first),
        TEST(an_ended_job_has_its_result_and_its_attempt),
        TEST(a_large_result_is_a_file_at_its_start),
        TEST(an_empty_result_is_kept),
        TEST(a_lease_that_is_over_ends_nothing),
        TEST(an_attempt_may_not_count),
        TEST(only_the_newest_attempts_are_kept),
        TEST(the_input_goes_with_success_and_the_parameters_stay),
        TEST(large_parameters_go_with_success),
        TEST(a_cancelled_job_is_over),
        TEST(a_dead_job_is_retried_with_all_its_attempts),
        TEST(a_retry_is_admitted_like_a_submission),
        TEST(a_payload_that_went_cannot_be_retried),
        TEST(only_ended_jobs_are_forgotten),
        TEST(old_results_go_before_their_records),
        TEST(the_oldest_results_go_when_they_are_too_many_bytes),
        TEST(the_oldest_records_go_when_they_are_too_many),
        TEST(the_oldest_inputs_go_when_they_are_too_many_bytes),
        TEST(one_sweep_is_bounded),
        TEST(a_job_that_waits_or_runs_is_not_swept),
        TEST(lists_are_newest_first_and_filtered),
        TEST(a_page_has_at_most_list_max),
        TEST(state_is_what_was_written_last),
        TEST(many_rows_share_one_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
