/*
 * Above the zygote's parts. The rules of the protocol, each as one case that a program passes or fails.
 */
#ifndef CHECK_CASES_H
#define CHECK_CASES_H

#include "check/bench.h"

struct check_case {
    const char *name; /* what a good program does */
    /* 0: it does; -1: it does not, 1: it cannot be told; the bench knows why. The kernel is NULL when the
     * case is about none. */
    int (*run)(struct bench *b, const struct prong_kernel *k);
};

/* In this order: of a kernel, of any program, of its end. */
extern const struct check_case check_kernel_cases[], check_frame_cases[], check_end_cases[];
extern const size_t check_kernel_case_count, check_frame_case_count, check_end_case_count;

#endif
