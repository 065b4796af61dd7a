/*
 * F4, behind the wall. Which worker sits in which slot. A fixed table; pure, no syscalls. A slot is
 * taken from FORK until its worker has been waited for; the generation tells its successive workers
 * apart.
 */
#ifndef ZYGOTE_CHILDREN_H
#define ZYGOTE_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

#include "ipc/proto.h"

struct child {
    pid_t pid; /* 0: the slot is free */
    uint64_t generation;
};

struct children {
    struct child slots[PROTO_WORKERS_MAX];
    uint32_t count;
};

/* -EPROTO for a slot that does not exist or is taken. */
int children_check_free(const struct children *c, uint32_t slot);

/* Puts a worker into a free slot. */
void children_add(struct children *c, uint32_t slot, uint64_t generation, pid_t pid);

/* The pid of the worker that is in `slot` with this generation; 0 when there is none. */
pid_t children_find(const struct children *c, uint32_t slot, uint64_t generation);

/* Takes the worker with `pid` out, telling where it was. -ESRCH for a pid that is no worker's. */
int children_remove(struct children *c, pid_t pid, uint32_t *ret_slot, uint64_t *ret_generation);

#endif
