#include "worker/remote.h"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/call.h"
#include "worker/once.h"
#include "worker/task.h"

/* Status of a program that asked to be tried again: as if it had exited so. */
#define STATUS_RETRY (75 << 8)

/* More than any JOB has around its parameters. */
enum { META_MAX = FRAME_META_MAX };

int remote_init(struct remote *r, const struct registry *registry, int spawn_fd,
                size_t result_bytes_max)
{
    *r = (struct remote) {0};
    buf_init(&r->meta, META_MAX);
    if (spawn_fd >= 0 && getrandom(&r->seed, sizeof(r->seed), 0) != sizeof(r->seed))
        return -errno;
    return copies_init(&r->copies, registry, spawn_fd, result_bytes_max);
}

static struct task *of(struct prong_ctx *ctx)
{
    return CONTAINER_OF(ctx, struct task, ctx);
}

/* Unguessable for a program that does not hear it: SplitMix64. */
static uint64_t next_job(struct remote *r)
{
    uint64_t x = r->seed += 0x9e3779b97f4a7c15ULL;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    return x == 0 ? 1 : x;
}

/* ---- what it writes ---- */

static void log_line(void *arg, const char *line)
{
    const struct task *t = arg;

    log_info("%s: %s", t->remote->copy == NULL ? "program" : t->remote->copy->program->name, line);
}

void remote_wait(struct task *t, struct copy *copy, int timeout_ms)
{
    copies_wait(&t->remote->copies, copy, timeout_ms, log_line, t);
}

const char *remote_last_words(struct task *t, struct copy *copy)
{
    static char text[PROTO_ERROR_MAX * 3 / 4];

    (void)words_read(&copy->words, log_line, t);
    words_flush(&copy->words, log_line, t);
    words_last_sentence(&copy->words, text, sizeof(text));
    return text;
}

void remote_end_task(struct task *t)
{
    struct remote *r = t->remote;

    if (r->copy != NULL) {
        words_flush(&r->copy->words, log_line, t);
        copies_release(&r->copies, r->copy);
    }
    r->copy = NULL;
    if (r->meta.capacity > FRAME_KEEP_BYTES) {
        buf_release(&r->meta);
        buf_init(&r->meta, META_MAX);
    }
}

/* ---- its end ---- */

static void drop(struct task *t, struct copy *copy)
{
    (void)words_read(&copy->words, log_line, t);
    words_flush(&copy->words, log_line, t);
    t->program_cpu_ns += copies_take_cpu_ns(copy);
    copies_kill(&t->remote->copies, copy);
    t->remote->copy = NULL;
}

/* One that has closed its socket is given a moment to end by itself, so that its status says why. */
static int await_status(struct task *t, struct copy *copy)
{
    uint64_t end_ns = clock_now_ns() + REMOTE_DEATH_MS * CLOCK_NS_PER_MS;
    uint64_t now_ns;

    check_close_fd(&copy->talk.fd);
    copy->talk.fd = -1;
    while (!copy->has_died && (now_ns = clock_now_ns()) < end_ns)
        remote_wait(t, copy, clock_poll_ms(now_ns, end_ns));
    return copy->has_died ? copy->status : SIGKILL;
}

int remote_died(struct task *t, struct copy *copy, const char *instead)
{
    const char *name = copy->program->name;
    int status = await_status(t, copy);
    const char *words = remote_last_words(t, copy);

    if (!copy->has_died)
        (void)task_die(t, status, true, "Program %s closed its socket %s, and was killed.%s", name,
                       instead, words);
    else if (WIFSIGNALED(status))
        (void)task_die(t, status, false, "Program %s was killed by SIG%s %s.%s", name,
                       sigabbrev_np(WTERMSIG(status)), instead, words);
    else
        (void)task_die(t, status, false, "Program %s exited with code %d %s.%s", name,
                       WEXITSTATUS(status), instead, words);
    drop(t, copy);
    return -1;
}

static int broke_the_protocol(struct task *t, struct copy *copy, const struct talk_said *said)
{
    (void)task_die(t, SIGKILL, true, "Program %s broke the protocol: it %s. It was killed.%s",
                   copy->program->name, said->how.text, remote_last_words(t, copy));
    drop(t, copy);
    return -1;
}

/* What ends the conversation without an answer. -1. */
static int lost(struct task *t, struct copy *copy, const struct talk_said *said)
{
    if (said->kind == TALK_BROKEN)
        return broke_the_protocol(t, copy, said);
    if (said->kind != TALK_TOO_LARGE)
        return remote_died(t, copy,
                           copy->talk.job == 0 ? "before it was ready" : "and gave no answer");
    drop(t, copy);
    return task_fail(t, "The result is larger than %zu bytes; the server's limit is --result-max.",
                     t->out->max);
}

/* ---- a copy that is ready ---- */

struct copy *remote_borrow(struct task *t, uint32_t place)
{
    struct copies *c = &t->remote->copies;
    struct copy *copy;

    copies_wish(c, place);
    while ((copy = copies_granted(c)) == NULL && c->refused == 0) {
        if (task_is_cancelled(t, task_coarse_now_ns())) {
            copies_forget(c);
            return NULL;
        }
        remote_wait(t, NULL, REMOTE_LOOK_MS);
    }
    if (copy == NULL)
        (void)task_fail(t, "Program %s could not be started: %s.",
                        c->registry->programs[place]->name, strerror(c->refused));
    return copy;
}

static int fail_late(struct task *t, struct copy *copy)
{
    (void)task_fail(t, "Program %s was not ready within %.3g s, and was killed.%s",
                    copy->program->name, (double)copy->program->start_ns / (double)CLOCK_NS_PER_S,
                    remote_last_words(t, copy));
    drop(t, copy);
    return -1;
}

/* One that starts for longer than this task may wait goes on starting, for the next. */
static int await_ready(struct task *t, struct copy *copy)
{
    uint64_t end_ns = copy->started_ns + copy->program->start_ns;
    struct talk_said said;

    while (copy->talk.state == TALK_STARTING) {
        talk_next(&copy->talk, &said);
        if (said.kind > TALK_READY || (said.kind == TALK_NOTHING && copy->has_died))
            return lost(t, copy, &said);
        if (said.kind == TALK_READY)
            return 0;
        if (task_is_cancelled(t, task_coarse_now_ns()))
            return -1;
        if (clock_now_ns() >= end_ns)
            return fail_late(t, copy);
        remote_wait(t, copy, REMOTE_LOOK_MS);
    }
    return 0;
}

static int get_copy(struct task *t)
{
    struct remote *r = t->remote;
    uint32_t place = t->order->kernel->program_place;

    if (r->copy == NULL)
        r->copy = copies_held(&r->copies, place);
    if (r->copy == NULL)
        r->copy = remote_borrow(t, place);
    return r->copy == NULL ? -1 : await_ready(t, r->copy);
}

/* ---- the conversation ---- */

static void take_progress(struct task *t, const struct talk_said *said)
{
    atomic_store_explicit(&t->page->done, said->done, memory_order_relaxed);
    atomic_store_explicit(&t->page->total, said->total, memory_order_relaxed);
    atomic_store_explicit(&t->page->beat_ns, task_coarse_now_ns(), memory_order_relaxed);
}

/* 0 while it may go on. Once it is not wanted any more it is told so, and after a while killed. */
static int look(struct task *t, struct copy *copy, uint64_t *kill_ns)
{
    if (!task_is_cancelled(t, task_coarse_now_ns()))
        return 0;
    if (*kill_ns == 0) {
        *kill_ns = clock_now_ns() + REMOTE_CANCEL_MS * CLOCK_NS_PER_MS;
        /* One that has not read all of its job is not told, and will not answer in time. */
        if (!talk_is_sending(&copy->talk))
            (void)talk_cancel(&copy->talk);
    }
    if (clock_now_ns() < *kill_ns)
        return 0;
    drop(t, copy);
    return -1;
}

/* Until its answer: RESULT or ERROR. -1 when there is none. */
static int converse(struct task *t, struct copy *copy, struct talk_said *said)
{
    uint64_t kill_ns = 0;

    remote_wait(t, copy, REMOTE_LOOK_MS);
    for (;;) {
        talk_next(&copy->talk, said);
        if (said->kind == TALK_RESULT || said->kind == TALK_ERROR)
            return 0;
        if (said->kind > TALK_ERROR || (said->kind == TALK_NOTHING && copy->has_died))
            return lost(t, copy, said);
        if (said->kind == TALK_PROGRESS)
            take_progress(t, said);
        if (said->kind == TALK_PART && t->order->frame->wants_parts)
            answer_emit(t->channel, t->order->frame->task,
                        (struct prong_buf) {.data = said->raw, .size = said->raw_bytes});
        if (look(t, copy, &kill_ns) < 0)
            return -1;
        if (said->kind == TALK_NOTHING)
            remote_wait(t, copy, REMOTE_LOOK_MS);
    }
}

static int send_job(struct task *t, struct copy *copy, const struct call *call)
{
    struct remote *r = t->remote;
    struct iovec pieces[TALK_PIECES_MAX];
    size_t count = 0, bytes = 0;
    int rc = call_write(&r->meta, t->order, call, clock_now_ns());

    if (rc == 0) {
        pieces[count++] = (struct iovec) {.iov_base = r->meta.data, .iov_len = r->meta.size};
        pieces[count++] = (struct iovec) {.iov_base = (void *)(uintptr_t)t->order->input.data,
                                          .iov_len = t->order->input.size};
        for (size_t i = 0; i < call->part_count; i++)
            pieces[count++] = (struct iovec) {.iov_base = (void *)(uintptr_t)call->parts[i].data,
                                              .iov_len = call->parts[i].size};
        for (size_t i = 1; i < count; i++)
            bytes += pieces[i].iov_len;
        rc = bytes > FRAME_BODY_MAX - META_MAX ? -E2BIG : 0;
    }
    if (rc < 0)
        return task_fail(t, "The input and parameters are more than program %s can be sent.",
                         copy->program->name);
    /* One that is gone says so when it is read. */
    (void)talk_job(&copy->talk, next_job(r), pieces, count);
    return 0;
}

static int take_error(struct task *t, const struct copy *copy, const struct talk_said *said)
{
    const char *name = copy->program->name;

    for (size_t i = 0; i < said->trace_count; i++)
        log_warning("%s: %s", name, said->trace[i]);
    if (t->stop == TASK_CANCELLED)
        return -1;
    if (said->code == TALK_RETRY)
        return task_die(t, STATUS_RETRY, false, "Program %s asked to be tried again: %s", name,
                        said->message);
    if (*said->message == '\0')
        return task_fail(t, "Program %s failed without saying why.", name);
    return task_fail(t, "%s", said->message);
}

static int take_result(struct task *t, const struct talk_said *said)
{
    void *at;

    if (t->stop == TASK_CANCELLED)
        return -1;
    if (*said->media_type != '\0')
        (void)snprintf(t->media, sizeof(t->media), "%s", said->media_type);
    at = output_reserve(t->out, said->raw_bytes);
    if (at == NULL)
        return task_fail(t, "There is no memory for a result of %zu bytes.", said->raw_bytes);
    memcpy(at, said->raw, said->raw_bytes);
    return 0;
}

/* One JOB. `work` is for a plan, and NULL else. */
static int do_job(struct task *t, const struct call *call, struct prong_work *work)
{
    struct talk_said said;
    struct copy *copy;

    if (get_copy(t) < 0)
        return -1;
    copy = t->remote->copy;
    if (send_job(t, copy, call) < 0 || converse(t, copy, &said) < 0)
        return -1;
    t->program_cpu_ns += copies_take_cpu_ns(copy);
    if (said.kind == TALK_ERROR)
        return take_error(t, copy, &said);
    if (work == NULL)
        return take_result(t, &said);
    if (!said.has_units)
        return task_fail(t, "Program %s answered a plan without its \"units\".",
                         copy->program->name);
    *work = (struct prong_work) {.units = said.units, .unit_cost = said.unit_cost};
    return t->stop == TASK_CANCELLED ? -1 : 0;
}

/* ---- what stands in the declarations ---- */

static int remote_run(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct call call = {.op = "run"};

    (void)lo;
    (void)hi;
    return do_job(of(ctx), &call, NULL);
}

static int remote_plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    struct call call = {.op = "plan"};

    return do_job(of(ctx), &call, ret_work);
}

static int remote_map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct call call = {.op = "map", .has_range = true, .lo = lo, .hi = hi};

    return do_job(of(ctx), &call, NULL);
}

static int remote_combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    struct prong_buf parts[] = {left, right};
    struct call call = {.op = "combine", .parts = parts, .part_count = 2};

    return do_job(of(ctx), &call, NULL);
}

static int remote_finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    struct call call = {.op = "finish", .parts = &whole, .part_count = 1};

    return do_job(of(ctx), &call, NULL);
}

const struct registry_remote *remote_functions(void)
{
    static const struct registry_remote functions = {
        .run = remote_run,
        .once = once_run,
        .plan = remote_plan,
        .map = remote_map,
        .combine = remote_combine,
        .finish = remote_finish,
    };

    return &functions;
}
