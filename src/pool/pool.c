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
    p->slots = calloc(p->slot_count, sizeof(struct slot));
    /* Mapped, not malloc'd, so that only the pages that frames reach are ever backed. */
    p->frames = mmap(NULL, (size_t)POOL_RECEIVE_MAX * PROTO_FRAME_MAX, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->frames == MAP_FAILED)
        p->frames = NULL;
    return p->slots == NULL || p->frames == NULL ? -ENOMEM : 0;
}

static void name_slots(struct pool *p)
{
    for (unsigned i = 0; i < p->slot_count; i++) {
        bool is_ordinary = i < p->config.workers[POOL_ORDINARY];
        p->slots[i] = (struct slot) {
            .kind = is_ordinary ? POOL_ORDINARY : POOL_EXPRESS, .channel = -1, .out_fd = -1};
    }
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
                        .control = -1,
                        .shm_fd = -1,
                        .intake_send = {-1, -1},
                        .intake_receive = {-1, -1},
                        .next_generation = 1};
    p->slot_count = config->workers[POOL_ORDINARY] + config->workers[POOL_EXPRESS];
    CHECK(p->slot_count > 0 && p->slot_count <= PROTO_WORKERS_MAX);
    CHECK(pthread_rwlock_init(&p->intake_lock, NULL) == 0);
    slab_store_init(&p->slabs, config->slab_bytes_max);
    rc = make_memory(p);
    if (rc == 0) {
        name_slots(p);
        rc = launch_start(p, err);
    } else {
        (void)err_set(err, rc, "No shared memory for the workers: %s.", strerror(-rc));
    }
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
    launch_stop(p);
    shm_unmap(p->shm, sizeof(struct shm_control));
    check_close_fd(&p->shm_fd);
    if (p->frames != NULL)
        (void)munmap(p->frames, (size_t)POOL_RECEIVE_MAX * PROTO_FRAME_MAX);
    free(p->slots);
    slab_store_release(&p->slabs);
    CHECK(pthread_rwlock_destroy(&p->intake_lock) == 0);
    free(p);
    return NULL;
}

static void restart(struct pool *p, uint64_t now_ns)
{
    struct err err;

    bool had_lived = p->state == ZYGOTE_UP && now_ns - p->ready_ns > LIVED_MS * CLOCK_NS_PER_MS;

    launch_stop(p);
    /* At once; but one that keeps dying young waits longer and longer. */
    if (had_lived)
        p->pause_ns = 0;
    else if (p->pause_ns > PAUSE_FREE_MS * CLOCK_NS_PER_MS)
        return;
    if (launch_start(p, &err) < 0)
        log_error("%s", err.text);
}

void pool_apply(struct pool *p, struct pool_event *event)
{
    struct slot *s = &p->slots[event->slot];

    switch (event->kind) {
    case POOL_ANSWERED:
        return;
    case POOL_MISBEHAVED:
        s->misbehaved = s->state != SLOT_EMPTY;
        pool_kill_slot(p, event->slot, SIGKILL);
        return;
    case POOL_EXITED:
        /* Unless the zygote went down in the same batch. */
        if (s->page != NULL && s->generation == event->exited.generation)
            slots_gone(p, s);
        return;
    case POOL_STARTED:
        slots_forked(p, &event->forked);
        return;
    case POOL_LOADING:
        if (p->state == ZYGOTE_STARTING)
            p->deadline_ns = event->until_ns + POOL_HANDSHAKE_S * CLOCK_NS_PER_S;
        return;
    case POOL_READY:
        p->state = ZYGOTE_UP;
        p->ready_ns = clock_now_ns();
        p->deadline_ns = CLOCK_NEVER;
        slots_fill(p, clock_now_ns());
        return;
    case POOL_DOWN:
        log_error("the zygote has died; starting another");
        restart(p, clock_now_ns());
        return;
    }
}

static uint64_t slot_wake_ns(const struct pool *p, const struct slot *s)
{
    if (s->state == SLOT_EMPTY && p->state == ZYGOTE_UP)
        return s->retry_ns;
    if (s->state == SLOT_LIVE && s->channel_ended && !s->has_exited && !s->was_killed)
        return s->channel_ended_ns + CHANNEL_GRACE_MS * CLOCK_NS_PER_MS;
    return CLOCK_NEVER;
}

uint64_t pool_wake_ns(const struct pool *p)
{
    uint64_t wake = p->state == ZYGOTE_UP ? CLOCK_NEVER : p->deadline_ns;

    for (unsigned i = 0; i < p->slot_count; i++)
        wake = MIN(wake, slot_wake_ns(p, &p->slots[i]));
    return wake;
}

static void tick_zygote(struct pool *p, uint64_t now_ns)
{
    struct err err;

    if (p->state == ZYGOTE_UP || now_ns < p->deadline_ns)
        return;
    if (p->state == ZYGOTE_STARTING) {
        log_error("the zygote was not ready in time; starting another");
        launch_stop(p);
        return;
    }
    if (launch_start(p, &err) < 0)
        log_error("%s", err.text);
}

void pool_tick(struct pool *p, uint64_t now_ns)
{
    tick_zygote(p, now_ns);
    for (unsigned i = 0; i < p->slot_count; i++) {
        struct slot *s = &p->slots[i];
        if (s->state == SLOT_LIVE && slot_wake_ns(p, s) <= now_ns) {
            log_warning("worker %d closed its channel; killing it", s->pid);
            s->misbehaved = true;
            pool_kill_slot(p, i, SIGKILL);
        }
    }
    slots_fill(p, now_ns);
}

bool pool_is_up(const struct pool *p)
{
    return p->state == ZYGOTE_UP;
}

int pool_zygote_pid(const struct pool *p)
{
    return p->zygote_pid;
}

struct slab_store *pool_slabs(struct pool *p)
{
    return &p->slabs;
}
