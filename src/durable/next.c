#include "durable/next.h"

enum { DOUBLINGS_MAX = 30 };

static uint64_t pause_us(const struct record *record, const struct next_rules *rules)
{
    unsigned doublings =
        MIN(record->attempts > 0 ? record->attempts - 1 : 0, (unsigned)DOUBLINGS_MAX);
    uint64_t pause = MIN(rules->backoff_us << doublings, rules->backoff_max_us);

    return pause / 2 + (pause > 1 ? rules->random % (pause - pause / 2 + 1) : 0);
}

static struct next after_death(const struct record *record, const struct next_rules *rules)
{
    if (record->attempts >= record->attempts_max)
        return (struct next) {.state = RECORD_DEAD, .counts = true};
    return (struct next) {.state = RECORD_QUEUED,
                          .counts = true,
                          .run_at_us = rules->now_us + pause_us(record, rules)};
}

static struct next after_refusal(const struct job *job, const struct next_rules *rules)
{
    /* With a time to come again it is not broken, but was replaced just then. */
    if (job->refusal == JOB_REFUSAL_BROKEN && job->retry_after_s == 0)
        return (struct next) {.state = RECORD_FAILED, .counts = true};
    if (job->refusal == JOB_REFUSAL_DRAINING)
        return (struct next) {.state = RECORD_QUEUED};
    return (struct next) {.state = RECORD_QUEUED,
                          .run_at_us =
                              rules->now_us + MAX(job->retry_after_s, (uint64_t)1) * 1000000};
}

struct next next_of(const struct record *record, const struct job *job,
                    const struct next_rules *rules)
{
    switch (job->outcome) {
    case JOB_OK:
        return (struct next) {.state = RECORD_SUCCEEDED, .counts = true};
    case JOB_DIED:
        return after_death(record, rules);
    case JOB_CANCELLED:
        return (struct next) {.state = RECORD_QUEUED};
    case JOB_REFUSED:
        return after_refusal(job, rules);
    case JOB_FAILED:
    case JOB_DEADLINE:
        break;
    case JOB_PENDING:
    case JOB_OUTCOME_COUNT:
        CHECK(false);
    }
    return (struct next) {.state = RECORD_FAILED, .counts = true};
}
