/*
 * F5. The parts of /jobs, durable jobs: what is asked (jobs_ask.c), kept (jobs_submit.c), told (jobs_json.c), the pages
 * of them (jobs_list.c), results (jobs_result.c), events (jobs_events.c); the rest is in jobs.c.
 */
#ifndef API_JOBS_H
#define API_JOBS_H

#include "api/compute.h"
#include "api/jobs_json.h"

enum {
    JOBS_WAIT_MAX_S = PREFER_WAIT_MAX_S, /* of ?wait=; longer waits are cut to this */
    JOBS_GRACE_MS = 500,                 /* for a job to say itself that it was too late */
    JOBS_ALIVE_S = 15,                   /* between two looks whether who listens is still there */
    JOBS_RETRY_MS = 1000,                /* before who listens comes back */
    JOBS_EVENT_RESULT_BYTES_MAX = 1 << 20, /* larger results are only named */
    JOBS_PAGE_DEFAULT = 50,
};

/* ---- asking ---- */

/* Reads Idempotency-Key. False after having answered. */
bool jobs_ask_key(struct request *r, struct compute *c);

/* Whether this request for compute wants a durable job. False after having answered. */
bool jobs_ask_durable(struct request *r, struct compute *c);

/* Fills it from the body of POST /jobs. False after having answered. */
bool jobs_ask(struct request *r, struct compute *c);

/* Answers, or parks: 202 with the job once it is kept, or the result if it is preferred and soon there. */
void jobs_submit(struct request *r, struct compute *c);

/* ---- answering ---- */

/* The problem for an error of the store or of durable; -ENOENT too. */
void jobs_refuse(struct request *r, int rc);

/* The job that the path names. False after having answered. */
bool jobs_find(struct request *r, struct record *ret);

/* With all that the store tells of the job. */
void jobs_respond(struct request *r, unsigned status, const struct record *record);

/* With its result, or with why it has none. It has ended. */
void jobs_respond_result(struct request *r, const struct record *record);

/* Answers with its events after number `after`. */
void jobs_respond_events(struct request *r, struct id id, uint64_t after);

/* What moves: how far a running job is, and where a queued one stands. `with_position` reads the store. */
void jobs_view(struct api *api, const struct record *record, bool with_position,
               struct jobs_view *ret);

#endif
