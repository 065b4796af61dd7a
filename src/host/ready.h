/*
 * F4, behind the wall. A kernel's declaration as READY says it, the inverse of kernel/describe.h. Uses
 * kernel, the ABI and jansson.
 */
#ifndef HOST_READY_H
#define HOST_READY_H

#include "prong/kernel.h"

/* READY's JSON for one kernel, the caller's to free(); NULL without memory, or when a text is not UTF-8. */
char *ready_text(const struct prong_kernel *k);

#endif
