#include "jobs/store/turn.h"

static const struct record_end late = {.outcome = JOB_DEADLINE,
                                       .text = "Its deadline passed while it waited."};
static const struct record_end cancelled = {.outcome = JOB_CANCELLED,
                                            .text = "It was cancelled by a client."};
static const struct record_end cut_off = {.outcome = JOB_CANCELLED,
                                          .text = "The server ended while it ran."};

/* 0 would mean that it has not ended. */
static void end(struct record *r, enum record_state state, uint64_t now_us)
{
    r->state = state;
    r->finished_us = MAX(now_us, UINT64_C(1));
}

static void take_back_attempt(struct record *r)
{
    r->attempts -= r->attempts > 0 ? 1 : 0;
}

void turn_late(struct record *r, uint64_t now_us)
{
    end(r, RECORD_FAILED, now_us);
    r->run_at_us = 0;
    r->end = late;
}

void turn_running(struct record *r, uint64_t epoch, uint64_t now_us)
{
    r->state = RECORD_RUNNING;
    r->attempts++;
    r->lease = MAX(r->lease, epoch << 32) + 1;
    r->started_us = now_us;
    r->end = (struct record_end) {.outcome = JOB_PENDING};
}

bool turn_may_end(const struct record *r, const struct store_end *w)
{
    return r->state == RECORD_RUNNING && r->lease == w->lease;
}

void turn_ended(struct record *r, const struct store_end *w)
{
    CHECK(w->state == RECORD_QUEUED || record_has_ended(w->state));
    if (!w->counts)
        take_back_attempt(r);
    r->end = w->attempt.end;
    r->receipt = w->receipt;
    if (w->state == RECORD_QUEUED) {
        r->state = RECORD_QUEUED;
        r->run_at_us = w->run_at_us;
    } else {
        end(r, w->state, w->attempt.finished_us);
    }
}

void turn_cancelled(struct record *r, uint64_t now_us)
{
    end(r, RECORD_CANCELLED, now_us);
    r->run_at_us = 0;
    r->end = cancelled;
}

void turn_retried(struct record *r)
{
    r->state = RECORD_QUEUED;
    r->attempts = 0;
    r->run_at_us = r->finished_us = r->deadline_us = 0;
}

void turn_cut_off(struct record *r)
{
    r->state = RECORD_QUEUED;
    take_back_attempt(r);
    r->end = cut_off;
}

static struct record_attempt attempt(const struct record *r, uint64_t now_us,
                                     const struct record_end *how)
{
    return (struct record_attempt) {
        .started_us = r->started_us, .finished_us = now_us, .end = *how};
}

struct record_attempt turn_attempt_cancelled(const struct record *r, uint64_t now_us)
{
    return attempt(r, now_us, &cancelled);
}

struct record_attempt turn_attempt_cut_off(const struct record *r, uint64_t now_us)
{
    return attempt(r, now_us, &cut_off);
}
