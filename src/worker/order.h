/*
 * F3, behind the wall. What one TASK frame asks for, checked to the last byte, with its areas
 * found: behind the frame or in a slab. prong is trusted to mean well, not to be free of bugs: a
 * frame that is not sound ends the worker before a kernel sees it. Uses kernel, ipc and base. One
 * worker.
 */
#ifndef WORKER_ORDER_H
#define WORKER_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"
#include "kernel/registry.h"
#include "worker/params.h"
#include "worker/slabs.h"

struct err;

/* The parts of a COMBINE or FINISH, taken from the left; `at` moves on. */
struct order_parts {
    const uint64_t *sizes;
    const char *at;
    uint32_t left;
};

/* Points into the frame and the slabs; valid until the next order is read. */
struct order {
    const struct proto_task *frame;
    const struct registry_kernel *kernel;
    struct prong_buf input; /* aligned to PROTO_ALIGN; never NULL */
    struct order_parts parts;
    struct params params;
};

/* Checks a received frame of `got` bytes, aligned to PROTO_ALIGN, and maps the slabs whose
 * descriptors came with it. All of `fds` are closed, whatever happens. -EPROTO with a sentence for
 * anything unsound, or negative errno when a slab cannot be mapped. */
int order_read(struct order *o, const void *frame, size_t got, const int *fds, size_t fd_count,
               struct slabs *slabs, const struct registry *registry, struct err *err);

/* The next part; only while `left` is not 0. */
struct prong_buf order_next_part(struct order_parts *parts);

#endif
