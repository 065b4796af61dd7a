/*
 * Behind the wall, apart from its floors. A crew of threads or of processes that work at the same time, and what they
 * leave behind: their results, and when each of them worked. Uses base alone.
 *
 * What they leave stands in memory that all processes of the crew share, so a process gives its answer as a thread does.
 */
#ifndef EXPERIMENT_CREW_H
#define EXPERIMENT_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    CREW_MAX = 16,        /* workers */
    CREW_SPANS_MAX = 128, /* of one lane; more are merged, neighbour with neighbour */
};

enum crew_kind {
    CREW_ALONE,     /* one after the other on the caller's own thread */
    CREW_THREADS,   /* of this process */
    CREW_PROCESSES, /* children of it */
};

struct crew_span {
    uint64_t start_ns, end_ns;
};

/* One of the crew. Written by itself alone, read when the crew has ended. */
struct lane {
    pid_t pid, tid;
    unsigned of; /* so many */
    uint64_t result;
    bool has_answered;
    int wait_status;  /* of a process */
    uint64_t open_ns; /* when it began what it is about now; 0: nothing */
    uint32_t span_count;
    uint32_t spans_per_entry; /* how many were merged into one */
    uint32_t spans_in_last;
    struct crew_span spans[CREW_SPANS_MAX];
};

/* Begins and ends a span of work; between the two it is drawn. */
void lane_begin(struct lane *lane);
void lane_end(struct lane *lane);

/* The work of one: returns its result. */
typedef uint64_t crew_work(struct lane *lane, unsigned index, void *arg);

struct crew {
    enum crew_kind kind;
    unsigned count;
    struct lane *lanes;
    uint64_t start_ns,
        wall_ns;     /* from just before the first is started to when the last was waited for */
    uint64_t cpu_ns; /* of all of them, by getrusage */
};

/* Makes the lanes of `count`, in memory that is shared with processes that are forked later, for good. 0 or negative
 * errno. */
int crew_prepare(struct crew *c, unsigned count);

/* Runs `work` once for each, and waits for all. 0 or negative errno, when not all could be started. */
int crew_run(struct crew *c, enum crew_kind kind, crew_work *work, void *arg);

/* Ends what lanes have begun whose threads are gone with their process, which was waited for at `end_ns`. */
void crew_close(struct crew *c, uint64_t end_ns);

/* The part of [0, n) that is for the worker `index` of `count`. */
struct crew_share {
    uint64_t lo, hi;
};
struct crew_share crew_share(uint64_t n, unsigned index, unsigned count);

/* The results of those that have answered, added up. */
uint64_t crew_sum(const struct crew *c);
unsigned crew_answered(const struct crew *c);

#endif
