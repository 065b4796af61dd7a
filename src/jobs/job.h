/*
 * F2. One request for compute: what is asked, how it ended, and what it cost.
 *
 * The submitter fills in the first half and owns the job; the scheduler writes the second half and then calls
 * `done` once, on any thread, after which it never touches the job again. May use base and the catalog.
 *
 * Jobs with equal keys may be run as one: all of them get its answer, or its failure, but each ends for itself when its
 * own client leaves or its own time is up.
 */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/blob.h"
#include "base/heap.h"
#include "base/id.h"
#include "jobs/catalog.h"
#include "jobs/params.h"

struct key;
struct run;
struct slab;

enum job_outcome {
    JOB_PENDING,
    JOB_OK,
    JOB_FAILED,    /* the kernel said no: `text` is its sentence */
    JOB_DIED,      /* the worker did: wait_status */
    JOB_DEADLINE,  /* too late */
    JOB_CANCELLED, /* by its client, or because the client left */
    JOB_REFUSED,   /* by the scheduler, before anything was started: `refusal` */
    JOB_OUTCOME_COUNT
};
extern const char *const job_outcome_names[JOB_OUTCOME_COUNT];

enum job_refusal {
    JOB_REFUSAL_NONE,
    JOB_REFUSAL_QUEUE_FULL,
    JOB_REFUSAL_TOO_LATE, /* the wait would pass the deadline */
    JOB_REFUSAL_DRAINING,
    JOB_REFUSAL_BRAKE,  /* the kernel's workers died again and again */
    JOB_REFUSAL_BROKEN, /* the kernel failed its self-test, or the workers do not have it */
    JOB_REFUSAL_POISON,
    JOB_REFUSAL_NO_WORKERS,
    JOB_REFUSAL_NO_MEMORY,
};

struct job_receipt {
    uint64_t wait_ns;    /* from acceptance to the first worker */
    uint64_t run_ns;     /* from there to the end */
    uint64_t cpu_ns;     /* of all its tasks, by getrusage */
    uint32_t max_rss_kb; /* the largest worker */
    uint32_t chunks;     /* ranges mapped, or 1 */
    uint32_t retries;    /* tasks run again */
    uint32_t workers;    /* different workers that answered */
    uint32_t missing;    /* chunks that the answer lacks; never of a durable job, so not kept */
};

/* What was asked, once it is accepted, and the run itself: kept until the last of its jobs is freed, by that job's
 * thread. */
struct job_shared {
    _Atomic unsigned holds; /* one for each job */
    void *params, *input_owned;
    struct key *key;
    char *text, *missing; /* malloc'd, or NULL */
};

/* Work that was begun, and is begun again because who did it died. */
struct job_retry {
    int pid;           /* of the worker; 0: unknown */
    bool has_range;    /* it was with it in units: from … to, without the last */
    uint64_t from, to; /* … else all of the work, or the putting together of what is done */
    char reason[120];  /* "SIGKILL", "exit code 3", or what a program's end was */
};

struct job {
    struct id id;
    /* Held. */
    const struct kernel *kernel;
    unsigned priority;      /* enum queue_class */
    uint64_t client;        /* key of the client, for fairness */
    uint64_t accepted_ns;   /* monotonic */
    uint64_t deadline_ns;   /* monotonic */
    uint64_t chunks_wanted; /* 0: as the scheduler thinks best */
    int socket;             /* the client's, watched for hang-up; -1: none */
    void *params;           /* encoded, malloc'd, owned */
    size_t params_bytes;
    enum prong_input input_kind;
    const void *input; /* within input_owned or the slab */
    size_t input_bytes;
    void *input_owned; /* malloc'd, or NULL */
    struct slab *slab; /* one hold is the job's, or NULL */
    void (*done)(struct job *job);
    /* A piece that the kernel emitted in the worker `pid` (0: unknown), on the collector's thread; NULL: nobody listens. */
    void (*part)(struct job *job, int pid, const void *data, size_t bytes);
    /* In the order of the parts; may be NULL. */
    void (*retried)(struct job *job, const struct job_retry *retry);
    /* `done` of `total` units are through; may be NULL. */
    void (*progress)(struct job *job, uint64_t done, uint64_t total);
    void *owner; /* the submitter's */
    bool
        counts_deaths; /* the submitter does, so it is not refused for what its input did before, and
                           must not lack anything */
    /* It belongs to what was accepted before the server began to end, so it is taken even then. */
    bool continues;
    struct key *key; /* malloc'd, owned; NULL: it is run alone, whatever others ask */
    bool is_fresh;   /* despite its key it begins anew; others may still join it */

    enum job_outcome outcome;
    enum job_refusal refusal;
    uint64_t retry_after_s; /* refused: when to come again */
    int wait_status;        /* JOB_DIED, as wait4 gives it */
    bool was_oom;           /* JOB_DIED by the kernel's out-of-memory killer */
    struct blob *result;    /* JOB_OK: one hold is the job's until taken */
    const char *missing;    /* JOB_OK: units that it lacks, "100-199, 400-499"; NULL: none */
    const char *text;       /* JOB_FAILED, some refusals: one sentence; else "" */
    struct job_receipt receipt;
    bool was_merged; /* it joined one that was there already */

    /* The scheduler's own. */
    struct run *run; /* until the end */
    struct job_shared *shared;
    TAILQ_ENTRY(job) in_run;    /* the jobs of a run */
    TAILQ_ENTRY(job) unwatched; /* those whose client is not watched yet */
    bool is_unwatched;
    unsigned watch;               /* its place in sched/watch.h */
    struct heap_node deadline;    /* in the order of deadline_ns */
    STAILQ_ENTRY(job) told_after; /* ended, and done is to be called */

    /* Not cleared by job_new but for their first byte. */
    char trace_id[33]; /* of its client's trace, for log lines; the submitter's to set */
    char media_type[128];
};

/* The rest zero. NULL when out of memory. */
struct job *job_new(const struct kernel *kernel, struct id id);

/* Moves what params_encode has made into the job. job->params is NULL when there was no memory. */
void job_take_params(struct job *job, struct params *params);

/* Its key, before and after it was submitted; NULL when it has none. */
const struct key *job_key(const struct job *job);

/* Frees what it owns, except the slab's hold, which the caller lets go first. */
struct job *job_free(struct job *job);

#endif
