/*
 * F4b. What happens now: the thread "live" follows what is counted, keeps the history of it, and tells those who listen to
 * GET /events.
 *
 * Each second becomes a sample. While anybody listens or anything happens it looks LIVE_LOOKS_PER_S times a second whether
 * the status has changed; then the status is made once and posted to all. When nothing happens and nobody listens
 * it sleeps until something is counted (metrics_arm): all that time is known to be zero.
 *
 * May use the scheduler, the store's figures, http's streams, state, thread, base. What a status is, is the business of the floor above.
 */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include "http/stream.h"
#include "jobs/store/store.h"
#include "live/history.h"
#include "sched/sched.h"

enum {
    LIVE_LOOKS_PER_S = 4,              /* and at most as many events "status" */
    LIVE_BEHIND_BYTES_MAX = 128 << 10, /* who has so much to take misses what comes meanwhile */
};

struct live_config {
    struct sched *sched;
    struct store *store;
    unsigned streams_max;
    /* The status as JSON, malloc'd; NULL when out of memory. On the thread "live", which holds no lock. */
    char *(*status)(void *owner);
    void *owner;
};

struct live;

int live_start(struct live **ret, const struct live_config *config, struct err *err);

/* Whoever listens is told that the server ends and is let go, also who comes later. Again does nothing. */
void live_drain(struct live *l);

/* Ends the thread: before the scheduler and the store are freed. No stream may be open. NULL is fine. */
void live_stop(struct live *l);

/* When nothing is counted any more. */
struct live *live_free(struct live *l);

/* ---- from any thread ---- */

/* A place for one more who listens; false when all are taken. It is given back by live_leave, or goes over to live_join. */
bool live_enter(struct live *l);
void live_leave(struct live *l);

/* Takes the poster's hold of the stream, and tells it everything from the status as it is now. */
void live_join(struct live *l, struct stream *s);

/* As history_read, up to the last full second. */
size_t live_history(struct live *l, enum history_span span,
                    struct history_point ret[HISTORY_POINTS_MAX]);

struct live_cpu {
    double cores;   /* used over about the last second; NAN: unknown */
    double total_s; /* NAN: there is no such process */
};
void live_cpu(struct live *l, int pid, struct live_cpu *ret);

#endif
