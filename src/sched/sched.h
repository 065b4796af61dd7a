/*
 * F4. What runs when: takes requests for compute, hands their tasks to the pool in a fair order, puts the parts
 * together, and sees to it that every accepted request ends: with its answer, or with the reason.
 *
 * May use pool, jobs, state (metrics), thread, base. Knows nothing of HTTP: news goes upwards through the
 * functions in struct job, which the collector thread calls, never under the lock.
 *
 * One mutex (LOCK_SCHED) guards all of it; it is held for microseconds and never over a callback. Submitting
 * threads send a task to the workers themselves when one can take it; the collector thread does the rest:
 * answers, exits, timers, clients that hang up.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "jobs/job.h"
#include "pool/pool.h"
#include "sched/queue.h"
#include "sched/retry.h"

enum {
    SCHED_TERM_MS = 500, /* the cancel ladder: the flag at once, then SIGTERM, then SIGKILL */
    SCHED_KILL_MS = 2000,
    SCHED_TICK_MS = 50,     /* while anything runs: hang-ups, progress */
    SCHED_LINGER_MS = 1000, /* ticks go on for this long after the last request */
    SCHED_SPLIT_IDLE_US =
        500, /* a request predicted to take longer is split, when a worker is idle */
    SCHED_SPLIT_BUSY_US = 5000, /* … and when none is */
    SCHED_EXPRESS_MS =
        50, /* what the express worker runs for longer is moved to the ordinary ones */
    SCHED_INTAKE_US = 300,       /* how much work may wait inside an intake, per worker */
    SCHED_INTAKE_TASKS_MAX = 64, /* … and how many tasks, per worker */
};

struct sched_config {
    struct pool_config pool;
    struct retry_rules retry;
    size_t queue_max; /* requests that wait to be started */
};

struct sched;

/* Starts the zygote and the collector. Returns before the workers are ready: sched_wait_ready. */
int sched_start(struct sched **ret, const struct sched_config *config, struct err *err);

/* Waits until workers take tasks, or the deadline: -ETIMEDOUT. While the zygote says that its programs take long to
 * start, the deadline moves. */
int sched_wait_ready(struct sched *s, uint64_t deadline_ns);

/* From now on submissions are refused. */
void sched_drain(struct sched *s);

/* Waits until every accepted request has ended, or the deadline; how many are left. */
size_t sched_wait_idle(struct sched *s, uint64_t deadline_ns);

/* Ends all that still runs as JOB_CANCELLED, then the workers and the collector. */
void sched_stop(struct sched *s);
struct sched *sched_free(struct sched *s);

struct catalog *sched_catalog(struct sched *s);
struct slab_store *sched_slabs(struct sched *s);

/* Takes the job: job->done will be called exactly once, perhaps before this returns. Or refuses it: -EBUSY,
 * job->refusal and its fields tell why, done is not called, and nothing was started. Any thread. */
int sched_submit(struct sched *s, struct job *job);

/* Its client does not want it any more. `id` instead of a pointer, because it may have ended meanwhile. */
void sched_cancel(struct sched *s, struct id id);

/* How far a running request is, in its kernel's units: both 0 when nobody knows. -ESRCH when none has this id. */
int sched_progress(struct sched *s, const char *id, uint64_t *ret_done, uint64_t *ret_total);

/* -ESRCH when no worker has this pid. */
int sched_kill_worker(struct sched *s, int pid);

struct sched_worker {
    struct pool_worker worker;
    bool is_busy;
    char kernel[PRONG_NAME_MAX + 1];
    char job[ID_TEXT_BYTES];
    uint64_t busy_ns; /* with this task */
};

struct sched_status {
    bool is_ready, is_draining;
    int zygote_pid;
    size_t queued[QUEUE_CLASS_COUNT];
    size_t queue_max;
    size_t running;      /* requests that have a task out */
    size_t inflight;     /* tasks that are out */
    uint64_t backlog_ns; /* predicted work of all that is accepted */
    size_t worker_count;
    struct sched_worker workers[PROTO_WORKERS_MAX];
};

void sched_status(struct sched *s, struct sched_status *ret);

/* NULL when compute can be served now, else one sentence why not. */
const char *sched_unready(struct sched *s);

#endif
