/*
 * F2. A durable job as it is kept: what was asked, how far it is, how each attempt ended, what it cost.
 *
 * Values only: no owner, no thread, no store. All times are wall clock in microseconds since 1970, 0 for "not yet".
 * The numbers of the enums are in databases: new ones go to the end.
 */
#ifndef JOBS_RECORD_H
#define JOBS_RECORD_H

#include "jobs/job.h"

enum record_state {
    RECORD_QUEUED,
    RECORD_RUNNING,
    RECORD_SUCCEEDED,
    RECORD_FAILED,    /* the kernel said no, or the time was up */
    RECORD_DEAD,      /* its attempts are used up */
    RECORD_CANCELLED, /* by a client */
    RECORD_STATE_COUNT
};
extern const char *const record_state_names[RECORD_STATE_COUNT];

/* Whether it is over, until somebody retries it. */
static inline bool record_has_ended(enum record_state state)
{
    return state >= RECORD_SUCCEEDED;
}

enum record_result {
    RECORD_RESULT_NONE,    /* not made, or never will be */
    RECORD_RESULT_KEPT,    /* in the store */
    RECORD_RESULT_EXPIRED, /* was kept, and had to go */
    RECORD_RESULT_COUNT
};

enum {
    RECORD_CLIENT_BYTES = 48, /* an address as text, with the NUL */
    RECORD_TEXT_BYTES = 1025,
    RECORD_MEDIA_TYPE_BYTES = 128,
    RECORD_KEY_BYTES_MAX = 255, /* an Idempotency-Key */
    RECORD_PRIORITY_COUNT = 3,  /* 0 is served first; the numbers of enum queue_class */
    RECORD_ATTEMPTS_MAX = 100,
};

/* How an attempt ended, and so perhaps its job. */
struct record_end {
    enum job_outcome outcome; /* JOB_PENDING: it has not */
    int wait_status;          /* JOB_DIED, as wait4 gives it */
    bool was_oom;
    char text[RECORD_TEXT_BYTES]; /* one sentence, or "" */
};

struct record_attempt {
    unsigned number; /* from 1; goes on counting over retries that a client asks for */
    uint64_t started_us, finished_us;
    struct record_end
        end; /* JOB_CANCELLED: the server ended while it ran; such an attempt does not count as one */
};

struct record {
    uint64_t seq; /* the order of submission, from 1; never used twice */
    struct id id;
    char kernel[PRONG_NAME_MAX + 1];
    char client[RECORD_CLIENT_BYTES];
    enum record_state state;
    unsigned priority;
    uint64_t chunks_wanted; /* 0: as the scheduler thinks best */
    uint64_t timeout_us;    /* of one attempt */
    uint64_t deadline_us;   /* by when all must be done; 0: no matter */
    uint64_t payload_bytes; /* parameters and input */
    unsigned attempts; /* begun and counted, since the submission or the last retry by a client */
    unsigned attempts_max;
    uint64_t
        lease; /* grows with every claim, the server's epoch in its upper half; who ends an attempt must show it */
    uint64_t run_at_us;                           /* queued: not before; 0: at once */
    uint64_t created_us, started_us, finished_us; /* started: the newest attempt */
    struct record_end end; /* of the job, or of the newest attempt while it is queued again */
    struct job_receipt receipt;
    char media_type[RECORD_MEDIA_TYPE_BYTES]; /* of the result */
    enum record_result result;
    uint64_t result_bytes;
};

/* What a kernel is given. */
struct payload {
    char *params;                /* a JSON object as text, malloc'd */
    enum prong_input input_kind; /* PRONG_INPUT_RAW or NONE: numbers in JSON stay in params */
    void *input;                 /* malloc'd, or NULL */
    size_t input_bytes;
};
void payload_release(struct payload *p);

#endif
