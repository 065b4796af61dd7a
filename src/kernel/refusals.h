/*
 * F2, behind the wall. Files that were to be kernels and are none, with the reason: each is logged, and
 * the first PROTO_REFUSALS_MAX are kept to be told to prong. Uses base and ipc. Only the zygote.
 */
#ifndef KERNEL_REFUSALS_H
#define KERNEL_REFUSALS_H

#include <stdint.h>

#include "ipc/proto.h"

struct refusal {
    char *file, *reason; /* owned; at most PROTO_REFUSED_FILE_MAX and PROTO_REFUSED_REASON_MAX */
};

struct refusals {
    struct refusal all[PROTO_REFUSALS_MAX];
    uint32_t count;
};

/* A folder_refuse; `refusals` is a struct refusals. Texts too long are cut. */
void refusals_add(void *refusals, const char *file, const char *reason);

void refusals_release(struct refusals *r);

#endif
