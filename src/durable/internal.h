/*
 * The inside of durable jobs, shared by its files and nobody else. All of it is the "jobs" thread's alone, but for what
 * says otherwise.
 */
#ifndef DURABLE_INTERNAL_H
#define DURABLE_INTERNAL_H

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->homeless = true)
#include <uthash.h>

#include "base/clock.h"
#include "base/hash.h"
#include "durable/durable.h"
#include "thread/thread.h"

enum letter_kind {
    LETTER_KICK,      /* something was queued */
    LETTER_DRAIN,     /* who watches is to be let go */
    LETTER_WATCH,     /* a durable_watch */
    LETTER_CHANGED,   /* a durable_change whose write is done */
    LETTER_CLAIMED,   /* the claim's write is done */
    LETTER_SWEPT,     /* the sweep's */
    LETTER_PROGRESS,  /* of a live job */
    LETTER_PART,      /* a struct part, of either kind */
    LETTER_JOB_ENDED, /* the scheduler is done with a live job */
    LETTER_END_KEPT,  /* the write of a live job's end is done */
};

/* An event that is kept for who comes later: a piece that the kernel emitted, or a struct job_retry. */
struct part {
    struct durable_letter letter;
    STAILQ_ENTRY(part) link;
    struct live *live;
    uint64_t number;
    bool is_retry;
    int pid;
    size_t bytes;
    _Alignas(8) char data[];
};
STAILQ_HEAD(part_list, part);
TAILQ_HEAD(watch_list, durable_watch);

/* A job that runs or is watched now. */
struct live {
    struct id id;
    UT_hash_handle hh;
    bool homeless; /* there was no memory to take it into the table */
    struct durable *durable;
    struct watch_list watches;
    uint64_t state_number, last_number; /* of events */
    /* what follows is of a job that runs */
    bool runs;
    struct record record; /* as it was claimed */
    struct job *job;      /* NULL when it never got as far */
    struct part_list parts;
    size_t part_bytes;
    struct durable_letter progress, ended; /* from the collector */
    _Atomic bool has_progress;             /* that letter is on its way */
    _Atomic uint64_t done, total;          /* written by the collector */
    uint64_t told_ns;                      /* when progress was told last */
    struct store_end end;
    struct durable_letter kept; /* from the store */
    struct heap_node again;     /* when to write the end again that the store could not keep */
    unsigned tries;
};

struct durable {
    struct durable_config config;
    struct thread thread;
    struct mailbox mail;
    _Atomic bool is_draining;
    _Atomic int stopping; /* enum stop_step; set by others, read at each letter */
    _Atomic bool has_settled;
    struct lock settle_lock;
    pthread_cond_t settled;
    uint64_t wall_us, started_ns; /* the two clocks at the start */
    struct hash_key hash_key;

    struct live *table;
    size_t running;        /* live jobs that run */
    double run_ns;         /* mean of what they took lately */
    struct heap deadlines; /* of watches */
    struct heap again;     /* of live jobs */

    struct store_claim claim;
    struct durable_letter claimed;
    struct record claim_records[STORE_CLAIM_MAX];
    bool is_claiming, may_have_more;
    uint64_t claim_at_ns;   /* something will be due */
    uint64_t rest_until_ns; /* the store had trouble with the last claim */

    struct store_sweep sweep;
    struct durable_letter swept;
    bool is_sweeping;
    uint64_t sweep_at_ns;

    struct durable_letter kick, drain;
    _Atomic bool is_kicked;
    _Atomic bool has_deadline; /* something was queued that will be late by itself */
};

enum stop_step { STOP_NOT, STOP_SETTLE, STOP_THREAD };

void durable_post(struct durable *d, struct durable_letter *letter, enum letter_kind kind);
void durable_count_end(enum record_state state); /* in the metrics */
void durable_due(struct durable *d,
                 uint64_t us); /* something will be queued by itself then; 0: nothing */

/* live.c */
struct live *live_find(struct durable *d, const char *id);
struct live *live_get(struct durable *d, struct id id); /* makes it; NULL when out of memory */
void live_put(struct live *l);          /* frees it when it neither runs nor is watched */
void live_stop_running(struct live *l); /* forgets what only a running job has */

/* watch.c: telling. */
void watch_begin(struct durable *d, struct durable_watch *w);
void watch_tell_state(struct live *l,
                      const struct record *record); /* the last event when it has ended */
void watch_tell_stored(struct durable *d,
                       const char *id); /* the same, as the store has it; then live_put */
void watch_tell_progress(struct live *l);
void watch_add_part(struct live *l, struct part *part); /* takes it */
void watch_expire(struct durable *d, uint64_t now_ns);
void watch_end_all(struct durable *d, enum durable_event_kind why);

/* claim.c: from the store to the scheduler. */
void claim_more(struct durable *d, uint64_t now_ns);
void claim_done(struct durable *d);

/* run.c: from the scheduler to the store. */
void run_start(struct durable *d, const struct record *record);
void run_ended(struct live *l);
void run_kept(struct live *l);
void run_write_again(struct durable *d, uint64_t now_ns);

#endif
