#include "worker/batch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "ipc/chan.h"

static bool kernel_is_right(const struct prong_kernel *k)
{
    return k->batch != NULL && k->plan == NULL && k->finish == NULL;
}

/* One of them, which begins at `at`; how long it is. */
static ssize_t read_member(struct batch_member *m, const char *at, size_t left,
                           const struct registry *registry, struct err *err)
{
    const struct proto_task *f = (const void *)at;
    int rc;

    if (left < sizeof(*f) || f->head.bytes < sizeof(*f) || f->head.bytes > left ||
        f->head.bytes % PROTO_ALIGN != 0)
        return err_set(err, -EPROTO, "A task of the batch is not inside its frame.");
    rc = order_read(&m->order, at, f->head.bytes, NULL, 0, NULL, registry, err);
    if (rc < 0)
        return rc;
    if (f->op != PROTO_OP_START || f->wants_parts != 0 ||
        !kernel_is_right(&m->order.kernel->kernel))
        return err_set(err, -EPROTO, "The batch holds a task that must be done alone.");
    return (ssize_t)f->head.bytes;
}

static int read_members(struct batch *b, const struct proto_batch *f,
                        const struct registry *registry, struct err *err)
{
    const char *at = (const char *)(f + 1);
    size_t left = f->head.bytes - sizeof(*f);

    for (uint32_t i = 0; i < f->count; i++) {
        struct batch_member *m = &b->members[i];
        ssize_t n = read_member(m, at, left, registry, err);
        if (n < 0)
            return (int)n;
        if (m->order.kernel != b->members[0].order.kernel)
            return err_set(err, -EPROTO, "The tasks of the batch are of two kernels.");
        at += n;
        left -= (size_t)n;
    }
    if (left > 0 || b->members[0].order.frame->task != f->task)
        return err_set(err, -EPROTO, "The batch holds other tasks than it says.");
    b->count = f->count;
    return 0;
}

int batch_read(struct batch *b, const void *frame, size_t got, const struct registry *registry,
               struct err *err)
{
    const struct proto_batch *f = chan_frame(frame, got, PROTO_BATCH, sizeof(*f));

    b->count = 0;
    if (f == NULL || f->head.bytes != got || f->count == 0 || f->count > PROTO_BATCH_MAX)
        return err_set(err, -EPROTO, "What came on the intake is no batch.");
    if (b->members == NULL)
        b->members = calloc(PROTO_BATCH_MAX, sizeof(*b->members));
    if (b->members == NULL)
        return err_set(err, -ENOMEM, "There is no memory for a batch.");
    return read_members(b, f, registry, err);
}

static int get_ready(struct batch *b, const struct task *like, struct err *err)
{
    for (; b->ready < b->count; b->ready++) {
        if (task_init_together(&b->members[b->ready].task, like->page, like->control,
                               like->channel) < 0)
            return err_set(err, -ENOMEM, "There is no memory for a batch.");
    }
    return 0;
}

int batch_run(struct batch *b, const struct task *like, struct err *err)
{
    struct task *tasks[PROTO_BATCH_MAX];
    int rc = get_ready(b, like, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < b->count; i++) {
        tasks[i] = &b->members[i].task;
        task_begin(tasks[i], &b->members[i].order);
    }
    run_together(tasks, b->count, b->results);
    return 0;
}

void batch_end(struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        task_end(&b->members[i].task);
}

void batch_release(struct batch *b)
{
    for (uint32_t i = 0; i < b->ready; i++)
        task_release(&b->members[i].task);
    free(b->members);
    *b = (struct batch) {0};
}
