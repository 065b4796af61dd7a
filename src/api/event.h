/*
 * F5. The events that end a stream, as text: of durable jobs and others alike.
 */
#ifndef API_EVENT_H
#define API_EVENT_H

#include "api/ending.h"
#include "base/buf.h"

struct event_result {
    const char *job;
    const struct job_receipt *receipt;
    const char *media_type;
    const void *data;
    size_t bytes;
};

/* {"job":…,"receipt":{…},"media_type":…,"result":JSON}, or "base64" for what is not JSON. Makes `ret`, the caller's to
 * release; buf_failed when out of memory. */
void event_result(struct buf *ret, const struct event_result *result);

/* {"pid"}: what follows comes from that worker; {"pid","from","to","reason"}: that worker died with these units, and they are
 * tried again. What is not known, or not divided, is null. malloc'd, NULL when out of memory. */
char *event_worker(int pid);
char *event_retry(const struct job_retry *retry);

/* The problem and what it cost; malloc'd, NULL when out of memory. */
char *event_error(const struct ending *ending, const struct job_receipt *receipt);

#endif
