/*
 * F4b. What lets the shared state last: the map's journal, kept by the store. Between the two it only carries; which changes
 * share a commit is the map's business (state/journal.h), how they are kept the store's.
 */
#ifndef DURABLE_STATE_H
#define DURABLE_STATE_H

#include "jobs/store/store.h"
#include "state/kv.h"

struct durable_state;

/* Puts all that is kept into `kv`, which must be new, and from then on keeps every change of it. Before any other thread
 * knows `kv`. Fails with a sentence when what is kept cannot be read. */
int durable_state_start(struct durable_state **ret, struct kv *kv, struct store *store,
                        struct err *err);

/* When nobody changes `kv` any more, before store_close: returns when the store has let go of the last change. `kv` may only
 * be freed after it. NULL. */
struct durable_state *durable_state_stop(struct durable_state *s);

#endif
