/*
 * F4b. Whether a status would say something else than the last: a print of what matters in it.
 */
#ifndef LIVE_PRINT_H
#define LIVE_PRINT_H

#include "base/hash.h"
#include "jobs/store/store.h"
#include "sched/sched.h"

/* Of workers and what they do, queues, kernels' generation and reload, durable jobs, and the store's health. Not of progress and
 * of what only grows with time. */
uint64_t print_status(struct hash_key key, const struct sched_status *st, struct store *store);

#endif
