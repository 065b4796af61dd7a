#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/chan.h"
#include "pool/internal.h"

enum { PAUSE_FIRST_MS = 100, PAUSE_MAX_MS = 5000, END_MS = 500, ARGUMENTS_MAX = 32 };

extern char **environ;

/* What the zygote is started with; the texts are the config's. */
struct arguments {
    char *argv[ARGUMENTS_MAX + 1];
    size_t count;
    char parent[24], worker_bytes[24];
};

static void add_argument(struct arguments *a, const char *text)
{
    CHECK(a->count < ARGUMENTS_MAX);
    a->argv[a->count++] = (char *)(uintptr_t)text;
}

/* With NULL the zygote has its own default. */
static void add_option(struct arguments *a, const char *flag, const char *value)
{
    if (value == NULL)
        return;
    add_argument(a, flag);
    add_argument(a, value);
}

static void fill_arguments(struct arguments *a, const struct pool_config *c)
{
    (void)snprintf(a->parent, sizeof(a->parent), "%d", getpid());
    (void)snprintf(a->worker_bytes, sizeof(a->worker_bytes), "%llu",
                   (unsigned long long)c->worker_bytes_max);
    add_argument(a, c->zygote);
    add_argument(a, c->kernels);
    add_argument(a, c->log_level);
    add_option(a, "--parent", a->parent);
    add_option(a, "--log-format", c->log_format == NULL ? "auto" : c->log_format);
    add_option(a, "--sandbox", c->sandbox);
    add_option(a, "--sandbox-user", c->sandbox_user);
    add_option(a, "--sandbox-without", c->sandbox_without);
    add_option(a, "--worker-memory", a->worker_bytes);
    if (c->enable_fault_kernel)
        add_argument(a, "--enable-fault-kernel");
}

static int spawn(const struct pool *p, int socket, int *ret_pid)
{
    struct arguments arguments = {0};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    int rc;

    fill_arguments(&arguments, &p->config);
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, socket, PROTO_ZYGOTE_FD) == 0);
    CHECK(posix_spawnattr_setsigdefault(&attributes, &all) == 0);
    CHECK(posix_spawnattr_setsigmask(&attributes, &none) == 0);
    CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) ==
          0);
    rc = posix_spawn(ret_pid, p->config.zygote, &actions, &attributes, arguments.argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return -rc;
}

static void wait_longer(struct pool *p)
{
    uint64_t doubled = p->pause_ns * 2;

    p->pause_ns =
        MIN(MAX(doubled, PAUSE_FIRST_MS * CLOCK_NS_PER_MS), PAUSE_MAX_MS * CLOCK_NS_PER_MS);
    p->deadline_ns = clock_now_ns() + p->pause_ns;
}

static int open_intakes(struct pool *p)
{
    int rc = 0;

    CHECK(pthread_rwlock_wrlock(&p->intake_lock) == 0);
    for (int kind = 0; rc == 0 && kind < POOL_KIND_COUNT; kind++) {
        int pair[2];
        rc = chan_pair(pair);
        if (rc < 0)
            break;
        p->intake_send[kind] = pair[0];
        p->intake_receive[kind] = pair[1];
    }
    CHECK(pthread_rwlock_unlock(&p->intake_lock) == 0);
    return rc;
}

static void close_intakes(struct pool *p)
{
    CHECK(pthread_rwlock_wrlock(&p->intake_lock) == 0);
    for (int kind = 0; kind < POOL_KIND_COUNT; kind++) {
        check_close_fd(&p->intake_send[kind]);
        check_close_fd(&p->intake_receive[kind]);
        p->intake_send[kind] = p->intake_receive[kind] = -1;
    }
    CHECK(pthread_rwlock_unlock(&p->intake_lock) == 0);
}

int launch_start(struct pool *p, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag_make(TAG_CONTROL, 0, 0)};
    int pair[2];
    int rc = chan_pair(pair);

    if (rc < 0)
        return err_set(err, rc, "No socket pair for the zygote: %s.", strerror(-rc));
    CLEANUP_FD int ours = pair[0];
    CLEANUP_FD int theirs = pair[1];
    rc = open_intakes(p);
    if (rc == 0)
        rc = spawn(p, theirs, &p->zygote_pid);
    if (rc == 0 && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, ours, &event) < 0)
        rc = -errno;
    if (rc < 0) {
        close_intakes(p);
        wait_longer(p);
        return err_set(err, rc, "Cannot start %s: %s.", p->config.zygote, strerror(-rc));
    }
    p->control = take_fd(&ours);
    p->state = ZYGOTE_STARTING;
    p->has_hello = false;
    p->deadline_ns = clock_now_ns() + POOL_HANDSHAKE_S * CLOCK_NS_PER_S;
    return 0;
}

/* Closed, the control socket tells the zygote to end its workers, and what these have forked, and itself. */
static void wait_for_end(int pid)
{
    CLEANUP_FD int pidfd = pidfd_open(pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    if (pidfd >= 0)
        (void)poll(&ended, 1, END_MS);
}

void launch_stop(struct pool *p)
{
    if (p->state == ZYGOTE_NONE)
        return;
    check_close_fd(&p->control);
    p->control = -1;
    wait_for_end(p->zygote_pid);
    /* When it does not end, this ends its workers too, by PDEATHSIG. */
    (void)kill(p->zygote_pid, SIGKILL);
    while (waitpid(p->zygote_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close_intakes(p);
    slots_clear(p);
    p->zygote_pid = 0;
    p->state = ZYGOTE_NONE;
    wait_longer(p);
}
