/*
 * F5. What a job cost, as it is told: durable jobs and others alike.
 */
#ifndef API_RECEIPT_H
#define API_RECEIPT_H

#include "http/response.h"
#include "jobs/job.h"

/* {"wait_ms":…}; what is missing only when something is. */
json_t *receipt_json(const struct job_receipt *receipt);

/* Server-Timing and Prong-Receipt of an answer that was only looked up. */
#define RECEIPT_TIMING_OF_NOTHING "queue;dur=0.000, run;dur=0.000, cpu;dur=0.000"
#define RECEIPT_OF_NOTHING                                                                         \
    "wait_ms=0.000, run_ms=0.000, cpu_ms=0.000, max_rss_kb=0, chunks=0, retries=0, workers=0"

/* Adds Prong-Job, Server-Timing and Prong-Receipt to the answer. */
void receipt_add(struct request *r, const char *job, const struct job_receipt *receipt);

#endif
