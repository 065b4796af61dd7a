/*
 * F3, behind the wall. The worker's end of its channel: ANSWER frames out, ACK frames in. Uses ipc
 * and base; knows nothing of kernels. One worker.
 *
 * Sending waits while prong is slow. When prong is gone, the worker has nobody to live for and ends
 * with PROTO_EXIT_RETIRED; none of these functions returns then.
 */
#ifndef WORKER_ANSWER_H
#define WORKER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/proto.h"
#include "prong/kernel.h"

struct answer_channel {
    int fd;
    char *out; /* the out slab, mapped writable */
    size_t out_bytes;
    bool ack_due; /* prong has not said yet that it read what is in `out` */
};

/* The last frame of a task: `answer` with its kind, task and figures; the rest is filled in here.
 * Takes the slab for a result over PROTO_ANSWER_INLINE_MAX, waiting for the ACK of the one before.
 * The result fits the out slab. `media_type` may be "". */
void answer_send(struct answer_channel *c, struct proto_answer *answer, const char *media_type,
                 struct prong_buf result);

/* A part for the listener; at most PROTO_PART_MAX bytes. */
void answer_emit(struct answer_channel *c, uint64_t task, struct prong_buf part);

#endif
