/*
 * Writes to an engine without a store around it: each in a transaction of its own, told when it returns.
 */
#ifndef TESTS_JOBS_STORE_DRIVE_H
#define TESTS_JOBS_STORE_DRIVE_H

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "jobs/store/engine.h"

struct drive {
    const struct engine *engine;
    void *e;
    uint64_t now_us;
};

static UNUSED int drive_write(const struct drive *d, struct store_write *w)
{
    int rc;

    w->now_us = d->now_us;
    CHECK(d->engine->begin(d->e) == 0);
    rc = d->engine->apply(d->e, w);
    CHECK(d->engine->commit(d->e) == 0);
    return rc;
}

static UNUSED struct store_submit drive_submission(const struct drive *d, const char *params)
{
    struct store_submit w = {
        .write.kind = STORE_SUBMIT,
        .record = {.id = id_new(),
                   .kernel = "sum",
                   .client = "127.0.0.1",
                   .priority = 1,
                   .chunks_wanted = 3,
                   .timeout_us = 5000000,
                   .attempts_max = 3,
                   .created_us = d->now_us},
        .params = params,
        .input_kind = PRONG_INPUT_NONE,
    };

    return w;
}

/* A job that must be taken. */
static UNUSED struct record drive_submit(const struct drive *d)
{
    struct store_submit w = drive_submission(d, "{}");

    CHECK(drive_write(d, &w.write) == 0);
    return w.record;
}

/* How many were claimed, at most `want`, into `ret`. */
static UNUSED unsigned drive_claim(const struct drive *d, unsigned want, struct record *ret)
{
    struct store_claim w = {.write.kind = STORE_CLAIM, .want = want, .records = ret};

    CHECK(drive_write(d, &w.write) == 0);
    return w.count;
}

static UNUSED struct store_end drive_ending(const struct drive *d, const struct record *record,
                                            enum record_state state)
{
    static const enum job_outcome outcomes[RECORD_STATE_COUNT] = {
        [RECORD_QUEUED] = JOB_DIED,         [RECORD_SUCCEEDED] = JOB_OK,
        [RECORD_FAILED] = JOB_FAILED,       [RECORD_DEAD] = JOB_DIED,
        [RECORD_CANCELLED] = JOB_CANCELLED,
    };
    bool has_result = state == RECORD_SUCCEEDED;
    struct store_end w = {
        .write.kind = STORE_END,
        .id = record->id,
        .lease = record->lease,
        .state = state,
        .counts = true,
        .run_at_us = state == RECORD_QUEUED ? d->now_us + 1000 : 0,
        .attempt = {.started_us = record->started_us,
                    .finished_us = d->now_us,
                    .end = {.outcome = outcomes[state]}},
        .receipt = {.wait_ns = 1, .run_ns = 2, .cpu_ns = 3, .max_rss_kb = 4, .chunks = 5},
        .result = has_result ? "{\"sum\":45}" : NULL,
        .result_bytes = has_result ? strlen("{\"sum\":45}") : 0,
    };

    (void)snprintf(w.media_type, sizeof(w.media_type), "application/json");
    (void)snprintf(w.attempt.end.text, sizeof(w.attempt.end.text), "how it went");
    return w;
}

static UNUSED int drive_end(const struct drive *d, const struct record *record,
                            enum record_state state)
{
    struct store_end w = drive_ending(d, record, state);

    return drive_write(d, &w.write);
}

/* A new job in this state. */
static UNUSED struct record drive_to(const struct drive *d, enum record_state state)
{
    struct record r = drive_submit(d);

    if (state == RECORD_QUEUED)
        return r;
    CHECK(drive_claim(d, 1, &r) == 1);
    if (state != RECORD_RUNNING)
        CHECK(drive_end(d, &r, state) == 0);
    CHECK(d->engine->find(d->e, r.id.text, &r) == 0);
    return r;
}

static UNUSED int drive_change(const struct drive *d, enum store_kind kind, const struct id *id,
                               struct record *ret, bool *ret_was_running)
{
    struct store_change w = {.write.kind = kind, .id = *id};
    int rc = drive_write(d, &w.write);

    if (ret != NULL)
        *ret = w.record;
    if (ret_was_running != NULL)
        *ret_was_running = w.was_running;
    return rc;
}

static UNUSED unsigned drive_sweep(const struct drive *d)
{
    struct store_sweep w = {.write.kind = STORE_SWEEP};

    CHECK(drive_write(d, &w.write) == 0);
    return w.removed;
}

/* The name of the first field in which they differ, or NULL. Not by memcmp: there are gaps between fields. */
static UNUSED const char *drive_difference(const struct record *a, const struct record *b)
{
#define NUMBER(field)                                                                              \
    if (a->field != b->field)                                                                      \
    return #field
#define TEXT(field)                                                                                \
    if (strcmp(a->field, b->field) != 0)                                                           \
    return #field
    NUMBER(seq);
    TEXT(id.text);
    TEXT(kernel);
    TEXT(client);
    NUMBER(state);
    NUMBER(priority);
    NUMBER(chunks_wanted);
    NUMBER(timeout_us);
    NUMBER(deadline_us);
    NUMBER(payload_bytes);
    NUMBER(attempts);
    NUMBER(attempts_max);
    NUMBER(lease);
    NUMBER(run_at_us);
    NUMBER(created_us);
    NUMBER(started_us);
    NUMBER(finished_us);
    NUMBER(end.outcome);
    NUMBER(end.wait_status);
    NUMBER(end.was_oom);
    TEXT(end.text);
    NUMBER(receipt.wait_ns);
    NUMBER(receipt.run_ns);
    NUMBER(receipt.cpu_ns);
    NUMBER(receipt.max_rss_kb);
    NUMBER(receipt.chunks);
    NUMBER(receipt.retries);
    NUMBER(receipt.workers);
    TEXT(media_type);
    NUMBER(result);
    NUMBER(result_bytes);
#undef NUMBER
#undef TEXT
    return NULL;
}

#endif
