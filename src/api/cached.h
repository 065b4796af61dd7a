/*
 * F5. Answers that are not computed: kept from before (hit), or of an equal request that is being computed (merged).
 * Everybody who asks for a pure kernel's answer is told which it was; who listens to events, and durable jobs, have
 * nothing of this.
 */
#ifndef API_CACHED_H
#define API_CACHED_H

#include "api/compute.h"

/* Gives the job its key, if it may share an answer, as Cache-Control would have it. On the request's thread. */
void cached_ask(struct request *r, struct compute *c);

/* Answers with what is kept for it; false when there is nothing. On the request's thread. */
bool cached_answer(struct request *r, struct compute *c);

/* Keeps the result of an ended job, if it may be kept. Before any of those who wait for it is told. Any thread. */
void cached_keep(struct cache *cache, const struct job *job);

/* Adds to the answer how it was come by, and counts it. */
void cached_tell(struct request *r, const struct job *job);

/* For /status; NULL when out of memory. */
json_t *cached_json(struct cache *cache);

void cached_set_gauges(struct cache *cache);

#endif
