/*
 * F3. Who computes: the zygote, its workers, and the way a task gets to one of them and back.
 *
 * Kernels are loaded anew by another zygote with workers of its own, which comes up in another lane; once it is there the
 * caller puts it in force (pool_switch), and ends the one before when that has no more to do. All that is about workers
 * and tasks says which lane it means.
 *
 * May use jobs (the catalog), thread, ipc, base. Knows no request, no queue and no deadline: what runs when is
 * decided above. Workers of one kind read one shared intake, so a task goes to whoever is free; which one
 * took it is read off the workers' pages.
 *
 * Two threads meet here. The collector calls pool_receive, without any lock, which only reads sockets and
 * copies out results. All else is called under the scheduler's lock, by any thread. Nothing here blocks.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "ipc/proto.h"
#include "jobs/catalog.h"
#include "pool/slab.h"
#include "prong/kernel.h"

enum pool_kind {
    POOL_ORDINARY, /* one per core */
    POOL_EXPRESS,  /* beyond the cores, for short tasks */
    POOL_KIND_COUNT
};

enum {
    POOL_HANDSHAKE_S = 10, /* from the zygote's start to READY */
    POOL_BATCH_MAX = 256,  /* events of one pool_receive round */
    POOL_RECEIVE_MAX = 16, /* frames read from one worker at once */
    POOL_LANES = 3,        /* zygotes at once: the one that serves, the next, the one before */
};

struct pool_config {
    const char *zygote;  /* path of the executable */
    const char *kernels; /* directory */
    const char
        *builtins; /* another one, of which only shared objects are loaded, before; or NULL */
    const char *log_level;
    const char *log_format; /* NULL: as auto */
    bool enable_fault_kernel;
    const char *sandbox, *sandbox_user, *sandbox_without; /* NULL: as the zygote has it */
    uint64_t worker_bytes_max; /* that kernels may allocate in a worker; 0: no limit */
    unsigned workers[POOL_KIND_COUNT];
    size_t result_bytes_max; /* of one task */
    size_t slab_bytes_max;
    uint64_t worker_tasks_max, worker_age_ns_max, worker_rss_grow_bytes_max; /* 0: no limit */
    int nice; /* of ordinary workers, above the express ones' */
};

struct pool;

/* Starts the zygote; its kernels and workers come as events. `epoll_fd` stays the caller's: events whose tag
 * pool_owns_tag are for pool_receive. */
int pool_new(struct pool **ret, const struct pool_config *config, struct catalog *catalog,
             int epoll_fd, struct err *err);

/* Ends the zygote and with it all workers, waits for it, frees all. */
struct pool *pool_free(struct pool *p);

bool pool_owns_tag(uint64_t tag);

enum pool_event_kind {
    POOL_ANSWERED, /* a frame about `task` */
    POOL_EXITED,   /* a worker ended; `task` is what it was running, 0 if nothing */
    POOL_STARTED,  /* a worker takes tasks from now on */
    POOL_LOADING,  /* the zygote says how long it may still take until READY */
    POOL_READY, /* the zygote has loaded the kernels; if its lane is the current one, they are in force */
    POOL_DOWN, /* the zygote ended, and all workers with it: every task that was sent to its lane is lost */
    POOL_SANDBOXED,  /* what the zygote's children are locked into; data: why it ends, if it does */
    POOL_MISBEHAVED, /* a worker broke the rules of the wire and is being killed; EXITED follows */
};

struct pool_event {
    enum pool_event_kind kind;
    unsigned lane, slot;
    uint64_t serial; /* of the zygote in that lane */
    uint64_t task;
    union {
        struct proto_answer answer; /* ANSWERED: bounded already */
        struct proto_exited exited;
        struct proto_forked forked; /* STARTED */
        uint64_t until_ns;          /* LOADING */
        struct proto_sandbox sandbox;
    };
    char media_type[PROTO_MEDIA_MAX + 1];
    void *data; /* ANSWERED: malloc'd and NUL-terminated, whoever takes it sets NULL */
    size_t bytes;
    bool was_killed; /* EXITED: because we asked, not of itself */
    bool misbehaved; /* EXITED: because it broke the rules */
};

struct pool_batch {
    struct pool_event events[POOL_BATCH_MAX];
    size_t count;
};

/* Collector only, without the lock: reads some of what is there for `tag` and appends it. What finds no
 * room in the batch stays for the next call. */
void pool_receive(struct pool *p, uint64_t tag, struct pool_batch *batch);

/* Under the lock: makes the pool's own state follow the event, before the scheduler looks at it. */
void pool_apply(struct pool *p, struct pool_event *event);

/* Frees what nobody took. */
void pool_batch_clear(struct pool_batch *batch);

/* ---- lanes ---- */

/* The lane for what is new; and the one before it that has something to do yet, or -1. */
unsigned pool_current(const struct pool *p);
int pool_old(const struct pool *p);

/* Which zygote it is, counted from 1, for people; 0: the lane is free. */
uint64_t pool_number(const struct pool *p, unsigned lane);

/* Under which index the workers of that lane run this kernel; -ENOENT: they do not. */
int pool_kernel_index(const struct pool *p, unsigned lane, const struct kernel *k);

/* Begins to bring up the next zygote. -EBUSY with a sentence while there is a next or an old one. */
int pool_next_start(struct pool *p, struct err *err);

/* Whether its ordinary workers live: 1; 0: not yet; negative, with a sentence: it failed and has been ended. */
int pool_next_look(struct pool *p, struct err *err);

/* The next becomes the current one, its kernels are in force, and what was current is old. If its kernels cannot be put in
 * force: negative, with a sentence, and all is as it was but that the next has been ended. */
int pool_switch(struct pool *p, struct err *err);

void pool_next_end(struct pool *p, const char *why);
void pool_old_end(struct pool *p); /* no task may be out there */

/* Whether somebody may yet submit a job that only the old one can run. */
bool pool_old_is_wanted(const struct pool *p);

/* Whether the current zygote was started again and may have found other code than the one before it. */
bool pool_has_changed(const struct pool *p);

/* What the draft that was put in force last has changed. */
const struct catalog_change *pool_change(const struct pool *p);

/* The time of the next pool_tick; CLOCK_NEVER when nothing is due. */
uint64_t pool_wake_ns(const struct pool *p);
void pool_tick(struct pool *p, uint64_t now_ns);

/* A part for COMBINE and FINISH. */
struct pool_part {
    const void *data;
    size_t bytes;
};

struct pool_task {
    uint64_t task;     /* random, not zero: workers cannot guess each other's */
    unsigned inflight; /* < PROTO_INFLIGHT_MAX, of no other task that is out */
    unsigned lane;
    int kernel; /* pool_kernel_index */
    enum proto_op op;
    uint64_t deadline_ns, lo, hi, split_ns;
    double ns_per_cost;
    bool wants_parts;
    enum prong_input input_kind;
    const struct id *job;
    const char *trace_id; /* 32 digits for log lines, what follows is ignored; "" or NULL: none */
    struct pool_part input, params;
    struct slab *input_slab; /* when the input is in one */
    const struct pool_part *parts;
    size_t part_count;
};

enum {
    POOL_HOLDS_MAX = 3,
    POOL_OUTBOX_TASKS = 32,
    POOL_BATCH_BYTES = PROTO_INLINE_MAX,
    POOL_OUTBOX_BYTES = 2 * (PROTO_INLINE_MAX + 1024), /* any one frame fits, and many small ones */
};

/* Frames that are ready to leave. They are put together under the scheduler's lock and sent without it,
 * since sending wakes workers; so it holds copies of all that it needs. */
struct pool_outbox {
    size_t count, bytes;
    struct pool_outgoing {
        uint64_t task;
        uint64_t serial; /* of the zygote whose workers it is for */
        unsigned lane;
        enum pool_kind kind;
        size_t offset, bytes; /* in `frames` */
        struct slab *holds[POOL_HOLDS_MAX];
        size_t hold_count;
        int error; /* why it could not be sent: -EAGAIN, -ENOTCONN, … */
    } tasks[POOL_OUTBOX_TASKS];
    _Alignas(8) uint8_t frames[POOL_OUTBOX_BYTES];
};

/* Adds a task for whichever worker of that kind takes it first. On success the task holds `ret_holds` (NULL
 * where none), for the caller to slab_drop when it has ended. -ENOBUFS when the outbox is full: flush it and
 * go on; -ENOTCONN while there is no zygote; -ENOMEM, -E2BIG. */
int pool_prepare(struct pool *p, struct pool_outbox *outbox, enum pool_kind kind,
                 const struct pool_task *task, struct slab *ret_holds[POOL_HOLDS_MAX]);

/* Likewise one frame for several small tasks of one lane and kernel, without slabs, parts and listeners, whose pool_small_bytes
 * are together at most POOL_BATCH_BYTES; PROTO_BATCH_MAX of them. The first names it: in the outbox, in the audit, and in the
 * page of the worker that runs them. -ENOBUFS, -ENOTCONN. */
int pool_prepare_batch(struct pool *p, struct pool_outbox *outbox, enum pool_kind kind,
                       const struct pool_task *tasks, size_t count);
size_t pool_small_bytes(size_t input_bytes, size_t params_bytes);

/* Without the lock, any thread: sends them all and empties the outbox, but for those that could not be
 * sent: these are moved to its front, with their error. */
void pool_flush(struct pool *p, struct pool_outbox *outbox);

/* Tells whoever runs it, or will, to stop; to hand the rest of the range back. */
void pool_cancel(struct pool *p, unsigned inflight, uint64_t task);
void pool_ask_to_yield(struct pool *p, unsigned inflight, uint64_t task);

/* Signals the worker that runs `task`; should it end the task meanwhile, it takes no other. False when none
 * says that it runs it. `named` is what its page calls it: itself, or the first of its batch. */
bool pool_kill_task(struct pool *p, unsigned lane, unsigned inflight, uint64_t task, uint64_t named,
                    int signal);

/* Signals the worker in a slot: it broke the rules, or a person asked. */
void pool_kill_slot(struct pool *p, unsigned lane, unsigned slot, int signal);

/* Signals the worker with this pid, in any lane but the next one's. -ESRCH: there is none. */
int pool_kill_pid(struct pool *p, int pid, int signal);

/* What a worker says it is at; false when it is idle. */
bool pool_progress(const struct pool *p, unsigned lane, uint64_t task, uint64_t *ret_done,
                   uint64_t *ret_total);

/* After a worker died idle: which of the tasks that were sent to `kind` wait in the intake still. They are
 * taken out and sent again in their order; `seen` is called for each. */
void pool_audit(struct pool *p, unsigned lane, enum pool_kind kind,
                void (*seen)(void *arg, uint64_t task), void *arg);

/* Whether some worker's page names this task. */
bool pool_is_claimed(const struct pool *p, unsigned lane, uint64_t task);

/* 0: the worker in that slot is not known yet, or gone. */
int pool_slot_pid(const struct pool *p, unsigned lane, unsigned slot);

bool pool_is_up(const struct pool *p, unsigned lane);

/* Workers of that kind that live. */
unsigned pool_live(const struct pool *p, unsigned lane, enum pool_kind kind);

struct pool_worker {
    uint64_t generation; /* pool_number */
    unsigned slot;
    int pid;
    enum pool_kind kind;
    uint64_t task; /* 0: idle */
    uint64_t done, total;
    uint64_t tasks;
    uint64_t rss_bytes;
    uint64_t started_ns;
};

/* Fills in up to `max`, of the current lane and the old one; how many there are. */
size_t pool_workers(const struct pool *p, struct pool_worker *ret, size_t max);
int pool_zygote_pid(const struct pool *p); /* of the current lane */

/* What the current lane's zygote has said last; all zero before. */
const struct proto_sandbox *pool_sandbox(const struct pool *p);

/* Why there is no sandbox as it was asked for, and so no zygote in the current lane; "" when there is. */
const char *pool_refusal(const struct pool *p);
struct slab_store *pool_slabs(struct pool *p); /* without the lock */

#endif
