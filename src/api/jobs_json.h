/*
 * F5, pure. A durable job as JSON.
 */
#ifndef API_JOBS_JSON_H
#define API_JOBS_JSON_H

#include <jansson.h>

#include "jobs/record.h"

/* What is told of it; the record and the attempts are the caller's. */
struct jobs_view {
    const struct record *record;
    uint64_t now_us;      /* wall clock */
    uint64_t done, total; /* running: how far; total 0: nobody knows */
    bool has_position;
    uint64_t position; /* queued: how many go first */
    double per_s;      /* how many jobs end in a second; 0: nobody knows */
};

/* Without its parameters and attempts. NULL when out of memory. */
json_t *jobs_json(const struct jobs_view *v);

/* The attempts, as its "history". */
json_t *jobs_history_json(const struct record_attempt *attempts, int count);

/* As text, with the parameters, which are JSON already (NULL: not kept any more), behind id and kernel. Steals `json`.
 * malloc'd; NULL when out of memory. */
char *jobs_write(json_t *json, const char *params, size_t *ret_bytes);

#endif
