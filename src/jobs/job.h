/*
 * F2. One request for compute: what is asked, how it ended, and what it cost.
 *
 * The submitter fills in the first half and owns the job; the scheduler writes the second half and then calls
 * `done` once, on any thread, after which it never touches the job again. May use base and the catalog.
 */
#ifndef JOBS_JOB_H
#define JOBS_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "jobs/catalog.h"
#include "jobs/params.h"

struct slab;
struct run;

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
    /* A piece that the kernel emitted, on the collector's thread; NULL: nobody listens. */
    void (*part)(struct job *job, const void *data, size_t bytes);
    /* `done` of `total` units are through; may be NULL. */
    void (*progress)(struct job *job, uint64_t done, uint64_t total);
    void *owner;        /* the submitter's */
    bool counts_deaths; /* the submitter does, so it is not refused for what its input did before */

    enum job_outcome outcome;
    enum job_refusal refusal;
    uint64_t retry_after_s; /* refused: when to come again */
    int wait_status;        /* JOB_DIED, as wait4 gives it */
    bool was_oom;           /* JOB_DIED by the kernel's out-of-memory killer */
    void *result;           /* JOB_OK: malloc'd, the job's until taken */
    size_t result_bytes;
    struct job_receipt receipt;

    struct run *run;  /* the scheduler's, until the end */
    void *run_memory; /* what that was kept in; freed with the job, by the thread that made both */

    /* Not cleared by job_new but for their first byte. */
    char trace_id[33]; /* of its client's trace, for log lines; the submitter's to set */
    char media_type[128];
    char text[1025]; /* JOB_FAILED, some refusals: one sentence */
};

/* The rest zero. NULL when out of memory. */
struct job *job_new(const struct kernel *kernel, struct id id);

/* Moves what params_encode has made into the job. job->params is NULL when there was no memory. */
void job_take_params(struct job *job, struct params *params);

/* Frees what it owns, except the slab's hold, which the caller lets go first. */
struct job *job_free(struct job *job);

#endif
