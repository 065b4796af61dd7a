#include "zygote/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/chan.h"
#include "worker/loop.h"
#include "zygote/children.h"
#include "zygote/programs.h"
#include "zygote/reap.h"
#include "zygote/spawn.h"
#include "zygote/start.h"

/* How long to wait for killed workers at the end; only one stuck in the kernel takes longer than a
 * moment, and PDEATHSIG has it anyway. */
#define LOOP_GRACE_NS (5 * CLOCK_NS_PER_S)

/* What an event of epoll is about; from TAG_WORKERS on, the worker in a slot. */
enum { TAG_REAP, TAG_CONTROL, TAG_WORKERS, EVENTS_MAX = 16 };

struct zygote {
    const struct zygote_config *config;
    struct children children;
    struct programs programs;
    struct start_config start;
    pid_t pid;
    int epoll_fd;
};

static pid_t start_copy(void *arg, uint32_t place, int ret_fds[LEND_FD_COUNT])
{
    return start_program(arg, place, ret_fds);
}

static int watch(const struct zygote *z, int fd, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

    return epoll_ctl(z->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void run_worker(void *arg)
{
    worker_run(arg);
}

/* Only who may need a program has a socket to ask for one. */
static int make_spawn_socket(const struct zygote *z, uint32_t slot, int ret_fds[2])
{
    int rc;

    ret_fds[0] = ret_fds[1] = -1;
    if (z->config->registry->program_count == 0)
        return 0;
    rc = chan_pair(ret_fds);
    if (rc == 0)
        rc = watch(z, ret_fds[0], TAG_WORKERS + slot);
    return rc;
}

/* The pid, or negative errno. */
static pid_t fork_worker(struct zygote *z, struct worker_config *worker)
{
    int spawn[2];
    pid_t pid = make_spawn_socket(z, worker->fork->slot, spawn);
    CLEANUP_FD int ours = spawn[0];
    CLEANUP_FD int theirs = spawn[1];

    worker->spawn_fd = theirs;
    if (pid == 0)
        pid = spawn_child(run_worker, worker);
    if (pid < 0)
        return pid;
    children_add(&z->children, worker->fork->slot, worker->fork->generation, pid);
    if (ours >= 0)
        programs_add_worker(&z->programs, worker->fork->slot, take_fd(&ours));
    return pid;
}

static int handle_fork(struct zygote *z, const struct proto_fork *f, const int *fds)
{
    struct worker_config worker = {
        .registry = z->config->registry,
        .fork = f,
        .parent = z->pid,
        .log_level = z->config->log_level,
    };
    struct proto_forked forked = {
        .head = chan_head(PROTO_FORKED, sizeof(forked)),
        .generation = f->generation,
        .slot = f->slot,
    };
    pid_t pid;

    if (children_check_free(&z->children, f->slot) < 0)
        return -EPROTO;
    memcpy(worker.fds, fds, sizeof(worker.fds));
    pid = fork_worker(z, &worker);
    if (pid > 0)
        forked.pid = pid;
    else
        forked.error = -pid;
    return chan_send_struct(z->config->control_fd, &forked, sizeof(forked), 0);
}

/* A worker that has ended meanwhile is no mistake of prong's: its EXITED was on the way. */
static int handle_kill(struct zygote *z, const struct proto_kill *f)
{
    pid_t pid = children_find(&z->children, f->slot, f->generation);

    if (f->signal < 1 || f->signal >= NSIG)
        return -EPROTO;
    if (pid > 0)
        reap_kill(pid, f->signal);
    return 0;
}

static int handle_frame(struct zygote *z, const void *frame, size_t got, const int *fds,
                        size_t fd_count)
{
    const struct proto_fork *f = chan_frame_exact(frame, got, PROTO_FORK, sizeof(*f));
    const struct proto_kill *k = chan_frame_exact(frame, got, PROTO_KILL, sizeof(*k));

    if (f != NULL && fd_count == PROTO_FORK_FD_COUNT)
        return handle_fork(z, f, fds);
    if (k != NULL && fd_count == 0)
        return handle_kill(z, k);
    return -EPROTO;
}

/* One frame. Negative errno when it was the last: -EPIPE when prong is gone. */
static int receive(struct zygote *z)
{
    alignas(8) char frame[sizeof(struct proto_fork)];
    int fds[PROTO_FDS_MAX];
    size_t fd_count = 0;
    ssize_t got =
        chan_recv(z->config->control_fd, frame, sizeof(frame), fds, &fd_count, MSG_DONTWAIT);
    int rc;

    if (got == -EAGAIN)
        return 0;
    if (got <= 0)
        return got == 0 ? -EPIPE : (int)got;
    rc = handle_frame(z, frame, (size_t)got, fds, fd_count);
    chan_close_fds(fds, fd_count);
    return rc;
}

/* Tells of one worker that ended. Others that come by were left behind by workers, and nobody
 * asked. */
static int tell(struct zygote *z, const struct reaped *child)
{
    struct proto_exited exited = {
        .head = chan_head(PROTO_EXITED, sizeof(exited)),
        .cpu_ns = child->cpu_ns,
        .max_rss_kb = child->max_rss_kb,
        .pid = child->pid,
        .status = child->status,
    };

    if (programs_reaped(&z->programs, child) ||
        children_remove(&z->children, child->pid, &exited.slot, &exited.generation) < 0)
        return 0;
    programs_worker_gone(&z->programs, exited.slot, exited.status);
    return chan_send_struct(z->config->control_fd, &exited, sizeof(exited), 0);
}

static int reap_all(struct zygote *z)
{
    struct reaped child;
    int rc = 0;

    reap_clear(z->config->reap_fd);
    while (rc == 0 && reap_next(&child))
        rc = tell(z, &child);
    return rc;
}

/* A worker that breaks the rules of its spawn socket is killed; its end is told like any other. */
static void hear_worker(struct zygote *z, uint32_t slot)
{
    if (programs_receive(&z->programs, slot) != -EPROTO || z->children.slots[slot].pid == 0)
        return;
    log_error("the worker in slot %u asked for programs what makes no sense; killing it", slot);
    reap_kill(z->children.slots[slot].pid, SIGKILL);
}

static int handle_event(struct zygote *z, uint32_t tag)
{
    if (tag == TAG_REAP)
        return reap_all(z);
    if (tag == TAG_CONTROL)
        return receive(z);
    if (z->programs.workers[tag - TAG_WORKERS].fd >= 0)
        hear_worker(z, tag - TAG_WORKERS);
    return 0;
}

static int serve(struct zygote *z)
{
    int rc = watch(z, z->config->reap_fd, TAG_REAP);

    if (rc == 0)
        rc = watch(z, z->config->control_fd, TAG_CONTROL);
    while (rc == 0) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(z->epoll_fd, events, EVENTS_MAX,
                           clock_poll_ms(clock_now_ns(), programs_wake_ns(&z->programs)));
        for (int i = 0; i < n && rc == 0; i++)
            rc = handle_event(z, events[i].data.u32);
        programs_tick(&z->programs, clock_now_ns());
    }
    return rc;
}

static void kill_all(struct zygote *z)
{
    uint64_t deadline_ns = clock_now_ns() + LOOP_GRACE_NS;
    struct reaped child;
    uint64_t generation;
    uint32_t slot;

    for (uint32_t i = 0; i < PROTO_WORKERS_MAX; i++) {
        if (z->children.slots[i].pid > 0)
            reap_kill(z->children.slots[i].pid, SIGKILL);
    }
    programs_kill_all(&z->programs);
    while (z->children.count + z->programs.count > 0 && clock_now_ns() < deadline_ns) {
        struct pollfd p = {.fd = z->config->reap_fd, .events = POLLIN};
        (void)poll(&p, 1, clock_poll_ms(clock_now_ns(), deadline_ns));
        reap_clear(z->config->reap_fd);
        while (reap_next(&child)) {
            if (!programs_reaped(&z->programs, &child))
                (void)children_remove(&z->children, child.pid, &slot, &generation);
        }
    }
}

int zygote_run(const struct zygote_config *config)
{
    static struct zygote z;
    int rc;

    z = (struct zygote) {
        .config = config, .pid = getpid(), .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    z.start = (struct start_config) {.registry = config->registry, .zygote = z.pid};
    programs_init(&z.programs, config->registry, start_copy, &z.start);
    rc = serve(&z);
    kill_all(&z);
    if (rc == -EPIPE || rc == -ECONNRESET)
        return ZYGOTE_EXIT_DONE;
    log_error("prong sent what is no frame, or one that makes no sense; the zygote ends");
    return ZYGOTE_EXIT_PROTOCOL;
}
