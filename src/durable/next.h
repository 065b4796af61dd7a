/*
 * F4b, pure: what becomes of a job when an attempt of it has ended. No clock, no thread.
 */
#ifndef DURABLE_NEXT_H
#define DURABLE_NEXT_H

#include "jobs/record.h"

struct next {
    enum record_state state; /* queued again, or ended */
    bool counts;             /* as one of its attempts */
    uint64_t run_at_us;      /* queued: not before */
};

struct next_rules {
    uint64_t now_us;
    uint64_t backoff_us;     /* before the second attempt; twice as long before each further one */
    uint64_t backoff_max_us; /* never longer */
    uint64_t random;         /* any number: the pause is between half of that and all of it */
};

/*
 * `record` as it was claimed, with this attempt counted; `job` as the scheduler gave it back, or refused it.
 *
 * A worker's death is tried again until the attempts are used up. What the kernel refuses it would refuse again, and
 * what took too long would again. What was cut off by the end of the server, or never began, costs no attempt.
 */
struct next next_of(const struct record *record, const struct job *job,
                    const struct next_rules *rules);

#endif
