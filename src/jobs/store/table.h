/*
 * F2. Things under names that clients choose, for the engine that keeps jobs in memory. What a transaction changes is
 * undone by table_rollback, without needing memory for it.
 *
 * Under the owner's lock.
 */
#ifndef JOBS_STORE_TABLE_H
#define JOBS_STORE_TABLE_H

#include <stddef.h>

struct table;

/* `drop` frees a thing that is in no table any more; NULL: it is not the table's. */
struct table *table_new(void (*drop)(void *thing));
struct table *table_free(struct table *t);

/* NULL: none of that name. */
void *table_get(const struct table *t, const char *name);

/* `thing` NULL: none from now on. On success it is the table's. -ENOMEM. */
int table_set(struct table *t, const char *name, void *thing);

void table_commit(struct table *t);
void table_rollback(struct table *t);

/* Stops at the first nonzero of `each`, and returns it. */
int table_each(const struct table *t, int (*each)(void *arg, const char *name, void *thing),
               void *arg);

#endif
