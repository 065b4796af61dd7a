#include "jobs/store/step.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

enum { EPOCH_SHIFT = 32 };

static const char late[] = "Its deadline passed while it waited.";
static const char cancelled[] = "It was cancelled by a client.";
static const char cut_off[] = "The server ended while it ran.";

static void set_end(struct record_end *end, enum job_outcome outcome, const char *text)
{
    *end = (struct record_end) {.outcome = outcome};
    (void)snprintf(end->text, sizeof(end->text), "%s", text);
}

static struct record_attempt cut(const struct record *r, uint64_t now_us, const char *text)
{
    struct record_attempt attempt = {.started_us = r->started_us, .finished_us = now_us};

    set_end(&attempt.end, JOB_CANCELLED, text);
    return attempt;
}

/* 0 means that it has not finished. */
static void finish(struct record *r, enum record_state state, uint64_t now_us)
{
    r->state = state;
    r->run_at_us = 0;
    r->finished_us = MAX(now_us, UINT64_C(1));
}

struct record step_submit(const struct store_submit *w, uint64_t seq)
{
    struct record r = {
        .seq = seq,
        .id = w->record.id,
        .state = RECORD_QUEUED,
        .priority = w->record.priority,
        .chunks_wanted = w->record.chunks_wanted,
        .timeout_us = w->record.timeout_us,
        .deadline_us = MIN(w->record.deadline_us, (uint64_t)INT64_MAX),
        .payload_bytes = strlen(w->params) + w->input_bytes,
        .attempts_max = w->record.attempts_max,
        .created_us = w->record.created_us,
    };

    memcpy(r.kernel, w->record.kernel, sizeof(r.kernel));
    memcpy(r.client, w->record.client, sizeof(r.client));
    return r;
}

void step_late(struct record *r, uint64_t now_us)
{
    finish(r, RECORD_FAILED, now_us);
    set_end(&r->end, JOB_DEADLINE, late);
}

void step_claim(struct record *r, uint64_t epoch, uint64_t now_us)
{
    r->state = RECORD_RUNNING;
    r->attempts++;
    r->lease = MAX(r->lease, epoch << EPOCH_SHIFT) + 1;
    r->started_us = now_us;
    r->end = (struct record_end) {.outcome = JOB_PENDING};
}

int step_end(struct record *r, const struct store_end *w)
{
    if (r->state != RECORD_RUNNING || r->lease != w->lease)
        return -ESTALE;
    CHECK(w->state == RECORD_QUEUED || record_has_ended(w->state));
    if (w->state == RECORD_QUEUED) {
        r->state = RECORD_QUEUED;
        r->run_at_us = w->run_at_us;
    } else {
        finish(r, w->state, w->attempt.finished_us);
    }
    r->attempts -= !w->counts && r->attempts > 0 ? 1 : 0;
    r->end = w->attempt.end;
    r->receipt = w->receipt;
    return 0;
}

void step_result(struct record *r, const struct store_end *w)
{
    r->result = RECORD_RESULT_KEPT;
    r->result_bytes = w->result_bytes;
    memcpy(r->media_type, w->media_type, sizeof(r->media_type));
}

int step_cancel(struct record *r, uint64_t now_us, struct record_attempt *ret_attempt)
{
    bool was_running = r->state == RECORD_RUNNING;

    if (record_has_ended(r->state))
        return -EALREADY;
    if (was_running)
        *ret_attempt = cut(r, now_us, cancelled);
    finish(r, RECORD_CANCELLED, now_us);
    set_end(&r->end, JOB_CANCELLED, cancelled);
    return was_running;
}

int step_retry(struct record *r)
{
    if (r->state != RECORD_DEAD && r->state != RECORD_FAILED)
        return -EALREADY;
    r->state = RECORD_QUEUED;
    r->attempts = 0;
    r->run_at_us = r->finished_us = r->deadline_us = 0;
    return 0;
}

void step_cut_off(struct record *r, uint64_t now_us, struct record_attempt *ret_attempt)
{
    *ret_attempt = cut(r, now_us, cut_off);
    r->state = RECORD_QUEUED;
    r->attempts -= r->attempts > 0 ? 1 : 0;
    r->end = ret_attempt->end;
}
