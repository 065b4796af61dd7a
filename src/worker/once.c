#include "worker/once.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "ipc/description.h"
#include "program/values.h"
#include "worker/call.h"
#include "worker/remote.h"
#include "worker/task.h"

enum { EXIT_RETRY = 75, READ_BYTES = 64 << 10 };

/* Memory with these bytes in it, to be read from the start; negative errno. */
static int make_memory(const char *name, const void *data, size_t bytes)
{
    CLEANUP_FD int fd = memfd_create(name, MFD_CLOEXEC);
    size_t done = 0;

    if (fd < 0)
        return -errno;
    while (done < bytes) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return take_fd(&fd);
}

static int make_values(const struct order *o)
{
    struct buf b;
    int rc;

    buf_init(&b, VALUES_BYTES_MAX);
    for (uint32_t i = 0; i < o->params.count; i++) {
        const struct prong_param *p = description_param_at(&o->kernel->kernel, i);
        char scratch[40];
        size_t bytes;
        const char *text;
        if (p->type == PRONG_VALUES)
            continue;
        text = call_param_text(o, i, scratch, &bytes);
        values_put(&b, p->name, text, bytes);
    }
    rc = buf_failed(&b);
    if (rc == 0)
        rc = make_memory("prong-values", b.data, b.size);
    buf_release(&b);
    return rc;
}

static struct copy *start(struct task *t)
{
    CLEANUP_FD int values = make_values(t->order);
    CLEANUP_FD int input = make_memory("prong-input", t->order->input.data, t->order->input.size);
    int fds[LEND_ONCE_FD_COUNT] = {[LEND_ONCE_VALUES] = values, [LEND_ONCE_INPUT] = input};

    if (values >= 0 && input >= 0)
        return remote_borrow(t, t->order->kernel->program_place, fds);
    (void)task_fail(t, "There is no memory for the input of program %s: %s.",
                    t->order->kernel->program->name, strerror(values < 0 ? -values : -input));
    return NULL;
}

static int fail_full(struct task *t)
{
    return task_fail(t, "The result is larger than %zu bytes; the server's limit is --result-max.",
                     t->out->max);
}

/* What there is of its answer. 1 while there may be more, 0 at its end, -1 when the task has failed. */
static int read_answer(struct task *t, struct copy *copy)
{
    for (;;) {
        size_t before = t->out->size;
        size_t room = MIN((size_t)READ_BYTES, t->out->max - before + 1);
        char spare;
        char *at = before < t->out->max
                       ? output_reserve(t->out, MIN(room, t->out->max - before))
                       : &spare;
        ssize_t n;

        if (at == NULL)
            return task_fail(t, "There is no memory for the result.");
        n = read(copy->out_fd, at, at == &spare ? 1 : t->out->size - before);
        if (n > 0 && at == &spare)
            return fail_full(t);
        t->out->size = before + (size_t)MAX(n, (ssize_t)0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 1;
        if (n <= 0)
            return 0;
        if (task_is_cancelled(t, task_coarse_now_ns()))
            return 1;
    }
}

/* Until it has ended and all is read; -1 when it has to be killed before. */
static int follow(struct task *t, struct copy *copy)
{
    bool is_open = true;

    while (is_open || !copy->has_died) {
        bool had_died = copy->has_died;
        int rc = is_open ? read_answer(t, copy) : 0;
        if (rc < 0 || task_is_cancelled(t, task_coarse_now_ns()))
            return -1;
        if (is_open && (rc == 0 || had_died)) {
            /* What somebody else still holds open is not waited for. */
            check_close_fd(&copy->out_fd);
            copy->out_fd = -1;
            is_open = false;
        }
        if (is_open || !copy->has_died)
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

int once_run(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct task *t = CONTAINER_OF(ctx, struct task, ctx);
    struct remote *r = t->remote;
    int rc;

    (void)lo;
    (void)hi;
    r->copy = start(t);
    if (r->copy == NULL)
        return -1;
    (void)fcntl(r->copy->out_fd, F_SETFL, O_NONBLOCK);
    rc = follow(t, r->copy);
    if (rc == 0)
        rc = judge(t, r->copy);
    /* Killed if it has not ended. */
    if (r->copy != NULL) {
        (void)remote_last_words(t, r->copy);
        copies_kill(&r->copies, r->copy);
    }
    r->copy = NULL;
    return rc;
}
