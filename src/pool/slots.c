#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/chan.h"
#include "pool/internal.h"

enum {
    PAUSE_FIRST_MS = 100,
    PAUSE_MAX_MS = 5000,
    YOUNG_MS = 1000, /* a worker that dies younger and unused makes the next one wait */
};

static int make_memory(struct pool *p, struct slot *s, int *ret_page_fd)
{
    CLEANUP_FD int page_fd = -1;
    void *page, *out;
    int rc = shm_create("prong-page", sizeof(struct shm_page), SHM_PEER_WRITES, &page_fd, &page);

    if (rc < 0)
        return rc;
    rc = shm_create("prong-out", p->config.result_bytes_max, SHM_PEER_WRITES, &s->out_fd, &out);
    if (rc < 0) {
        shm_unmap(page, sizeof(struct shm_page));
        return rc;
    }
    s->page = page;
    s->out = out;
    *ret_page_fd = take_fd(&page_fd);
    return 0;
}

/* The cores that this process may use, dealt out one by one, if there is an ordinary worker for each. */
static int home_cpu(const struct pool *p, const struct slot *s, unsigned worker)
{
    cpu_set_t set;
    unsigned left;

    if (s->kind != POOL_ORDINARY || sched_getaffinity(0, sizeof(set), &set) < 0 ||
        CPU_COUNT(&set) < 2 || p->config.workers[POOL_ORDINARY] < (unsigned)CPU_COUNT(&set))
        return -1;
    left = worker % (unsigned)CPU_COUNT(&set);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set) && left-- == 0)
            return (int)cpu;
    }
    return -1;
}

static int send_fork(struct pool *p, const struct generation *g, struct slot *s, int channel,
                     int page_fd)
{
    struct proto_fork frame = {
        .head = chan_head(PROTO_FORK, sizeof(frame)),
        .generation = s->generation,
        .out_bytes = p->config.result_bytes_max,
        .rss_grow_bytes_max = p->config.worker_rss_grow_bytes_max,
        .age_ns_max = p->config.worker_age_ns_max,
        .tasks_max = p->config.worker_tasks_max,
        .slot = (uint32_t)(s - g->slots),
        .nice = s->kind == POOL_ORDINARY ? p->config.nice : 0,
        .home_cpu = home_cpu(p, s, (unsigned)(s - g->slots)),
    };
    struct iovec iov = {.iov_base = &frame, .iov_len = sizeof(frame)};
    int fds[PROTO_FORK_FD_COUNT] = {
        [PROTO_FORK_CHANNEL] = channel, [PROTO_FORK_INTAKE] = g->intake_receive[s->kind],
        [PROTO_FORK_PAGE] = page_fd,    [PROTO_FORK_CONTROL] = p->shm_fd,
        [PROTO_FORK_OUT] = s->out_fd,
    };

    return chan_send(g->control, &iov, 1, fds, PROTO_FORK_FD_COUNT, MSG_DONTWAIT);
}

static int fork_into(struct pool *p, struct generation *g, struct slot *s)
{
    struct epoll_event event = {.events = EPOLLIN};
    CLEANUP_FD int page_fd = -1;
    int pair[2];
    int rc = make_memory(p, s, &page_fd);

    if (rc < 0)
        return rc;
    rc = chan_pair(pair);
    if (rc < 0)
        return rc;
    CLEANUP_FD int theirs = pair[1];
    s->channel = pair[0];
    s->generation = p->next_generation++;
    event.data.u64 = tag_make(TAG_CHANNEL, g->lane, (unsigned)(s - g->slots), s->generation);
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, s->channel, &event) < 0)
        return -errno;
    rc = send_fork(p, g, s, theirs, page_fd);
    if (rc == 0)
        s->state = SLOT_FORKING;
    return rc;
}

void slot_release(struct pool *p, struct slot *s)
{
    check_close_fd(&s->channel);
    check_close_fd(&s->out_fd);
    shm_unmap((void *)(uintptr_t)s->page, sizeof(struct shm_page));
    shm_unmap((void *)(uintptr_t)s->out, p->config.result_bytes_max);
    *s = (struct slot) {.kind = s->kind,
                        .channel = -1,
                        .out_fd = -1,
                        .retry_ns = s->retry_ns,
                        .pause_ns = s->pause_ns};
}

static void wait_longer(struct slot *s, uint64_t now_ns)
{
    uint64_t doubled = s->pause_ns * 2;

    s->pause_ns =
        MIN(MAX(doubled, PAUSE_FIRST_MS * CLOCK_NS_PER_MS), PAUSE_MAX_MS * CLOCK_NS_PER_MS);
    s->retry_ns = now_ns + s->pause_ns;
}

void slots_fill(struct pool *p, struct generation *g, uint64_t now_ns)
{
    for (unsigned i = 0; i < p->slot_count && g->state == ZYGOTE_UP; i++) {
        struct slot *s = &g->slots[i];
        int rc;
        if (s->state != SLOT_EMPTY || s->retry_ns > now_ns)
            continue;
        rc = fork_into(p, g, s);
        if (rc == 0)
            continue;
        if (rc == -EPIPE) { /* the zygote has died, which is told and mended when its end is read */
            slot_release(p, s);
            return;
        }
        log_error("cannot fork worker %u: %s; trying again", i, strerror(-rc));
        slot_release(p, s);
        wait_longer(s, now_ns);
    }
}

void slots_clear(struct pool *p, struct generation *g)
{
    for (unsigned i = 0; i < p->slot_count; i++) {
        slot_release(p, &g->slots[i]);
        g->slots[i].retry_ns = g->slots[i].pause_ns = 0;
    }
}

void slots_forked(struct pool *p, struct generation *g, const struct proto_forked *frame)
{
    struct slot *s = &g->slots[frame->slot];

    if (s->state != SLOT_FORKING || s->generation != frame->generation)
        return;
    if (frame->pid <= 0) {
        log_error("fork failed: %s; trying again", strerror(frame->error));
        slot_release(p, s);
        wait_longer(s, clock_now_ns());
        return;
    }
    s->state = SLOT_LIVE;
    s->pid = frame->pid;
    s->started_ns = clock_now_ns();
}

void slots_gone(struct pool *p, struct generation *g, struct slot *s)
{
    uint64_t now_ns = clock_now_ns();
    bool was_used = atomic_load_explicit(&s->page->tasks, memory_order_relaxed) > 0 ||
                    atomic_load_explicit(&s->page->task, memory_order_relaxed) != 0;
    bool was_young = now_ns - s->started_ns < YOUNG_MS * CLOCK_NS_PER_MS;

    if (was_young && !was_used && !s->was_killed && s->exit_frame.status != 0)
        wait_longer(s, now_ns);
    else
        s->retry_ns = s->pause_ns = 0;
    slot_release(p, s);
    slots_fill(p, g, now_ns);
}

void pool_kill_slot(struct pool *p, unsigned lane, unsigned slot, int signal)
{
    const struct generation *g = &p->lanes[lane];
    struct slot *s = &g->slots[slot];
    struct proto_kill frame = {.head = chan_head(PROTO_KILL, sizeof(frame)),
                               .generation = s->generation,
                               .slot = slot,
                               .signal = signal};

    /* A worker may be heard before the zygote's word that it is there; the zygote has it since it read FORK. */
    if (s->state == SLOT_EMPTY || g->state != ZYGOTE_UP)
        return;
    s->was_killed = true;
    if (chan_send_struct(g->control, &frame, sizeof(frame), MSG_DONTWAIT) < 0)
        log_warning("cannot tell the zygote to kill the worker in slot %u, ignoring", slot);
}

static const struct slot *slot_of_task(const struct pool *p, const struct generation *g,
                                       uint64_t task)
{
    for (unsigned i = 0; i < p->slot_count; i++) {
        const struct slot *s = &g->slots[i];
        if (s->page != NULL && atomic_load(&s->page->task) == task)
            return s;
    }
    return NULL;
}

bool pool_kill_task(struct pool *p, unsigned lane, unsigned inflight, uint64_t task, uint64_t named,
                    int signal)
{
    const struct generation *g = &p->lanes[lane];
    const struct slot *s;

    atomic_store(&p->shm->condemned[inflight], task);
    s = slot_of_task(p, g, named);
    if (s == NULL) {
        atomic_store(&p->shm->condemned[inflight], 0);
        return false;
    }
    pool_kill_slot(p, lane, (unsigned)(s - g->slots), signal);
    return true;
}

bool pool_is_claimed(const struct pool *p, unsigned lane, uint64_t task)
{
    return slot_of_task(p, &p->lanes[lane], task) != NULL;
}

bool pool_progress(const struct pool *p, unsigned lane, uint64_t task, uint64_t *ret_done,
                   uint64_t *ret_total)
{
    const struct slot *s = slot_of_task(p, &p->lanes[lane], task);

    if (s == NULL)
        return false;
    *ret_done = atomic_load_explicit(&s->page->done, memory_order_relaxed);
    *ret_total = atomic_load_explicit(&s->page->total, memory_order_relaxed);
    return true;
}

static int find_pid(const struct pool *p, const struct generation *g, int pid)
{
    for (unsigned i = 0; g != NULL && i < p->slot_count; i++) {
        if (g->slots[i].state == SLOT_LIVE && g->slots[i].pid == pid)
            return (int)i;
    }
    return -ESRCH;
}

int pool_kill_pid(struct pool *p, int pid, int signal)
{
    const struct generation *serving[] = {p->current, p->old};

    for (size_t i = 0; i < ARRAY_SIZE(serving); i++) {
        int slot = find_pid(p, serving[i], pid);
        if (slot < 0)
            continue;
        pool_kill_slot(p, serving[i]->lane, (unsigned)slot, signal);
        return 0;
    }
    return -ESRCH;
}

int pool_slot_pid(const struct pool *p, unsigned lane, unsigned slot)
{
    const struct generation *g = &p->lanes[lane];

    return g->number != 0 && g->slots[slot].state == SLOT_LIVE ? g->slots[slot].pid : 0;
}

unsigned pool_live(const struct pool *p, unsigned lane, enum pool_kind kind)
{
    const struct generation *g = &p->lanes[lane];
    unsigned n = 0;

    for (unsigned i = 0; g->number != 0 && i < p->slot_count; i++)
        n += g->slots[i].kind == kind && g->slots[i].state == SLOT_LIVE;
    return n;
}

static size_t list_workers(const struct pool *p, const struct generation *g,
                           struct pool_worker *ret, size_t max)
{
    size_t n = 0;

    for (unsigned i = 0; g != NULL && i < p->slot_count && n < max; i++) {
        const struct slot *s = &g->slots[i];
        if (s->state != SLOT_LIVE)
            continue;
        ret[n++] = (struct pool_worker) {
            .generation = g->number,
            .slot = i,
            .pid = s->pid,
            .kind = s->kind,
            .task = atomic_load_explicit(&s->page->task, memory_order_relaxed),
            .done = atomic_load_explicit(&s->page->done, memory_order_relaxed),
            .total = atomic_load_explicit(&s->page->total, memory_order_relaxed),
            .tasks = atomic_load_explicit(&s->page->tasks, memory_order_relaxed),
            .rss_bytes = atomic_load_explicit(&s->page->rss_bytes, memory_order_relaxed),
            .started_ns = s->started_ns,
        };
    }
    return n;
}

size_t pool_workers(const struct pool *p, struct pool_worker *ret, size_t max)
{
    size_t n = list_workers(p, p->current, ret, max);

    return n + list_workers(p, p->old, ret + n, max - n);
}
