/*
 * The inside of the scheduler, shared by its files and nobody else. All of it is under s->lock unless said
 * otherwise.
 *
 * A run is an accepted job until it ends, or several that are equal (merge.c): what was asked moves from the first of them
 * into it, and the tasks are sent in its name. A job that its client leaves, or whose time is up, leaves the run, which
 * goes on for the others. A task is something that was sent to the workers and not yet
 * answered; when its run ends first (deadline, hang-up, failure), it stays behind as an orphan until it is
 * answered or its worker is dead, because its place and its payload are still in use.
 */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <sys/queue.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(run) ((run)->is_open = false)
#include <uthash.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/heap.h"
#include "jobs/key.h"
#include "sched/cost.h"
#include "sched/plan.h"
#include "sched/sched.h"
#include "sched/watch.h"
#include "thread/lock.h"
#include "thread/thread.h"

enum { CRASHES_KEPT = 64 };

/* What goes with one zygote's workers: a lane of the pool. */
struct side {
    unsigned lane;
    struct queue *queue;
    unsigned out[POOL_KIND_COUNT];
    uint64_t out_ns[POOL_KIND_COUNT]; /* predicted, of what is out */
    unsigned live[POOL_KIND_COUNT];
    size_t run_count;
    uint64_t backlog_ns;
};

/* Tasks of several runs that went out as one frame: one worker computes them by one call. */
struct batch {
    uint64_t id;     /* of the first, which names it; that may have ended before the others */
    unsigned left;   /* not answered; 0: the place is free */
    unsigned wanted; /* … and no orphans */
};

struct task {
    TAILQ_ENTRY(task) link; /* of its run */
    uint64_t id;            /* 0: the place is free */
    struct batch *batch;    /* NULL: it went alone */
    struct run *run;        /* NULL: an orphan */
    struct side *side;
    const struct kernel *kernel;
    const struct kernel *held; /* the same, of an orphan */
    enum pool_kind kind;
    enum proto_op op;
    uint64_t lo, hi;
    struct plan_part *first; /* COMBINE */
    size_t count;
    uint64_t predicted_ns, sent_ns, deadline_ns;
    struct slab *holds[POOL_HOLDS_MAX];
    bool asked_to_yield, was_audited;
    struct heap_node timer; /* the cancel ladder, or the wait for a claim */
    int signal; /* the next rung; 0: waits for a claim, and counts as dead without one */
    int lost_status, lost_pid; /* of the worker that may have taken it along */
    bool was_missed;           /* nobody claimed it when its timer fired last */
};
TAILQ_HEAD(task_list, task);

/* What the collector tells the submitters once the lock is dropped, before the jobs that have ended. */
struct news {
    STAILQ_ENTRY(news) link;
    enum { NEWS_PART, NEWS_PROGRESS, NEWS_RETRY } kind;
    struct job *job;
    int pid;    /* PART */
    void *data; /* PART, RETRY (a struct job_retry): owned */
    size_t bytes;
    uint64_t done, total;
};
STAILQ_HEAD(news_list, news);
STAILQ_HEAD(ended_list, job);
TAILQ_HEAD(job_list, job);

/* A task whose worker died. */
struct crash {
    enum proto_op op;
    uint64_t lo, hi;
};

enum run_state { RUN_NEW, RUN_STARTING, RUN_MAPPING, RUN_FINISHING };

struct run {
    struct job_shared shared; /* first: it is freed through it */
    TAILQ_ENTRY(run) link;    /* all runs */
    struct job_list jobs;     /* those who have not left; in the order of joining */
    size_t job_count;
    const struct kernel *kernel; /* which each of the jobs holds */
    struct side *side;           /* the same from its first task on */
    /* What was asked; the bytes are in `shared` or the slab, of which one hold is the run's until it ends. */
    enum queue_class class;
    uint64_t client;      /* who pays for it: that of the first job */
    uint64_t deadline_ns; /* the latest of those who have joined */
    uint64_t chunks_wanted;
    size_t params_bytes, input_bytes;
    enum prong_input input_kind;
    const void *input;
    struct slab *slab;
    bool wants_parts, wants_progress, wants_retries; /* its only job does */
    bool may_lack;                                   /* chunks that could not be computed */
    UT_hash_handle hh;                               /* by its key, while others may join */
    bool is_open;                                    /* … which is now */
    struct queue_entry entry;
    bool is_queued, has_ended, has_plan;
    TAILQ_ENTRY(run) peer; /* of the small calls of its kernel that wait: batch.c */
    bool is_peer, goes_alone;
    enum run_state state;
    struct plan plan;
    struct plan_part *combine_first; /* taken from the plan, not sent yet */
    size_t combine_count;
    struct task_list tasks; /* out now */
    unsigned out;
    uint64_t left_ns; /* its share of the backlog */
    uint64_t started_ns;
    uint64_t busy_ns; /* of its tasks together */
    uint64_t fingerprint;
    struct crash *crashes; /* CRASHES_KEPT, made with the first */
    size_t crash_count;
    uint64_t slots_seen[PROTO_WORKERS_MAX / 64];
    struct job_receipt receipt; /* but for the times, which are each job's own */
    struct blob *result;
    int wait_status;
    bool was_oom;
    /* Not cleared by run_new but for the first byte. */
    char media_type[sizeof(((struct job *)NULL)->media_type)];
};
static_assert(offsetof(struct run, shared) == 0, "freed through it");
TAILQ_HEAD(run_list, run);

struct kernel_record {
    uint64_t serial; /* of the kernel that has this place */
    struct cost cost;
    struct retry_brake brake;
    struct run_list peers; /* small calls that wait: on hold, or in a queue */
    unsigned peer_count;
    unsigned out; /* tasks of it */
    bool is_holding;
    uint64_t hold_until_ns;
    TAILQ_ENTRY(kernel_record) holding;
    bool has_tried;                        /* the express worker, before anything was known */
    int label;                             /* of METRIC_JOB_* */
    int outcome_labels[JOB_OUTCOME_COUNT]; /* of METRIC_JOBS */
};

TAILQ_HEAD(record_list, kernel_record);

/* Loading the kernels anew. */
struct reload {
    struct sched_reload *asked; /* who waits for it; NULL: nobody */
    struct sched_reload *told;  /* the collector's: decided, and not told yet */
    bool is_wanted, is_under_way;
    uint64_t since_ns;    /* when that began */
    uint64_t old_busy_ns; /* when the old side had something to do last */
};

struct sched {
    struct sched_config config;
    struct catalog catalog;
    struct lock lock;
    pthread_cond_t changed; /* ready, or a run ended while draining */
    struct pool *pool;
    struct side sides[POOL_LANES];
    struct side *current; /* for what is new */
    struct reload reload;
    struct heap timers;    /* of tasks */
    struct heap deadlines; /* of jobs */
    struct run_list runs;
    struct run *open_runs; /* by their keys: merge.c */
    struct job_list unwatched;
    struct task tasks[PROTO_INFLIGHT_MAX];
    struct batch batches[PROTO_INFLIGHT_MAX];
    struct record_list holding; /* kernels that hold calls back, for the longest first */
    size_t inflight;
    size_t run_count, running;
    size_t waiting[QUEUE_CLASS_COUNT]; /* runs that have no task out */
    uint64_t done_ns, gap_ns;          /* the last end of a run; mean time between two */
    struct kernel_record records[CATALOG_EDITIONS_MAX]; /* by place */
    unsigned labelled; /* kernels with a label of their own in the metrics */
    struct retry_poison poison;
    _Atomic bool has_poison; /* read without the lock */
    struct hash_key hash_key;
    struct news_list news;
    struct ended_list ended;
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
struct job *sched_find_job(struct sched *s, const char *id);

/* dispatch.c: sends what can be sent: chosen and put together under the lock, sent without it. */
void dispatch_all(struct sched *s, struct pool_outbox *outbox);
void dispatch_flush(struct sched *s, struct pool_outbox *outbox);
void dispatch_shorten(struct sched *s,
                      uint64_t now_ns); /* takes the rest of chunks that run too long */
void dispatch_queue(struct sched *s,
                    struct run *run); /* queues the run if it has something to send */
void dispatch_push(struct sched *s, struct run *run); /* … at once; not while it is queued */

/* batch.c: small calls of one kernel that are computed together. */
/* Whether the run waits for others of its kernel; else it is to be queued. */
bool batch_hold(struct sched *s, struct run *run);
/* Queues what need not wait any longer. */
void batch_release(struct sched *s, uint64_t now_ns);
uint64_t batch_wake_ns(const struct sched *s);
/* The run waits no more: it is sent, or has ended. */
void batch_leave(struct sched *s, struct run *run);
/* `leader`, which was taken from the queue, and those that may go with it, taken out of theirs. */
size_t batch_gather(struct sched *s, struct run *leader, struct run *ret[PROTO_BATCH_MAX]);
struct batch *batch_new(struct sched *s, uint64_t id);
void batch_add(struct batch *b, struct task *t);
void batch_remove(struct task *t); /* it has ended */

/* tasks.c */
struct task *task_new(struct sched *s, struct run *run, enum pool_kind kind, uint64_t predicted_ns);
void task_end(struct sched *s, struct task *t); /* answered, or its worker is dead */
void task_orphan(struct sched *s, struct task *t);
struct task *task_find(struct sched *s, uint64_t id);
static inline uint64_t task_frame(const struct task *t) /* what names it outside */
{
    return t->batch == NULL ? t->id : t->batch->id;
}
void task_timer(struct sched *s, struct task *t, uint64_t now_ns);
/* Maybe: see if anybody claims it. */
void task_lost(struct sched *s, struct task *t, int pid, int status);

void task_free_express(struct sched *s, uint64_t now_ns); /* of what turned out to be long */
void task_audit(struct sched *s, struct side *side,
                enum pool_kind kind); /* sets was_audited of what waits there */

/* answer.c: what workers say. */
void answer_event(struct sched *s, struct pool_event *event);
void answer_go_on(struct sched *s, struct run *run); /* combine, finish or end, or the next chunk */
void answer_label_kernels(
    struct sched *s); /* of what is in force: their records and names in the metrics */

/* deaths.c: of workers and of the zygote. */
void death_of_worker(struct sched *s, const struct pool_event *event, enum pool_kind kind);
void death_of_program(struct sched *s, struct task *t, const struct pool_event *event);
void death_of_zygote(struct sched *s, const struct side *side);
/* `pid` is the worker's; 0: unknown. */
void death_of_task(struct sched *s, struct task *t, int pid, int status, bool counts);
void death_retry(struct sched *s, struct run *run,
                 const struct task *t); /* what it did is done again */
bool death_by_oom(struct sched *s); /* whether the system's OOM killer struck since last asked */

/* partial.c: answers that lack something. */
/* A task will not be tried again. True when its run goes on without it, or has ended for another reason. */
bool partial_go_on(struct sched *s, struct run *run, const struct task *t);
int partial_note(struct run *run); /* what is missing, in the receipt and as text; -ENOMEM */

/* run.c: the life of a run. */
struct run *run_new(struct sched *s, struct job *job,
                    struct side *side); /* what was asked moves into it */
int run_add(struct sched *s, struct run *run, struct job *job);
void run_move(struct run *run,
              struct side *to); /* what it is counted in; not its place in the queue */
void run_end(struct sched *s, struct run *run, enum job_outcome outcome); /* for all its jobs */
void run_leave(struct sched *s, struct job *job,
               enum job_outcome outcome); /* the last one ends it */
size_t runs_waiting(const struct sched *s);
void run_spend(struct run *run, uint64_t ns); /* off the backlog */
void run_fail(struct sched *s, struct run *run, const char *format, ...) PRINTF_LIKE(3, 4);
void run_say(struct run *run, const char *sentence); /* why it may fail; NULL: forget that */
uint64_t run_fingerprint(struct sched *s, const struct job *job);       /* before it is accepted */
uint64_t run_fingerprint_again(struct sched *s, const struct run *run); /* the same of its run */
void run_news(struct sched *s, struct job *job, struct news news);

/* merge.c: jobs that join a run. */
/* The run that this job may join; NULL when there is none. */
struct run *merge_find(struct sched *s, const struct job *job);

/* From now on equal jobs may join it; not any more. */
void merge_open(struct sched *s, struct run *run);
void merge_close(struct sched *s, struct run *run);

/* reload.c: one set of kernels after the other. */
void reload_turn(struct sched *s, uint64_t now_ns);
void reload_tell(struct sched *s); /* the collector, without the lock */
void reload_old_down(struct sched *s);
/* The current zygote is there again, with what it found. */
void reload_restarted(struct sched *s);
struct side *reload_old_side(struct sched *s);                            /* or NULL */
struct side *reload_choose_side(struct sched *s, const struct kernel *k); /* or NULL */

/* collector.c */
void collector_count_workers(struct sched *s);
/* How far a run is: what has been answered, and what the pages of its workers say. False when nobody knows. */
bool run_progress(struct sched *s, const struct run *run, uint64_t *ret_done, uint64_t *ret_total);
void *collector_run(void *arg);

#endif
