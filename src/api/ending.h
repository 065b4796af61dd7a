/*
 * F5. Why a job has no result, as a problem: durable jobs and others alike.
 */
#ifndef API_ENDING_H
#define API_ENDING_H

#include "http/response.h"
#include "jobs/record.h"

/* How a job ended; what it points to is the job's or the record's. */
struct ending {
    const char *job, *kernel, *text;
    enum job_outcome outcome; /* neither JOB_PENDING nor JOB_OK */
    enum job_refusal refusal;
    uint64_t retry_after_s;
    int wait_status;
    bool was_oom;
    uint64_t limit_ns;           /* how long it was given */
    const struct record *record; /* of a durable job, or NULL */
};

struct ending ending_of_job(const struct job *job);

/* Of one that has ended without a result. */
struct ending ending_of_record(const struct record *record);

struct ending_problem {
    enum problem_name name;
    json_t *extra; /* the caller's */
    char detail[1280];
    uint64_t retry_after_s;
};
void ending_explain(const struct ending *e, struct ending_problem *ret);

/* The same as an object (problem_object); NULL when out of memory. */
json_t *ending_json(const struct ending *e);

/* Answers with it. */
void ending_respond(struct request *r, const struct ending *e);

#endif
