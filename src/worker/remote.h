/*
 * F3, behind the wall. Kernels that are computed by a program: the functions that stand in their
 * declarations, and what these need. Each has a JOB done by a copy of the program, and makes the task
 * succeed, fail, be cancelled or die accordingly. Uses program, kernel, ipc and base. One worker.
 *
 * The worker waits with its task, and looks every REMOTE_LOOK_MS whether it is still wanted; a program that
 * does not heed CANCEL within REMOTE_CANCEL_MS is killed. That is less than SCHED_TERM_MS, after which the
 * worker itself would be.
 */
#ifndef WORKER_REMOTE_H
#define WORKER_REMOTE_H

#include "base/buf.h"
#include "kernel/registry.h"
#include "worker/copies.h"

struct task;

enum { REMOTE_LOOK_MS = 20, REMOTE_CANCEL_MS = 400, REMOTE_DEATH_MS = 200 };

struct remote {
    struct copies copies;
    struct copy *copy; /* that this task uses; NULL: none yet */
    struct buf meta;   /* of the JOB that is on its way */
    uint64_t seed;     /* of the numbers of jobs */
};

/* For a life of tasks. -ENOMEM, or negative errno. */
int remote_init(struct remote *r, const struct registry *registry, int spawn_fd,
                size_t result_bytes_max);

/* After each task: the copy that it used may serve others. */
void remote_end_task(struct task *t);

/* What stands in the declaration of a program's kernel. */
const struct registry_remote *remote_functions(void);

/* For worker/once.h: has the wished copy, or NULL when the task has failed or is cancelled. */
struct copy *remote_borrow(struct task *t, uint32_t place);

/* Waits a little for something to happen; a line that the program writes is logged for the task. */
void remote_wait(struct task *t, struct copy *copy, int timeout_ms);

/* The program has ended, or is about to: the task dies of it. `instead` as in "and gave no answer". Has it
 * waited for, and killed when it has only closed its socket; the copy is gone afterwards. -1. */
int remote_died(struct task *t, struct copy *copy, const char *instead);

/* Its last words as the end of a sentence about it; valid until the next call. */
const char *remote_last_words(struct task *t, struct copy *copy);

#endif
