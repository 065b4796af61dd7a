/*
 * F3, behind the wall. The parameters of one task, read from the bytes that ipc/description.h lays
 * out, by the declarations of its kernel. Uses base, ipc and the ABI. One worker.
 */
#ifndef WORKER_PARAMS_H
#define WORKER_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "prong/kernel.h"

struct params_value {
    int64_t integer; /* PRONG_INT, or the index of a PRONG_CHOICE */
    double real;
    const char
        *text; /* PRONG_TEXT, PRONG_JSON: lies in the task's bytes; or a word of the declaration */
};

struct params {
    uint32_t count;
    struct params_value values[PRONG_PARAMS_MAX];
};

/* prong has checked the bounds; a kernel relies on them for its memory's sake, so they are checked
 * again. -EPROTO for a value out of bounds, or for bytes that do not end where the last parameter
 * does. */
int params_read(const struct prong_kernel *k, struct prong_buf encoded, struct params *ret);

#endif
