#include "worker/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/chan.h"
#include "ipc/shm.h"
#include "sandbox/sandbox.h"
#include "worker/batch.h"
#include "worker/home.h"
#include "worker/limits.h"
#include "worker/remote.h"
#include "worker/retire.h"
#include "worker/run.h"
#include "worker/task.h"

/* Where the sandbox puts them. */
enum { CHANNEL_FD = SANDBOX_FIRST_FD, INTAKE_FD, STATM_FD, SPAWN_FD };

enum { FORK_NS_MIN = 50 * 1000 }; /* a task that ended sooner has not forked */

/* What a task has cost, as the system counts. */
struct usage {
    uint64_t cpu_ns;
    uint32_t max_rss_kb;
};

struct worker {
    alignas(PROTO_ALIGN) char frame[PROTO_FRAME_MAX];
    const struct registry *registry;
    struct shm_page *page;
    const struct shm_control *control;
    struct answer_channel channel;
    struct slabs slabs;
    struct order order;
    struct task task;
    struct batch batch;
    struct remote remote;
    struct retire retire;
    struct usage used; /* up to the end of the last task */
};

static _Noreturn void end_unsound(const char *sentence)
{
    log_error("this worker ends: %s", sentence);
    _exit(PROTO_EXIT_SETUP);
}

static uint64_t from_timeval(struct timeval t)
{
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_usec * CLOCK_NS_PER_US;
}

static struct usage usage_now(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (struct usage) {
        .cpu_ns = from_timeval(u.ru_utime) + from_timeval(u.ru_stime),
        .max_rss_kb = (uint32_t)MIN(u.ru_maxrss, (long)INT32_MAX),
    };
}

static void map_memory(struct worker *w, const struct worker_config *c)
{
    const int *fds = c->fds;
    void *page, *control, *out;

    if (shm_map(fds[PROTO_FORK_PAGE], sizeof(struct shm_page), SHM_PEER_WRITES, &page) < 0 ||
        shm_map(fds[PROTO_FORK_CONTROL], sizeof(struct shm_control), SHM_PEER_READS, &control) <
            0 ||
        shm_map(fds[PROTO_FORK_OUT], c->fork->out_bytes, SHM_PEER_WRITES, &out) < 0)
        end_unsound("its page, control page or out slab is not sealed memory of the right size.");
    w->page = page;
    w->control = control;
    w->channel = (struct answer_channel) {
        .fd = CHANNEL_FD,
        .out = out,
        .out_bytes = c->fork->out_bytes,
    };
}

/* Opened before the sandbox closes the way there. -1 without /proc. */
static int open_statm(void)
{
    return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* Two outputs of one answer's size, each of which doubles while it grows. */
static uint64_t memory_max(const struct worker_config *c)
{
    return c->memory_bytes_max == 0 ? 0 : c->memory_bytes_max + 4 * c->fork->out_bytes;
}

static void enter_sandbox(const struct worker_config *c)
{
    struct sandbox_policy policy = {.kind = SANDBOX_KERNEL, .memory_bytes = memory_max(c)};
    struct sandbox_rules rules = {
        .name = "prong-worker",
        .policy = &policy,
        .parent = c->parent,
        .nice = c->fork->nice,
        .keep = {c->fds[PROTO_FORK_CHANNEL], c->fds[PROTO_FORK_INTAKE], open_statm(), c->spawn_fd},
        .keep_count = 4,
    };
    struct err err;
    int rc = sandbox_enter(&rules, &err);

    if (rc == -ESRCH)
        _exit(PROTO_EXIT_RETIRED);
    if (rc < 0)
        end_unsound(err.text);
}

static void set_up(struct worker *w, const struct worker_config *c)
{
    log_init("prong-worker", (enum log_level)c->log_level);
    w->registry = c->registry;
    map_memory(w, c);
    home_settle(c->fork->home_cpu);
    enter_sandbox(c);
    if (task_init(&w->task, w->page, w->control, &w->channel) < 0)
        end_unsound("there is no memory.");
    if (remote_init(&w->remote, c->registry, c->spawn_fd < 0 ? -1 : SPAWN_FD,
                    w->channel.out_bytes) < 0)
        end_unsound("there is no memory.");
    w->task.remote = &w->remote;
    retire_init(&w->retire, c->fork, STATM_FD, w->page);
    w->used = usage_now();
}

static const struct proto_task *frame_of(const struct worker *w)
{
    return (const void *)w->frame;
}

static bool is_batch(const struct worker *w)
{
    return frame_of(w)->head.type == PROTO_BATCH;
}

/* The next task, its id in the page before anything else can go wrong with it: a worker that dies
 * is charged for the task that its page names. */
static size_t take_task(struct worker *w, int fds[PROTO_FDS_MAX], size_t *ret_fd_count)
{
    ssize_t got = chan_recv(INTAKE_FD, w->frame, sizeof(w->frame), fds, ret_fd_count, 0);

    if (got == 0 || got == -ECONNRESET)
        _exit(PROTO_EXIT_RETIRED);
    if (got < 0)
        end_unsound("what came on the intake is no frame.");
    if (chan_frame(w->frame, (size_t)got, PROTO_TASK, sizeof(struct proto_task)) == NULL &&
        chan_frame(w->frame, (size_t)got, PROTO_BATCH, sizeof(struct proto_batch)) == NULL)
        end_unsound("what came on the intake is no task.");
    atomic_store_explicit(&w->page->task, frame_of(w)->task, memory_order_release);
    return (size_t)got;
}

static bool is_cancelled_already(const struct worker *w)
{
    const struct proto_task *f = frame_of(w);

    return f->inflight < PROTO_INFLIGHT_MAX &&
           atomic_load_explicit(&w->control->cancel[f->inflight], memory_order_acquire) == f->task;
}

/* Runs and answers. The figures are taken before the answer is sent, which is when the task ends for prong; so
 * what it takes to send an answer and to receive the next task is counted to that next one. */
static void run_order(struct worker *w, uint64_t start_ns, struct proto_answer *answer)
{
    const struct manifest_limits *allowed = w->order.kernel->limits;
    struct usage before = w->used;
    struct limits limits;
    struct run_result result;

    task_begin(&w->task, &w->order);
    task_log_about(w->order.frame);
    limits_set(&limits, allowed, STATM_FD, before.cpu_ns);
    result = run_task(&w->task);
    limits_lift(&limits, allowed);
    w->used = usage_now();
    answer->kind = (uint8_t)result.kind;
    answer->units = result.units;
    answer->unit_cost = result.unit_cost;
    answer->was_killed = result.kind == PROTO_ANSWER_DIED && w->task.was_killed;
    answer->run_ns = clock_now_ns() - start_ns;
    answer->cpu_ns = w->used.cpu_ns - before.cpu_ns + w->task.program_cpu_ns;
    answer->max_rss_kb = w->used.max_rss_kb;
    answer_send(&w->channel, answer, result.kind == PROTO_ANSWER_RESULT ? w->task.media : "",
                result.body);
    task_end(&w->task);
    remote_end_task(&w->task);
    task_log_about(NULL);
}

static void do_task(struct worker *w, size_t got, const int *fds, size_t fd_count,
                    uint64_t start_ns, struct proto_answer *answer)
{
    struct err err;

    if (is_cancelled_already(w)) {
        chan_close_fds(fds, fd_count);
        answer->kind = PROTO_ANSWER_CANCELLED;
        answer_send(&w->channel, answer, "", (struct prong_buf) {.data = "", .size = 0});
        return;
    }
    if (order_read(&w->order, w->frame, got, fds, fd_count, &w->slabs, w->registry, &err) < 0)
        end_unsound(err.text);
    run_order(w, start_ns, answer);
}

static void answer_members(struct worker *w, const struct proto_answer *shared)
{
    for (uint32_t i = 0; i < w->batch.count; i++) {
        const struct batch_member *m = &w->batch.members[i];
        const struct run_result *result = &w->batch.results[i];
        struct proto_answer answer = *shared;
        answer.task = m->order.frame->task;
        answer.kind = (uint8_t)result->kind;
        answer.units = result->units;
        answer.unit_cost = result->unit_cost;
        answer_send(&w->channel, &answer, result->kind == PROTO_ANSWER_RESULT ? m->task.media : "",
                    result->body);
    }
}

/* Each is told that it took its share of the time. */
static void do_batch(struct worker *w, size_t got, const int *fds, size_t fd_count,
                     uint64_t start_ns, struct proto_answer *answer)
{
    uint64_t before_ns = w->used.cpu_ns;
    struct proto_answer share = {0};
    struct err err;

    chan_close_fds(fds, fd_count);
    if (batch_read(&w->batch, w->frame, got, w->registry, &err) < 0 ||
        batch_run(&w->batch, &w->task, &err) < 0)
        end_unsound(err.text);
    task_log_about(NULL);
    w->used = usage_now();
    answer->run_ns = clock_now_ns() - start_ns;
    share.run_ns = answer->run_ns / w->batch.count;
    share.cpu_ns = (w->used.cpu_ns - before_ns) / w->batch.count;
    share.max_rss_kb = w->used.max_rss_kb;
    answer_members(w, &share);
    batch_end(&w->batch);
}

/* After the answer was sent: prong reads the channel before it looks at the page of a dead worker,
 * so a task that was answered is never charged. */
static void set_idle(struct shm_page *page, uint64_t ended)
{
    atomic_store_explicit(&page->done, 0, memory_order_relaxed);
    atomic_store_explicit(&page->total, 0, memory_order_relaxed);
    atomic_store(&page->task, 0);
    atomic_store_explicit(&page->tasks,
                          atomic_load_explicit(&page->tasks, memory_order_relaxed) + ended,
                          memory_order_relaxed);
}

static bool condemns(const struct worker *w, const struct proto_task *f)
{
    return f->inflight < PROTO_INFLIGHT_MAX &&
           atomic_load(&w->control->condemned[f->inflight]) == f->task;
}

/* A signal meant for a task that has just ended may be on its way. */
static bool is_condemned(const struct worker *w)
{
    bool is = false;

    if (!is_batch(w))
        return condemns(w, frame_of(w));
    for (uint32_t i = 0; i < w->batch.count; i++)
        is = is || condemns(w, w->batch.members[i].order.frame);
    return is;
}

/* Children of a kernel would pile up; they end with the worker, whose process group is then killed. */
static bool has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void work_once(struct worker *w)
{
    struct proto_answer answer = {0};
    int fds[PROTO_FDS_MAX];
    size_t fd_count = 0;
    size_t got = take_task(w, fds, &fd_count);
    uint64_t start_ns = clock_now_ns();

    atomic_store_explicit(&w->page->beat_ns, start_ns, memory_order_relaxed);
    answer.task = frame_of(w)->task;
    if (is_batch(w))
        do_batch(w, got, fds, fd_count, start_ns, &answer);
    else
        do_task(w, got, fds, fd_count, start_ns, &answer);
    set_idle(w->page, is_batch(w) ? w->batch.count : 1);
    if (is_condemned(w))
        _exit(PROTO_EXIT_RETIRED);
    if (answer.run_ns > FORK_NS_MIN && has_children())
        _exit(PROTO_EXIT_RETIRED);
    if (retire_is_due(&w->retire, w->page, answer.run_ns, start_ns + answer.run_ns))
        _exit(PROTO_EXIT_RETIRED);
}

_Noreturn void worker_run(const struct worker_config *config)
{
    static struct worker w;

    set_up(&w, config);
    for (;;)
        work_once(&w);
}
