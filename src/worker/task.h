/*
 * F3, behind the wall. The context of one task: its output, its failure, and whether it must stop.
 * What a kernel may do with it is in worker/host.h. Uses kernel, ipc and base; knows nothing of the
 * loop that feeds it. One worker; one task at a time.
 */
#ifndef WORKER_TASK_H
#define WORKER_TASK_H

#include <stdarg.h>
#include <stdbool.h>

#include "ipc/proto.h"
#include "ipc/shm.h"
#include "prong/kernel.h"
#include "worker/answer.h"
#include "worker/order.h"
#include "worker/output.h"

enum task_stop {
    TASK_RUNS,
    TASK_CANCELLED, /* the kernel was told to stop: nobody wants it, or its deadline has passed */
    TASK_YIELDED,   /* the kernel was told to hand the rest of its range back */
};

struct task {
    struct prong_ctx ctx; /* first: the host's functions get this and find the rest */
    /* The worker's, for its whole life. */
    struct shm_page *page;
    const struct shm_control *control;
    struct answer_channel *channel;
    struct remote *remote;    /* for kernels of programs; NULL: there are none */
    struct output outputs[2]; /* one is written while the other is read */
    struct output *out;
    /* This task's, from task_begin on. */
    const struct order *order;
    uint64_t yield_units; /* units of the range that may be cut short; 0: it may not */
    uint64_t done;        /* units that were through when the kernel was told to yield */
    enum task_stop stop;
    bool is_together; /* with others of its kernel, in one call: the page's progress is nobody's */
    bool failed;
    bool died;               /* failed, because the program that was to compute it is dead */
    uint64_t program_cpu_ns; /* of the program that computed it */
    bool was_killed;         /* … and that was our doing */
    int died_status;         /* of wait4 */
    char error[PROTO_ERROR_MAX];
    char media[PROTO_MEDIA_MAX + 1]; /* "" until the kernel says */
};

/* Prepares for a life of tasks; the pointers stay the caller's. An answer is limited to the out
 * slab. -ENOMEM. */
int task_init(struct task *t, struct shm_page *page, const struct shm_control *control,
              struct answer_channel *channel);
/* For one that is always computed together with others: it has one small output. */
int task_init_together(struct task *t, struct shm_page *page, const struct shm_control *control,
                       struct answer_channel *channel);
void task_release(struct task *t);

/* Makes `order`, which must outlive it, the task that the kernel sees. */
void task_begin(struct task *t, const struct order *order);

/* Gives back the memory that a large answer took. */
void task_end(struct task *t);

/* An empty output to write; what was in the current one stays until the next call. */
void task_turn(struct task *t);

/* The task fails with this sentence, cut at PROTO_ERROR_MAX - 1, unless it has failed before. -1.
 * */
int task_fail(struct task *t, const char *format, ...) PRINTF_LIKE(2, 3);
void task_fail_va(struct task *t, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Likewise, and it counts as a death. */
int task_die(struct task *t, int status, bool was_killed, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Whether prong has cancelled it or its deadline has passed; it is stopped from then on. */
bool task_is_cancelled(struct task *t, uint64_t now_ns);

/* Whether the range being mapped is to be cut after `done` of `total` units. Only a range that the
 * kernel counts as it was given can be: its rest must have a beginning. */
bool task_must_yield(struct task *t, uint64_t done, uint64_t total);

/* The monotonic clock, up to 4 ms late and for a third of the price: kernels may call progress
 * often. */
uint64_t task_coarse_now_ns(void);

/* What is logged from now on is about this task; NULL: about none. */
void task_log_about(const struct proto_task *f);

/* What is in the current output. */
static inline struct prong_buf task_output(const struct task *t)
{
    return (struct prong_buf) {.data = t->out->data, .size = t->out->size};
}

#endif
