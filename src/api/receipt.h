/*
 * F5. What a job cost, as it is told: durable jobs and others alike.
 */
#ifndef API_RECEIPT_H
#define API_RECEIPT_H

#include "http/response.h"
#include "jobs/job.h"

/* {"wait_ms":…} */
json_t *receipt_json(const struct job_receipt *receipt);

/* Adds Prong-Job, Server-Timing and Prong-Receipt to the answer. */
void receipt_add(struct request *r, const char *job, const struct job_receipt *receipt);

#endif
