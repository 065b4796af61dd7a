/*
 * F4b. Durable jobs: accepted once they are in the store, run by the scheduler when there is room, retried when
 * their worker died, ended exactly once visibly, and watched meanwhile.
 *
 * One thread, "jobs", does all of it: it claims what is queued, hands it to the scheduler, writes down how it ended, and
 * tells those who watch. Everybody else sends it mail: the HTTP threads (watchers), the collector (parts, progress,
 * ends), the store's thread (what has been committed). It has no lock of its own, and the store is the truth: what is in
 * memory here is only what runs or is watched now.
 *
 * May use the scheduler, the store, state (metrics), thread, base. Knows nothing of HTTP.
 */
#ifndef DURABLE_DURABLE_H
#define DURABLE_DURABLE_H

#include "base/heap.h"
#include "jobs/store/store.h"
#include "sched/sched.h"

enum {
    DURABLE_RUNNING_MAX = 64,   /* jobs with the scheduler at once */
    DURABLE_AHEAD_MS = 20,      /* as many short ones as take the workers this long */
    DURABLE_BACKOFF_MAX_S = 60, /* between two attempts */
    DURABLE_EVENT_BYTES_MAX =
        1 << 20, /* of one job's parts, kept for who comes later or comes back */
    DURABLE_PROGRESS_EVERY_MS = 100,
};

struct durable_config {
    struct sched *sched;
    struct store *store;
    unsigned workers;
    uint64_t results_bytes_max; /* of the store: above, it is swept at once */
    uint64_t
        backoff_ns; /* before the second attempt; twice as long before each further one, with jitter */
};

struct durable;
struct live;

/* What the "jobs" thread is sent. */
struct durable_letter {
    struct mail mail;
    int kind;
};

int durable_start(struct durable **ret, const struct durable_config *config, struct err *err);

/* No job is claimed any more, and everybody who watches is told so and let go. What runs goes on. Before sched_drain, or
 * jobs would be claimed only to be refused; again does nothing. */
void durable_drain(struct durable *d);

/* After sched_stop: what was cut off is queued again. Returns when the store has kept all of it, or has failed to; false:
 * neither by `deadline_ns` (monotonic; CLOCK_NEVER). The thread stays, for who asks to watch and is told that the server
 * ends. */
bool durable_stop(struct durable *d, uint64_t deadline_ns);

/* Ends the thread. Nobody may watch or change anything any more. */
struct durable *durable_free(struct durable *d);

/* The wall clock, but for jumps of it since the server started: for the times of jobs. */
uint64_t durable_now_us(const struct durable *d);

/* ---- changes, from any thread ---- */

/* What the store's write of that name needs is the caller's to fill, but for the mail, kind, rc, done and owner
 * of the write, and now_us; `done` is called on the store's thread (submissions) or on "jobs" (changes), with store.write.rc.
 * 0: it will be. The same errors as store_post, and -ECANCELED when the server is ending: it will not be. */
struct durable_submit {
    struct store_submit store;
    void (*done)(struct durable_submit *s);
    void *owner;
    struct durable *durable; /* set by durable_submit */
};
int durable_submit(struct durable *d, struct durable_submit *s);

struct durable_change {
    struct store_change store; /* `id` is the caller's to fill */
    void (*done)(struct durable_change *c);
    void *owner;
    struct durable *durable; /* what follows is set by durable_cancel and the like */
    struct durable_letter letter;
};
int durable_cancel(struct durable *d, struct durable_change *c);
int durable_retry(struct durable *d, struct durable_change *c);
int durable_forget(struct durable *d, struct durable_change *c);

/* ---- watching, from any thread ---- */

enum durable_event_kind {
    DURABLE_STATE,    /* `record`; the first event, and at each change */
    DURABLE_PROGRESS, /* done, total */
    DURABLE_PART,    /* data: one piece that the kernel emitted, in the worker `pid` (0: unknown) */
    DURABLE_RETRY,   /* `retry`: a worker died, and what it had is begun again */
    DURABLE_END,     /* `record` has ended; the last event */
    DURABLE_TIMEOUT, /* the watch's deadline; the last event */
    DURABLE_DRAINING, /* the server ends; the last event */
    DURABLE_GONE,     /* there is no such job (any more), or it cannot be read: the last event */
};

struct durable_event {
    enum durable_event_kind kind;
    uint64_t number; /* grows from event to event of one job, over restarts too */
    const struct record *record;
    uint64_t done, total;
    const struct job_retry *retry;
    int pid;
    const void *data;
    size_t bytes;
};

/* The caller's; it must live until the last event has been told. */
struct durable_watch {
    struct id job;
    uint64_t deadline_ns; /* monotonic; CLOCK_NEVER */
    bool wants_all;       /* false: only the last event */
    uint64_t after;       /* events up to this number are known already; 0: none */
    /* On the "jobs" thread, which it must not hold up. The last event gives the watch back to its owner. */
    void (*tell)(struct durable_watch *w, const struct durable_event *e);
    void *owner;
    /* what follows is the "jobs" thread's */
    struct durable_letter letter;
    struct live *live;
    TAILQ_ENTRY(durable_watch) link;
    struct heap_node timer;
};
void durable_watch(struct durable *d, struct durable_watch *w);

#endif
