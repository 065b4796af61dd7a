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

enum {
    PAUSE_FIRST_MS = 100,
    PAUSE_MAX_MS = 5000,
    END_MS = 500,
    LEAVE_S = 6, /* longer than a zygote waits for its workers */
    ARGUMENTS_MAX = 32,
};

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
    add_option(a, "--builtins", c->builtins);
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

void generation_init(struct pool *p, unsigned lane)
{
    struct generation *g = &p->lanes[lane];

    CHECK(pthread_rwlock_wrlock(&p->intake_lock) == 0);
    *g = (struct generation) {
        .lane = lane, .control = -1, .intake_send = {-1, -1}, .intake_receive = {-1, -1}};
    CHECK(pthread_rwlock_unlock(&p->intake_lock) == 0);
    g->slots = calloc(p->slot_count, sizeof(*g->slots));
    if (g->slots == NULL)
        return;
    for (unsigned i = 0; i < p->slot_count; i++)
        g->slots[i] = (struct slot) {.kind = i < p->config.workers[POOL_ORDINARY] ? POOL_ORDINARY
                                                                                  : POOL_EXPRESS,
                                     .channel = -1,
                                     .out_fd = -1};
}

void generation_release(struct generation *g)
{
    CHECK(g->state == ZYGOTE_NONE);
    catalog_draft_clear(&g->draft);
    catalog_set_clear(&g->kernels);
    free(g->slots);
    g->slots = NULL;
    g->number = 0;
}

static void wait_longer(struct generation *g)
{
    uint64_t doubled = g->pause_ns * 2;

    g->pause_ns =
        MIN(MAX(doubled, PAUSE_FIRST_MS * CLOCK_NS_PER_MS), PAUSE_MAX_MS * CLOCK_NS_PER_MS);
    g->deadline_ns = clock_now_ns() + g->pause_ns;
}

static int open_intakes(struct pool *p, struct generation *g)
{
    int rc = 0;

    CHECK(pthread_rwlock_wrlock(&p->intake_lock) == 0);
    g->serial = ++p->last_serial;
    for (int kind = 0; rc == 0 && kind < POOL_KIND_COUNT; kind++) {
        int pair[2];
        rc = chan_pair(pair);
        if (rc < 0)
            break;
        g->intake_send[kind] = pair[0];
        g->intake_receive[kind] = pair[1];
    }
    CHECK(pthread_rwlock_unlock(&p->intake_lock) == 0);
    return rc;
}

static void close_intakes(struct pool *p, struct generation *g)
{
    CHECK(pthread_rwlock_wrlock(&p->intake_lock) == 0);
    for (int kind = 0; kind < POOL_KIND_COUNT; kind++) {
        check_close_fd(&g->intake_send[kind]);
        check_close_fd(&g->intake_receive[kind]);
        g->intake_send[kind] = g->intake_receive[kind] = -1;
    }
    CHECK(pthread_rwlock_unlock(&p->intake_lock) == 0);
}

int launch_start(struct pool *p, struct generation *g, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    int pair[2];
    int rc = chan_pair(pair);

    if (rc < 0)
        return err_set(err, rc, "No socket pair for the zygote: %s.", strerror(-rc));
    CLEANUP_FD int ours = pair[0];
    CLEANUP_FD int theirs = pair[1];
    catalog_draft_clear(&g->draft);
    g->looked = folder_print(p->config.kernels);
    rc = open_intakes(p, g);
    event.data.u64 = tag_make(TAG_CONTROL, g->lane, 0, g->serial);
    if (rc == 0)
        rc = spawn(p, theirs, &g->zygote_pid);
    if (rc == 0 && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, ours, &event) < 0)
        rc = -errno;
    if (rc < 0) {
        close_intakes(p, g);
        wait_longer(g);
        return err_set(err, rc, "Cannot start %s: %s.", p->config.zygote, strerror(-rc));
    }
    g->control = take_fd(&ours);
    g->state = ZYGOTE_STARTING;
    g->has_hello = false;
    g->deadline_ns = clock_now_ns() + POOL_HANDSHAKE_S * CLOCK_NS_PER_S;
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

static void reap(int pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void let_go(struct pool *p, struct generation *g)
{
    check_close_fd(&g->control);
    g->control = -1;
    close_intakes(p, g);
    slots_clear(p, g);
    g->zygote_pid = 0;
    g->state = ZYGOTE_NONE;
    wait_longer(g);
}

void launch_stop(struct pool *p, struct generation *g)
{
    int pid = g->zygote_pid;

    if (g->state == ZYGOTE_NONE)
        return;
    check_close_fd(&g->control);
    g->control = -1;
    wait_for_end(pid);
    /* When it does not end, this ends its workers too, by PDEATHSIG. */
    (void)kill(pid, SIGKILL);
    reap(pid);
    let_go(p, g);
}

/* ---- those that are waited for later ---- */

static struct leaver *find_leaver(struct pool *p, int pid)
{
    for (int i = 0; i < LEAVERS_MAX; i++) {
        if (p->leavers[i].pid == pid)
            return &p->leavers[i];
    }
    return NULL;
}

/* False when there is no room, or no descriptor. */
static bool add_leaver(struct pool *p, int pid)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag_make(TAG_LEAVER, 0, 0, 0)};
    struct leaver *l = find_leaver(p, 0);
    CLEANUP_FD int pidfd = l == NULL ? -1 : pidfd_open(pid, 0);

    if (pidfd < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, pidfd, &event) < 0)
        return false;
    *l = (struct leaver) {.pid = pid,
                          .pidfd = take_fd(&pidfd),
                          .deadline_ns = clock_now_ns() + LEAVE_S * CLOCK_NS_PER_S};
    return true;
}

void launch_leave(struct pool *p, struct generation *g)
{
    if (g->state == ZYGOTE_NONE)
        return;
    if (add_leaver(p, g->zygote_pid))
        let_go(p, g);
    else
        launch_stop(p, g);
}

static void forget(struct leaver *l)
{
    check_close_fd(&l->pidfd);
    *l = (struct leaver) {.pid = 0};
}

void leavers_reap(struct pool *p, uint64_t now_ns)
{
    for (int i = 0; i < LEAVERS_MAX; i++) {
        struct leaver *l = &p->leavers[i];
        if (l->pid == 0)
            continue;
        if (waitpid(l->pid, NULL, WNOHANG) == l->pid) {
            forget(l);
        } else if (now_ns >= l->deadline_ns) {
            (void)kill(l->pid, SIGKILL);
            l->deadline_ns = CLOCK_NEVER;
        }
    }
}

uint64_t leavers_wake_ns(const struct pool *p)
{
    uint64_t wake = CLOCK_NEVER;

    for (int i = 0; i < LEAVERS_MAX; i++)
        wake = p->leavers[i].pid == 0 ? wake : MIN(wake, p->leavers[i].deadline_ns);
    return wake;
}

void leavers_stop(struct pool *p)
{
    for (int i = 0; i < LEAVERS_MAX; i++) {
        struct leaver *l = &p->leavers[i];
        if (l->pid == 0)
            continue;
        wait_for_end(l->pid);
        (void)kill(l->pid, SIGKILL);
        reap(l->pid);
        forget(l);
    }
}
