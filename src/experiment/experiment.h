/*
 * Behind the wall, apart from its floors. The experiments of the lab, each run once in one of its modes. prong-lab runs
 * one and ends; what it prints is read by src/lab. Uses base alone.
 */
#ifndef EXPERIMENT_EXPERIMENT_H
#define EXPERIMENT_EXPERIMENT_H

#include <stddef.h>

#include "experiment/crew.h"

enum {
    EXPERIMENT_WAIT_MS = 50, /* one wait of io */
    EXPERIMENT_NOTE_BYTES = 256,
};

#define EXPERIMENT_N_MAX 1000000000ULL /* so that every sum fits 63 bits */

struct experiment_task {
    const char *mode; /* one of the experiment's own */
    uint64_t n;
    unsigned workers;
};

struct experiment_report {
    struct crew crew;
    uint64_t result, expected;
    uint64_t switches;                /* of the lock around the work, from one thread to another */
    char note[EXPERIMENT_NOTE_BYTES]; /* a sentence, or "" */
};

/* What a mode is. */
struct experiment_way {
    const char *mode;
    enum crew_kind kind; /* with CREW_ALONE one worker has all of it */
    crew_work *work;
};

/* Runs the way of that name with a crew of its own. As experiment_run. */
int experiment_go(const struct experiment_way *ways, size_t count,
                  const struct experiment_task *task, void *arg, struct experiment_report *ret);

/* Runs it. 0; -EINVAL: it has no such mode; else the negative errno of starting threads or processes. */
typedef int experiment_run(const struct experiment_task *task, struct experiment_report *ret);

/* Adds up 0 … n-1, one after the other. Modes: sequential, threads, threads+gil, processes. */
experiment_run cpu_run;

/* Waits n times. The same modes. */
experiment_run io_run;

/* Each worker adds 1 to the same counter, n times. Modes: unlocked, locked, atomic. */
experiment_run race_run;

/* Each worker adds up 0 … n-1, and the first dies of a bad pointer half way. Modes: threads, processes. */
experiment_run crash_run;

/* Really adds lo … hi-1. */
uint64_t cpu_add(uint64_t lo, uint64_t hi);

/* The documents' own program: becomes python3 with prong-lab.py, which prints what it has found. `facts`: only which
 * python3 that is. Comes back only when that fails: -ENOENT when there is no python3. */
int python_become(const char *experiment, const struct experiment_task *task);

#endif
