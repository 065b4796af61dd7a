/*
 * For tests only: a task context in this process, with a kernel of the test's own and no worker
 * around it.
 */
#ifndef TESTS_TASK_FIXTURE_H
#define TESTS_TASK_FIXTURE_H

#include "prong_side.h"

#include "worker/run.h"

struct task_fixture {
    struct prong_side side;
    struct answer_channel channel;
    struct registry_kernel kernel;
    struct proto_task frame;
    struct order order;
    struct task task;
};

static inline void task_fixture_open(struct task_fixture *f, const struct prong_kernel *k,
                                     size_t out_bytes)
{
    *f = (struct task_fixture) {.kernel.kernel = *k};
    prong_side_open(&f->side, out_bytes);
    f->channel = (struct answer_channel) {
        .fd = f->side.worker_fds[PROTO_FORK_CHANNEL],
        .out = f->side.out,
        .out_bytes = out_bytes,
    };
    /* Here the page can be mapped only by prong's rules; a worker would write it. */
    assert_int_equal(shm_map(f->side.worker_fds[PROTO_FORK_PAGE], sizeof(struct shm_page),
                             SHM_PEER_WRITES, (void **)&f->task.page),
                     0);
    assert_int_equal(task_init(&f->task, f->task.page, f->side.control, &f->channel), 0);
    f->frame = prong_side_task(&f->side, 0, PROTO_OP_START);
    f->order = (struct order) {
        .frame = &f->frame,
        .kernel = &f->kernel,
        .input = {.data = "", .size = 0},
    };
}

static inline void task_fixture_close(struct task_fixture *f)
{
    shm_unmap(f->task.page, sizeof(struct shm_page));
    task_release(&f->task);
    prong_side_close(&f->side);
}

static inline struct run_result task_fixture_run(struct task_fixture *f, uint8_t op)
{
    f->frame.op = op;
    task_begin(&f->task, &f->order);
    return run_task(&f->task);
}

static inline void task_fixture_expect(const struct run_result *r, enum proto_answer_kind kind,
                                       const char *body)
{
    if (r->kind == PROTO_ANSWER_FAILED && kind != PROTO_ANSWER_FAILED)
        print_message("the task failed: %s\n", (const char *)r->body.data);
    assert_int_equal(r->kind, kind);
    assert_int_equal(r->body.size, strlen(body));
    assert_memory_equal(r->body.data, body, strlen(body));
}

#endif
