#include "worker/once.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "ipc/description.h"
#include "program/values.h"
#include "worker/call.h"
#include "worker/remote.h"
#include "worker/task.h"

enum { EXIT_RETRY = 75, READ_BYTES = 64 << 10 };

/* What is still to be written to its input. */
struct feed {
    struct buf values; /* behind their length */
    struct iovec left[2];
    size_t at;
};

/* 0, or -1 when the task has failed. */
static int make_feed(struct task *t, struct feed *feed)
{
    const struct order *o = t->order;
    struct buf *b = &feed->values;
    uint32_t bytes = 0;

    buf_init(b, VALUES_BYTES_MAX);
    (void)buf_add(b, &bytes, sizeof(bytes));
    for (uint32_t i = 0; i < o->params.count; i++) {
        const struct prong_param *p = description_param_at(&o->kernel->kernel, i);
        char scratch[40];
        size_t n;
        const char *text;
        if (p->type == PRONG_VALUES)
            continue;
        text = call_param_text(o, i, scratch, &n);
        values_put(b, p->name, text, n);
    }
    if (buf_failed(b) < 0)
        return task_fail(t, "The parameters are more than program %s can be given.",
                         o->kernel->program->name);
    bytes = (uint32_t)(b->size - sizeof(bytes));
    memcpy(b->data, &bytes, sizeof(bytes));
    feed->left[0] = (struct iovec) {.iov_base = b->data, .iov_len = b->size};
    feed->left[1] =
        (struct iovec) {.iov_base = (void *)(uintptr_t)o->input.data, .iov_len = o->input.size};
    feed->at = 0;
    return 0;
}

/* Writes what there is room for, and then closes its input. One that does not read it all need not. */
static void give(struct feed *feed, struct copy *copy)
{
    while (copy->in_fd >= 0 && feed->at < ARRAY_SIZE(feed->left)) {
        struct iovec *piece = &feed->left[feed->at];
        ssize_t n = write(copy->in_fd, piece->iov_base, piece->iov_len);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            break;
        piece->iov_base = (char *)piece->iov_base + n;
        piece->iov_len -= (size_t)n;
        feed->at += piece->iov_len == 0;
    }
    check_close_fd(&copy->in_fd);
    copy->in_fd = -1;
    copy->wants_out = false;
}

static int fail_full(struct task *t)
{
    return task_fail(t, "The result is larger than %zu bytes; the server's limit is --result-max.",
                     t->out->max);
}

/* What there is of its answer, up to READ_BYTES. 1 while there may be more, 0 at its end, -1 when the task
 * has failed. *ret_waits: nothing is there now. */
static int read_answer(struct task *t, struct copy *copy, bool *ret_waits)
{
    size_t before = t->out->size;
    size_t room = MIN((size_t)READ_BYTES, t->out->max - before);
    char spare = 0; /* for the byte too many */
    char *at = room == 0 ? &spare : output_reserve(t->out, room);
    ssize_t n;

    if (at == NULL)
        return task_fail(t, "There is no memory for the result.");
    n = read(copy->out_fd, at, MAX(room, (size_t)1));
    *ret_waits = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (n > 0 && room == 0)
        return fail_full(t);
    t->out->size = before + (size_t)MAX(n, (ssize_t)0);
    return n > 0 || *ret_waits;
}

/* Until it has ended and all is read; -1 when it has to be killed before. */
static int follow(struct task *t, struct copy *copy, struct feed *feed)
{
    bool is_open = true;

    copy->wants_out = true;
    while (is_open || !copy->has_died) {
        bool had_died = copy->has_died, waits = true;
        int rc;
        give(feed, copy);
        rc = is_open ? read_answer(t, copy, &waits) : 1;
        if (rc < 0 || task_is_cancelled(t, task_coarse_now_ns()))
            return -1;
        /* What somebody else still holds open is not waited for. */
        if (rc == 0 || (had_died && waits)) {
            check_close_fd(&copy->out_fd);
            copy->out_fd = -1;
            is_open = false;
        }
        if (waits && !(copy->has_died && !is_open))
            remote_wait(t, copy, REMOTE_LOOK_MS);
    }
    return 0;
}

static int judge(struct task *t, struct copy *copy)
{
    const char *name = copy->program->name;
    int status = copy->status;

    if (WIFSIGNALED(status) || WEXITSTATUS(status) == EXIT_RETRY)
        return remote_died(t, copy, "and gave no answer");
    if (WEXITSTATUS(status) == 0)
        return 0;
    return task_fail(t, "Program %s failed with exit code %d.%s", name, WEXITSTATUS(status),
                     remote_last_words(t, copy));
}

static int run(struct task *t, struct feed *feed)
{
    struct remote *r = t->remote;
    int rc;

    r->copy = remote_borrow(t, t->order->kernel->program_place);
    if (r->copy == NULL)
        return -1;
    rc = follow(t, r->copy, feed);
    if (rc == 0)
        rc = judge(t, r->copy);
    /* Killed if it has not ended. */
    if (r->copy != NULL) {
        (void)remote_last_words(t, r->copy);
        t->program_cpu_ns += copies_take_cpu_ns(r->copy);
        copies_kill(&r->copies, r->copy);
    }
    r->copy = NULL;
    return rc;
}

int once_run(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct task *t = CONTAINER_OF(ctx, struct task, ctx);
    struct feed feed;
    int rc = make_feed(t, &feed);

    (void)lo;
    (void)hi;
    if (rc == 0)
        rc = run(t, &feed);
    buf_release(&feed.values);
    return rc;
}
