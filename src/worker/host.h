/*
 * F3, behind the wall. The functions behind `struct prong_host`, all that a kernel can call. Each
 * takes the ctx of a `struct task` that has begun. Uses kernel, ipc and base. One worker.
 */
#ifndef WORKER_HOST_H
#define WORKER_HOST_H

#include "prong/kernel.h"

/* The same for all kernels, for ever. */
const struct prong_host *host_table(void);

#endif
