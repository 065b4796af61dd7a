/*
 * The inside of the scheduler, shared by its files and nobody else. All of it is under s->lock unless said
 * otherwise.
 *
 * A run is an accepted job until it ends. A task is something that was sent to the workers and not yet
 * answered; when its run ends first (deadline, hang-up, failure), it stays behind as an orphan until it is
 * answered or its worker is dead, because its place and its payload are still in use.
 */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <sys/queue.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/heap.h"
#include "sched/cost.h"
#include "sched/plan.h"
#include "sched/sched.h"
#include "sched/watch.h"
#include "thread/lock.h"
#include "thread/thread.h"

enum { CRASHES_KEPT = 64 };

enum timer_kind { TIMER_DEADLINE, TIMER_KILL };

struct timer {
    struct heap_node node;
    enum timer_kind kind;
};

struct task {
    TAILQ_ENTRY(task) link; /* of its run */
    uint64_t id;            /* 0: the place is free */
    struct run *run;        /* NULL: an orphan */
    const struct kernel *kernel;
    enum pool_kind kind;
    enum proto_op op;
    uint64_t lo, hi;
    struct plan_part *first; /* COMBINE */
    size_t count;
    uint64_t predicted_ns, sent_ns;
    struct slab *holds[POOL_HOLDS_MAX];
    bool asked_to_yield, was_audited;
    struct timer timer; /* the cancel ladder, or the wait for a claim */
    int signal;         /* the next rung; 0: waits for a claim, and counts as dead without one */
    int lost_status;    /* of the worker that may have taken it along */
    bool was_missed;    /* nobody claimed it when its timer fired last */
};
TAILQ_HEAD(task_list, task);

/* What the collector tells the submitters once the lock is dropped. */
struct news {
    STAILQ_ENTRY(news) link;
    enum { NEWS_DONE, NEWS_PART, NEWS_PROGRESS } kind;
    struct job *job;
    void *data; /* PART: owned */
    size_t bytes;
    uint64_t done, total;
};
STAILQ_HEAD(news_list, news);

enum run_state { RUN_NEW, RUN_STARTING, RUN_MAPPING, RUN_FINISHING };

struct run {
    TAILQ_ENTRY(run) link;      /* all runs */
    TAILQ_ENTRY(run) unwatched; /* those whose client is not watched yet */
    struct job *job;
    const struct kernel *kernel;
    struct queue_entry entry;
    bool is_queued, is_unwatched, has_ended, has_plan;
    enum run_state state;
    struct plan plan;
    struct plan_part *combine_first; /* taken from the plan, not sent yet */
    size_t combine_count;
    struct task_list tasks; /* out now */
    unsigned out;
    struct timer deadline;
    uint64_t left_ns; /* its share of the backlog */
    uint64_t started_ns;
    uint64_t busy_ns; /* of its tasks together */
    uint64_t fingerprint;
    struct {
        enum proto_op op;
        uint64_t lo, hi;
    } crashes[CRASHES_KEPT];
    size_t crash_count;
    uint64_t slots_seen[PROTO_WORKERS_MAX / 64];
    struct watch_ref watch;
    struct news end;
};
TAILQ_HEAD(run_list, run);

struct kernel_record {
    struct cost cost;
    struct retry_brake brake;
    bool has_tried;                        /* the express worker, before anything was known */
    int label;                             /* of METRIC_JOB_* */
    int outcome_labels[JOB_OUTCOME_COUNT]; /* of METRIC_JOBS */
};

struct sched {
    struct sched_config config;
    struct catalog catalog;
    struct lock lock;
    pthread_cond_t changed; /* ready, or a run ended while draining */
    struct pool *pool;
    struct queue *queue;
    struct heap timers;
    struct run_list runs, unwatched;
    struct task tasks[PROTO_INFLIGHT_MAX];
    size_t inflight;
    unsigned out[POOL_KIND_COUNT];
    uint64_t out_ns[POOL_KIND_COUNT]; /* predicted, of what is out */
    unsigned live[POOL_KIND_COUNT];
    size_t run_count, running;
    size_t waiting[QUEUE_CLASS_COUNT]; /* runs that have no task out */
    uint64_t backlog_ns;
    uint64_t done_ns, gap_ns; /* the last end of a run; mean time between two */
    struct kernel_record records[PROTO_KERNELS_MAX];
    struct retry_poison poison;
    _Atomic bool has_poison; /* read without the lock */
    struct hash_key hash_key;
    struct news_list news;
    struct watch watch;
    uint64_t loading_until_ns; /* what the zygote said of its programs */
    bool is_ready, is_draining, is_stopping;
    uint64_t oom_kills;

    struct thread collector;
    int epoll_fd, wake_fd;
    uint64_t wake_ns;          /* when the collector wakes by itself */
    uint64_t tick_ns;          /* the next tick */
    uint64_t linger_ns;        /* ticks go on until then */
    struct pool_batch batch;   /* the collector's */
    struct pool_outbox outbox; /* the collector's */
    int worker_labels[4];
};

enum { WAKE_TAG = 0 };

/* sched.c */
void sched_wake(struct sched *s);
static inline struct kernel_record *record_of(struct sched *s, const struct kernel *k)
{
    return &s->records[k->place];
}
struct run *sched_find_run(struct sched *s, const char *id);

/* dispatch.c: sends what can be sent: chosen and put together under the lock, sent without it. */
void dispatch_all(struct sched *s, struct pool_outbox *outbox);
void dispatch_flush(struct sched *s, struct pool_outbox *outbox);
void dispatch_shorten(struct sched *s,
                      uint64_t now_ns); /* takes the rest of chunks that run too long */
void dispatch_queue(struct sched *s,
                    struct run *run); /* queues the run if it has something to send */

/* tasks.c */
struct task *task_new(struct sched *s, struct run *run, enum pool_kind kind, uint64_t predicted_ns);
void task_end(struct sched *s, struct task *t); /* answered, or its worker is dead */
void task_orphan(struct sched *s, struct task *t);
struct task *task_find(struct sched *s, uint64_t id);
void task_timer(struct sched *s, struct task *t, uint64_t now_ns);
void task_lost(struct sched *s, struct task *t, int status); /* maybe: see if anybody claims it */

void task_free_express(struct sched *s, uint64_t now_ns); /* of what turned out to be long */
void task_audit(struct sched *s, enum pool_kind kind);    /* sets was_audited of what waits there */

/* answer.c: what workers say. */
void answer_event(struct sched *s, struct pool_event *event);
void answer_go_on(struct sched *s, struct run *run); /* combine, finish or end, or the next chunk */

/* deaths.c: of workers and of the zygote. */
void death_of_worker(struct sched *s, const struct pool_event *event, enum pool_kind kind);
void death_of_program(struct sched *s, struct task *t, const struct pool_event *event);
void death_of_zygote(struct sched *s);
void death_of_task(struct sched *s, struct task *t, int status, bool counts);
bool death_by_oom(struct sched *s); /* whether the system's OOM killer struck since last asked */

/* run.c: the life of a run. */
struct run *run_new(struct sched *s, struct job *job);
void run_end(struct sched *s, struct run *run, enum job_outcome outcome);
size_t runs_waiting(const struct sched *s);
void run_spend(struct sched *s, struct run *run, uint64_t ns); /* off the backlog */
void run_fail(struct sched *s, struct run *run, const char *format, ...) PRINTF_LIKE(3, 4);
uint64_t run_fingerprint(struct sched *s, const struct job *job);
void run_news(struct sched *s, struct job *job, struct news news);

/* collector.c */
/* How far a run is: what has been answered, and what the pages of its workers say. False when nobody knows. */
bool run_progress(struct sched *s, const struct run *run, uint64_t *ret_done, uint64_t *ret_total);
void *collector_run(void *arg);

#endif
