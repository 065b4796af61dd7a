/*
 * F3, behind the wall. What one BATCH frame asks for: several small tasks of one kernel, checked to the last byte, each with a
 * context of its own, computed by one call. Uses kernel, ipc and base. One worker.
 */
#ifndef WORKER_BATCH_H
#define WORKER_BATCH_H

#include "worker/run.h"

struct err;

struct batch {
    struct batch_member *members; /* owned; NULL before the first batch */
    uint32_t ready;               /* so many have their memory */
    uint32_t count;               /* of this batch */
    struct run_result results[PROTO_BATCH_MAX];
};

struct batch_member {
    struct order order;
    struct task task;
};

/* Checks a received frame of `got` bytes, aligned to PROTO_ALIGN, without descriptors. It must outlive the batch. -EPROTO with a
 * sentence for anything unsound. Zero the batch before the first. */
int batch_read(struct batch *b, const void *frame, size_t got, const struct registry *registry,
               struct err *err);

/* Has all of them computed; `results` are valid until batch_end. Memory and channel are as `like` has them. -ENOMEM with a
 * sentence. */
int batch_run(struct batch *b, const struct task *like, struct err *err);

/* Gives back the memory that large answers took. */
void batch_end(struct batch *b);

void batch_release(struct batch *b);

#endif
