#include "pool/pool.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/internal.h"

/* A worker that closed its channel and lives on has this long to end before it is killed. */
enum { CHANNEL_GRACE_MS = 200 };
enum {
    LIVED_MS = 100,      /* a zygote that was ready for longer did not fail to start */
    PAUSE_FREE_MS = 200, /* pauses up to this long are not waited for */
};

static int make_memory(struct pool *p)
{
    void *control;
    int rc = shm_create("prong-control", sizeof(struct shm_control), SHM_PEER_READS, &p->shm_fd,
                        &control);

    if (rc < 0)
        return rc;
    p->shm = control;
    /* Mapped, not malloc'd, so that only the pages that frames reach are ever backed. */
    p->frames = mmap(NULL, (size_t)POOL_RECEIVE_MAX * PROTO_FRAME_MAX, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->frames == MAP_FAILED)
        p->frames = NULL;
    return p->frames == NULL ? -ENOMEM : 0;
}

int pool_new(struct pool **ret, const struct pool_config *config, struct catalog *catalog,
             int epoll_fd, struct err *err)
{
    struct pool *p = calloc(1, sizeof(*p));
    int rc;

    CHECK(p != NULL);
    *p = (struct pool) {.config = *config,
                        .catalog = catalog,
                        .epoll_fd = epoll_fd,
                        .shm_fd = -1,
                        .next_generation = 1,
                        .last_number = 1};
    p->slot_count = config->workers[POOL_ORDINARY] + config->workers[POOL_EXPRESS];
    CHECK(p->slot_count > 0 && p->slot_count <= PROTO_WORKERS_MAX);
    CHECK(pthread_rwlock_init(&p->intake_lock, NULL) == 0);
    slab_store_init(&p->slabs, config->slab_bytes_max);
    p->current = &p->lanes[0];
    generation_init(p, 0);
    p->current->number = p->last_number;
    rc = p->current->slots == NULL ? -ENOMEM : make_memory(p);
    if (rc == 0)
        rc = launch_start(p, p->current, err);
    else
        (void)err_set(err, rc, "No shared memory for the workers: %s.", strerror(-rc));
    if (rc < 0) {
        (void)pool_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

struct pool *pool_free(struct pool *p)
{
    if (p == NULL)
        return NULL;
    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        if (p->lanes[lane].number == 0)
            continue;
        launch_stop(p, &p->lanes[lane]);
        generation_release(&p->lanes[lane]);
    }
    leavers_stop(p);
    shm_unmap(p->shm, sizeof(struct shm_control));
    check_close_fd(&p->shm_fd);
    if (p->frames != NULL)
        (void)munmap(p->frames, (size_t)POOL_RECEIVE_MAX * PROTO_FRAME_MAX);
    slab_store_release(&p->slabs);
    CHECK(pthread_rwlock_destroy(&p->intake_lock) == 0);
    free(p);
    return NULL;
}

static void restart(struct pool *p, struct generation *g, uint64_t now_ns)
{
    struct err err;

    bool had_lived = g->state == ZYGOTE_UP && now_ns - g->ready_ns > LIVED_MS * CLOCK_NS_PER_MS;

    launch_stop(p, g);
    /* At once; but one that keeps dying young waits longer and longer. */
    if (had_lived)
        g->pause_ns = 0;
    else if (g->pause_ns > PAUSE_FREE_MS * CLOCK_NS_PER_MS)
        return;
    if (launch_start(p, g, &err) < 0)
        log_error("%s", err.text);
}

static void take_sandbox(const struct pool *p, struct generation *g, const struct pool_event *event)
{
    g->sandbox = event->sandbox;
    (void)snprintf(g->refusal.text, sizeof(g->refusal.text), "%s",
                   event->data == NULL ? "" : (const char *)event->data);
    if (g->refusal.text[0] != '\0' && g == p->current)
        log_error("the zygote does not start: %s", g->refusal.text);
}

static void next_down(struct pool *p, const struct generation *g)
{
    struct err why = g->refusal;

    renew_failed(p, *why.text != '\0'
                        ? why.text
                        : "The new zygote ended before it was ready; the log has what it said.");
}

static void down(struct pool *p, struct generation *g)
{
    if (g == p->next) {
        next_down(p, g);
    } else if (g == p->old) {
        log_error("the zygote has died; its kernels have been replaced, so no other is started");
        renew_old_down(p);
    } else {
        log_error("the zygote has died; starting another");
        restart(p, g, clock_now_ns());
    }
}

void pool_apply(struct pool *p, struct pool_event *event)
{
    struct generation *g = &p->lanes[event->lane];
    struct slot *s;

    /* Of a zygote that has gone since it was read. */
    if (g->number == 0 || g->serial != event->serial)
        return;
    s = &g->slots[event->slot];
    switch (event->kind) {
    case POOL_ANSWERED:
        return;
    case POOL_MISBEHAVED:
        s->misbehaved = s->state != SLOT_EMPTY;
        pool_kill_slot(p, event->lane, event->slot, SIGKILL);
        return;
    case POOL_EXITED:
        /* Unless the zygote went down in the same batch. */
        if (s->page != NULL && s->generation == event->exited.generation)
            slots_gone(p, g, s);
        return;
    case POOL_STARTED:
        slots_forked(p, g, &event->forked);
        return;
    case POOL_LOADING:
        if (g->state == ZYGOTE_STARTING)
            g->deadline_ns = event->until_ns + POOL_HANDSHAKE_S * CLOCK_NS_PER_S;
        return;
    case POOL_SANDBOXED:
        take_sandbox(p, g, event);
        return;
    case POOL_READY:
        renew_ready(p, g);
        return;
    case POOL_DOWN:
        down(p, g);
        return;
    }
}

static uint64_t slot_wake_ns(const struct generation *g, const struct slot *s)
{
    if (s->state == SLOT_EMPTY && g->state == ZYGOTE_UP)
        return s->retry_ns;
    if (s->state == SLOT_LIVE && s->channel_ended && !s->has_exited && !s->was_killed)
        return s->channel_ended_ns + CHANNEL_GRACE_MS * CLOCK_NS_PER_MS;
    return CLOCK_NEVER;
}

static uint64_t lane_wake_ns(const struct pool *p, const struct generation *g)
{
    uint64_t wake = g->state == ZYGOTE_UP && g != p->next ? CLOCK_NEVER : g->deadline_ns;

    for (unsigned i = 0; i < p->slot_count; i++)
        wake = MIN(wake, slot_wake_ns(g, &g->slots[i]));
    return wake;
}

uint64_t pool_wake_ns(const struct pool *p)
{
    uint64_t wake = leavers_wake_ns(p);

    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        if (p->lanes[lane].number != 0)
            wake = MIN(wake, lane_wake_ns(p, &p->lanes[lane]));
    }
    return wake;
}

static void tick_zygote(struct pool *p, uint64_t now_ns)
{
    struct generation *g = p->current;
    struct err err;

    if (g->state == ZYGOTE_UP || now_ns < g->deadline_ns)
        return;
    if (g->state == ZYGOTE_STARTING) {
        log_error("the zygote was not ready in time; starting another");
        launch_stop(p, g);
        return;
    }
    if (launch_start(p, g, &err) < 0)
        log_error("%s", err.text);
}

static void tick_next(struct pool *p, uint64_t now_ns)
{
    const struct generation *g = p->next;

    if (g != NULL && now_ns >= g->deadline_ns)
        renew_failed(p, g->state == ZYGOTE_UP ? "The new workers were not there in time."
                                              : "The new zygote was not ready in time.");
}

static void tick_slots(struct pool *p, struct generation *g, uint64_t now_ns)
{
    for (unsigned i = 0; i < p->slot_count; i++) {
        struct slot *s = &g->slots[i];
        if (s->state == SLOT_LIVE && slot_wake_ns(g, s) <= now_ns) {
            log_warning("worker %d closed its channel; killing it", s->pid);
            s->misbehaved = true;
            pool_kill_slot(p, g->lane, i, SIGKILL);
        }
    }
    slots_fill(p, g, now_ns);
}

void pool_tick(struct pool *p, uint64_t now_ns)
{
    leavers_reap(p, now_ns);
    tick_zygote(p, now_ns);
    tick_next(p, now_ns);
    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        if (p->lanes[lane].number != 0)
            tick_slots(p, &p->lanes[lane], now_ns);
    }
}

bool pool_is_up(const struct pool *p, unsigned lane)
{
    return p->lanes[lane].state == ZYGOTE_UP;
}

int pool_zygote_pid(const struct pool *p)
{
    return p->current->zygote_pid;
}

const struct proto_sandbox *pool_sandbox(const struct pool *p)
{
    return &p->current->sandbox;
}

const char *pool_refusal(const struct pool *p)
{
    return p->current->refusal.text;
}

struct slab_store *pool_slabs(struct pool *p)
{
    return &p->slabs;
}
