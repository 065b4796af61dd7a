/*
 * F3, http's own. Answers that a pool thread keeps ready because they are given again and again: what is the same each
 * time is put together once, which takes longer than all else of a small answer.
 *
 * Each thread has its own, so there is no lock: at most KEPT_MAX answers of at most KEPT_BYTES_MAX each, a megabyte. One is
 * given up when another one needs its place; who is being sent it is not concerned.
 */
#ifndef HTTP_KEPT_H
#define HTTP_KEPT_H

#include "http/response.h"

enum { KEPT_MAX = 64, KEPT_BYTES_MAX = 16 << 10, KEPT_VARYING_MAX = 4 };

struct kept_table;

/* NULL without memory. */
struct kept_table *kept_table_new(void);
struct kept_table *kept_table_free(struct kept_table *t);

/* The answer with these bytes and with these headers that differ each time (kept.c knows X-Request-Id and Date besides):
 * good for r until the next one is asked for, and the table's. NULL when it is not kept; see kept_add. */
struct MHD_Response *kept_find(struct kept_table *t, const struct request *r,
                               const struct blob *blob, const struct response_header *varying);

/* Keeps `take_response`, whose bytes are the blob's and which holds it, and has all headers that are always the same. NULL
 * when it has been destroyed for want of memory; otherwise like kept_find. */
struct MHD_Response *kept_add(struct kept_table *t, const struct request *r,
                              const struct blob *blob, struct MHD_Response *take_response,
                              const struct response_header *varying);

#endif
