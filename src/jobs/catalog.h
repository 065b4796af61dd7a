/*
 * F2. The kernels that the workers offer, as the server knows them.
 *
 * Kernels are added, never removed, so a pointer to one stays valid as long as the catalog; their number is
 * bounded by PROTO_KERNELS_MAX. Names and descriptions of one name never change while the server runs.
 * Whether a kernel is there, and under which index, follows each new zygote; those members are atomic,
 * the rest is written before the kernel is published by `count`. Any thread reads; the collector writes.
 */
#ifndef JOBS_CATALOG_H
#define JOBS_CATALOG_H

#include <stdatomic.h>

#include "ipc/description.h"
#include "ipc/proto.h"

struct kernel {
    struct description *about; /* owned */
    unsigned place;            /* in the catalog, for tables beside it */
    _Atomic int index;         /* in TASK frames; -1 while the workers do not have it */
    _Atomic uint64_t edition;  /* changes whenever it is loaded anew */
};

struct catalog {
    struct kernel *kernels[PROTO_KERNELS_MAX];
    _Atomic unsigned count;
};

void catalog_init(struct catalog *c);
void catalog_release(struct catalog *c);

/* A new set of workers comes up: none of the kernels is there until catalog_add says so. */
void catalog_begin(struct catalog *c);

/* `about` is taken. The same name and version again updates the index; another version under a known name
 * is -EEXIST; -ENOSPC when full. */
int catalog_add(struct catalog *c, struct description *about, int index);

/* What came of one edition says nothing about the next: the file may be another. */
static inline uint64_t kernel_edition(const struct kernel *k)
{
    return atomic_load(&k->edition);
}

/* NULL when there is none of this name. */
struct kernel *catalog_find(const struct catalog *c, const char *name);

#endif
