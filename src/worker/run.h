/*
 * F3, behind the wall. What the four operations of a TASK mean: which of the kernel's functions
 * run, in which order, on what. Uses kernel, ipc and base; touches no channel and no clock of its
 * own. One worker.
 */
#ifndef WORKER_RUN_H
#define WORKER_RUN_H

#include "worker/task.h"

struct run_result {
    enum proto_answer_kind kind;
    uint64_t units;   /* see proto_answer */
    double unit_cost; /* START */
    struct prong_buf
        body; /* of RESULT: in the task's output or a slab; of FAILED and DIED: its sentence */
};

/* Runs the task that has begun. The body is valid until the next task begins. */
struct run_result run_task(struct task *t);

/* Runs tasks of one kernel by one call of its `batch`. Each has begun; `ret` has a place for each. */
void run_together(struct task *const *tasks, uint32_t count, struct run_result *ret);

#endif
