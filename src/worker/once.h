/*
 * F3, behind the wall. A kernel that is a program which runs once: a process for each task, whose command
 * line and environment hold the parameters, whose standard input is the input, and whose standard output is
 * the answer. It says how it went by its exit code: 0 done, 75 try again, any other failed. Uses program,
 * kernel, ipc and base. One worker.
 */
#ifndef WORKER_ONCE_H
#define WORKER_ONCE_H

#include "prong/kernel.h"

/* As `map` of the kernel. */
int once_run(struct prong_ctx *ctx, uint64_t lo, uint64_t hi);

#endif
