/*
 * The inside of the pool, shared by its files and nobody else.
 *
 * A generation is a zygote with its workers. There are up to three: the one that takes what is new, the next one that comes
 * up to take its place, and the one before that still has something to do. Each has a lane, which is its number
 * for others. Who begins and ends them is the collector, under the scheduler's lock.
 *
 * A slot is a place for one worker. From `channel` on its members are the collector's alone;
 * the rest is under the scheduler's lock. A worker is gone when the zygote has waited for it and its channel
 * has been read to the end, so that an answer it gave with its last breath still counts.
 */
#ifndef POOL_INTERNAL_H
#define POOL_INTERNAL_H

#include <pthread.h>

#include "ipc/shm.h"
#include "pool/pool.h"

enum { LEAVERS_MAX = 4 };

enum slot_state { SLOT_EMPTY, SLOT_FORKING, SLOT_LIVE };

struct slot {
    enum slot_state state;
    enum pool_kind kind;
    int pid;
    uint64_t generation;
    uint64_t started_ns;
    uint64_t retry_ns; /* EMPTY: when to fork again */
    uint64_t pause_ns; /* the last wait before forking again */
    bool was_killed, misbehaved;
    const struct shm_page *page;
    const void *out;
    int out_fd; /* to give its memory back */
    int channel;
    bool channel_ended;
    bool is_distrusted; /* it sent what it should not: nothing more of it counts */
    uint64_t channel_ended_ns;
    bool has_exited, exit_told;
    struct proto_exited exit_frame;
};

enum zygote_state { ZYGOTE_NONE, ZYGOTE_STARTING, ZYGOTE_UP };

struct generation {
    unsigned lane;
    uint64_t number; /* for people: 1, 2, 3 …; 0: the lane is free */
    uint64_t serial; /* of the zygote's start, never reused */

    enum zygote_state state;
    int zygote_pid;
    int control; /* the socket to the zygote */
    uint64_t
        deadline_ns; /* STARTING: READY by then; NONE: when to start again; UP, the next: its workers by then */
    uint64_t pause_ns;
    uint64_t ready_ns; /* since when it is UP */
    bool has_hello;
    struct proto_sandbox sandbox;
    struct err refusal;         /* "" when the sandbox is as it was asked for */
    struct catalog_draft draft; /* the collector's: what it told of so far */
    struct catalog_set kernels; /* what it runs, once that is in force */
    uint64_t looked;            /* the folder's print before the last start */
    uint64_t print;             /* … before the start of the one that came up last; 0: none has */
    bool has_changed; /* … since: what it runs may be other code than before it was started again */

    /* Under intake_lock, alone for who opens and closes. */
    int intake_send[POOL_KIND_COUNT];
    int intake_receive[POOL_KIND_COUNT]; /* what workers get; ours for pool_audit */

    struct slot *slots; /* slot_count of them */
};

/* A zygote that was told to end, and is waited for. */
struct leaver {
    int pid;              /* 0: none */
    int pidfd;            /* in the epoll set */
    uint64_t deadline_ns; /* then it is killed */
};

struct pool {
    struct pool_config config;
    struct catalog *catalog;
    int epoll_fd;
    struct slab_store slabs;

    struct generation lanes[POOL_LANES];
    struct generation *current, *next, *old; /* next and old: or NULL */
    uint64_t last_number, last_serial;
    struct err next_err; /* why the next one failed; "" while it has not */
    struct leaver leavers[LEAVERS_MAX];
    struct catalog_change change; /* by the last draft that was put in force */

    pthread_rwlock_t intake_lock; /* shared by senders, who do not hold the scheduler's lock */
    struct shm_control *shm;      /* of all lanes: places in flight are of them all */
    int shm_fd;

    unsigned slot_count; /* of one generation */
    uint64_t next_generation;
    uint8_t *frames; /* the collector's, POOL_RECEIVE_MAX frames */
};

enum { TAG_CONTROL = 1, TAG_CHANNEL = 2, TAG_LEAVER = 4 }; /* 3 is the scheduler's */
enum { TAG_LANE_SHIFT = 12 };                              /* within a tag's slot */
static_assert(PROTO_WORKERS_MAX <= 1 << TAG_LANE_SHIFT, "a slot and its lane are told apart");

/* `number` is a worker's generation, or a zygote's serial. */
static inline uint64_t tag_make(uint64_t kind, unsigned lane, unsigned slot, uint64_t number)
{
    return kind << 56 | (uint64_t)(lane << TAG_LANE_SHIFT | slot) << 40 |
           (number & 0xffffffffffULL);
}

/* launch.c: starting and ending a zygote. */
void generation_init(struct pool *p, unsigned lane);
void generation_release(struct generation *g);
int launch_start(struct pool *p, struct generation *g, struct err *err);
void launch_stop(struct pool *p, struct generation *g); /* kills and waits */
void launch_leave(struct pool *p,
                  struct generation *g); /* tells it to end; it is waited for later */
void leavers_reap(struct pool *p, uint64_t now_ns);
uint64_t leavers_wake_ns(const struct pool *p);
void leavers_stop(struct pool *p); /* kills and waits */

/* folder.c: what the files of a folder look like from outside: equal when none was changed. */
uint64_t folder_print(const char *path);

/* renew.c: from one generation to the next. */
void renew_ready(struct pool *p, struct generation *g); /* it has told of all its kernels */
void renew_failed(struct pool *p, const char *why);     /* the next one */
void renew_old_down(struct pool *p);

/* slots.c: the workers. */
void slots_fill(struct pool *p, struct generation *g,
                uint64_t now_ns); /* forks into every empty slot that is due */
void slots_clear(struct pool *p, struct generation *g); /* all are gone with the zygote */
void slot_release(struct pool *p, struct slot *s);
void slots_forked(struct pool *p, struct generation *g, const struct proto_forked *frame);
void slots_gone(struct pool *p, struct generation *g, struct slot *s);

#endif
