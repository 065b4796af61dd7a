/*
 * F4, behind the wall. What the ops of a JOB mean: which of the kernel's functions run, in which order, on
 * what. Uses host/job.h; touches no socket of its own. One thread.
 */
#ifndef HOST_OPS_H
#define HOST_OPS_H

#include "host/job.h"

/* What the JOB says besides the parameters. */
struct ops_order {
    const char *op;
    uint64_t lo, hi;               /* map */
    const struct prong_buf *parts; /* combine, finish */
    size_t part_count;
};

struct ops_answer {
    bool is_plan;
    struct prong_work work; /* of a plan */
    struct prong_buf body;  /* in the job's output or among the parts; valid until the next job */
};

/* 0, or -1 when the job has failed or is cancelled. */
int ops_run(struct job *j, const struct ops_order *order, struct ops_answer *ret);

#endif
