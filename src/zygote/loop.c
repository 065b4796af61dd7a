#include "zygote/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/chan.h"
#include "sandbox/sandbox.h"
#include "worker/loop.h"
#include "zygote/children.h"
#include "zygote/reap.h"
#include "zygote/spawn.h"

/* How long to wait for killed workers at the end; only one stuck in the kernel takes longer than a
 * moment, and PDEATHSIG has it anyway. */
#define LOOP_GRACE_NS (5 * CLOCK_NS_PER_S)

struct zygote {
    const struct zygote_config *config;
    struct children children;
    pid_t pid;
};

static void run_worker(void *arg)
{
    worker_run(arg);
}

static int handle_fork(struct zygote *z, const struct proto_fork *f, const int *fds)
{
    struct worker_config worker = {
        .registry = z->config->registry,
        .fork = f,
        .parent = z->pid,
        .log_level = z->config->log_level,
        .memory_bytes_max = z->config->worker_bytes_max,
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
    pid = spawn_child(run_worker, &worker);
    if (pid > 0) {
        children_add(&z->children, f->slot, f->generation, pid);
        forked.pid = pid;
    } else {
        forked.error = -pid;
    }
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

    if (children_remove(&z->children, child->pid, &exited.slot, &exited.generation) < 0)
        return 0;
    return chan_send_struct(z->config->control_fd, &exited, sizeof(exited), 0);
}

static int reap_all(struct zygote *z)
{
    struct reaped child;
    int rc = 0;

    reap_clear(z->config->reap_fd);
    while (rc == 0 && reap_next(&child)) {
        sandbox_forget(child.pid);
        rc = tell(z, &child);
    }
    return rc;
}

static int serve(struct zygote *z)
{
    struct pollfd polled[2] = {
        {.fd = z->config->reap_fd, .events = POLLIN},
        {.fd = z->config->control_fd, .events = POLLIN},
    };
    int rc = 0;

    while (rc == 0) {
        if (poll(polled, ARRAY_SIZE(polled), -1) < 0)
            continue; /* EINTR */
        if (polled[0].revents != 0)
            rc = reap_all(z);
        if (rc == 0 && polled[1].revents != 0)
            rc = receive(z);
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
    while (z->children.count > 0 && clock_now_ns() < deadline_ns) {
        struct pollfd p = {.fd = z->config->reap_fd, .events = POLLIN};
        (void)poll(&p, 1, clock_poll_ms(clock_now_ns(), deadline_ns));
        reap_clear(z->config->reap_fd);
        while (reap_next(&child)) {
            sandbox_forget(child.pid);
            (void)children_remove(&z->children, child.pid, &slot, &generation);
        }
    }
}

int zygote_run(const struct zygote_config *config)
{
    static struct zygote z;
    int rc;

    z = (struct zygote) {.config = config, .pid = getpid()};
    rc = serve(&z);
    kill_all(&z);
    if (rc == -EPIPE || rc == -ECONNRESET)
        return ZYGOTE_EXIT_DONE;
    log_error("prong sent what is no frame, or one that makes no sense; the zygote ends");
    return ZYGOTE_EXIT_PROTOCOL;
}
