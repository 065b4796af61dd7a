/*
 * The inside of the pool, shared by its files and nobody else.
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

struct pool {
    struct pool_config config;
    struct catalog *catalog;
    int epoll_fd;
    struct slab_store slabs;

    enum zygote_state state;
    int zygote_pid;
    int control;          /* the socket to the zygote */
    uint64_t deadline_ns; /* STARTING: READY by then; NONE: when to start again */
    uint64_t pause_ns;
    uint64_t ready_ns; /* since when it is UP */
    bool has_hello;
    struct proto_sandbox sandbox;
    struct err refusal; /* "" when the sandbox is as it was asked for */

    /* Shared by senders, who do not hold the scheduler's lock; alone for who opens and closes. */
    pthread_rwlock_t intake_lock;
    int intake_send[POOL_KIND_COUNT];
    int intake_receive[POOL_KIND_COUNT]; /* what workers get; ours for pool_audit */
    struct shm_control *shm;
    int shm_fd;

    struct slot *slots;
    unsigned slot_count;
    uint64_t next_generation;
    uint8_t *frames; /* the collector's, POOL_RECEIVE_MAX frames */
};

enum { TAG_CONTROL = 1, TAG_CHANNEL = 2 };

static inline uint64_t tag_make(uint64_t kind, uint64_t slot, uint64_t generation)
{
    return kind << 56 | slot << 40 | (generation & 0xffffffffffULL);
}

/* launch.c: starting and ending the zygote. */
int launch_start(struct pool *p, struct err *err);
void launch_stop(struct pool *p); /* kills and waits */

/* slots.c: the workers. */
void slots_fill(struct pool *p, uint64_t now_ns); /* forks into every empty slot that is due */
void slots_clear(struct pool *p);                 /* all are gone with the zygote */
void slot_release(struct pool *p, struct slot *s);
void slots_forked(struct pool *p, const struct proto_forked *frame);
void slots_gone(struct pool *p, struct slot *s);

#endif
