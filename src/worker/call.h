/*
 * F3, behind the wall. The JSON of a JOB frame: what a program is asked to do, from the task's frame, its
 * parameters and the declaration of its kernel. Uses kernel, ipc and base; pure.
 */
#ifndef WORKER_CALL_H
#define WORKER_CALL_H

#include "base/buf.h"
#include "worker/order.h"

enum { CALL_PARTS_MAX = 2 };

struct call {
    const char *op; /* run, plan, map, combine, finish */
    bool has_range; /* of map */
    uint64_t lo, hi;
    const struct prong_buf *parts;
    size_t part_count; /* at most CALL_PARTS_MAX */
};

/* Writes it into `b`, which is cleared first. -ENOMEM. */
int call_write(struct buf *b, const struct order *o, const struct call *call, uint64_t now_ns);

/* Parameter `i` as the text that a person would write. `scratch` is used for numbers; *ret_bytes is its
 * length. */
const char *call_param_text(const struct order *o, uint32_t i, char scratch[40], size_t *ret_bytes);

#endif
