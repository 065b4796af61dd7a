/*
 * F2, behind the wall. What a program says of its kernels in READY, as kernels. The text is not
 * trusted: bounded, read strictly, and every member that is not known, not of its type or not within
 * its bounds is a reason to refuse all of it. Uses base, ipc, the ABI and jansson.
 */
#ifndef KERNEL_DESCRIBE_H
#define KERNEL_DESCRIBE_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/declared.h"

struct err;

enum {
    DESCRIBE_BYTES_MAX = 1 << 20,
    DESCRIBE_KERNELS_MAX = 64, /* of one program */
};

/* The kernels of READY's JSON, each to be freed with declared_free; 0 of them for {}. All have passed
 * declared_check. -EINVAL with a sentence that says which member is wrong and what it should be. */
int describe_read(const char *json, size_t bytes, struct declared *ret[DESCRIBE_KERNELS_MAX],
                  uint32_t *ret_count, struct err *err);

#endif
