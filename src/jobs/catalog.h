/*
 * F2. The kernels that the workers offer, as the server knows them.
 *
 * Kernels are added, never removed, so a pointer to one stays valid as long as the catalog; their number is
 * bounded by PROTO_KERNELS_MAX. Names and descriptions of one name never change while the server runs.
 * Whether a kernel is there, and under which index, follows each new zygote; those members are atomic,
 * the rest is written before the kernel is published by `count`. Any thread reads; the collector writes.
 *
 * Beside them there are the files that the zygote has left out, with the reason, replaced with each new zygote.
 */
#ifndef JOBS_CATALOG_H
#define JOBS_CATALOG_H

#include <stdatomic.h>

#include "ipc/description.h"
#include "ipc/proto.h"
#include "thread/lock.h"

struct kernel {
    struct description *about; /* owned */
    unsigned place;            /* in the catalog, for tables beside it */
    _Atomic int index;         /* in TASK frames; -1 while the workers do not have it */
};

struct catalog_refusal {
    char *file, *reason; /* owned */
};

struct catalog {
    struct kernel *kernels[PROTO_KERNELS_MAX];
    _Atomic unsigned count;
    struct lock lock; /* of what follows */
    struct catalog_refusal refusals[PROTO_REFUSALS_MAX];
    unsigned refusal_count;
};

void catalog_init(struct catalog *c);
void catalog_release(struct catalog *c);

/* A new set of workers comes up: none of the kernels is there until catalog_add says so, and no file is refused. */
void catalog_begin(struct catalog *c);

/* `about` is taken. The same name and version again updates the index; another version under a known name
 * is -EEXIST; -ENOSPC when full. */
int catalog_add(struct catalog *c, struct description *about, int index);

/* A file that offers no kernel, and why; both are copied. -ENOSPC when there are PROTO_REFUSALS_MAX, -ENOMEM. */
int catalog_refuse(struct catalog *c, const char *file, const char *reason);

/* Tells each such file, in the order in which they came, under the catalog's lock. */
void catalog_tell_refusals(struct catalog *c,
                           void (*tell)(void *arg, const char *file, const char *reason),
                           void *arg);

/* NULL when there is none of this name. */
struct kernel *catalog_find(const struct catalog *c, const char *name);

#endif
