/*
 * F3, behind the wall. What a manifest allows the tasks of a shared object, in a worker that runs those
 * of others too: soft limits, set before such a task and lifted after it. Uses kernel and base. One
 * worker.
 */
#ifndef WORKER_LIMITS_H
#define WORKER_LIMITS_H

#include <stdint.h>
#include <sys/resource.h>

#include "kernel/manifest.h"

struct limits {
    struct rlimit data, cpu; /* as they were */
};

/* Until limits_lift, what the worker allocates may be `l->memory_bytes` more than now (above, there is
 * no memory to be had), and it may compute for `l->cpu_s` more (above, SIGXCPU ends it). `statm_fd` is
 * of /proc/self/statm, `cpu_ns` what it has computed already. For NULL nothing is done. */
void limits_set(struct limits *was, const struct manifest_limits *l, int statm_fd, uint64_t cpu_ns);
void limits_lift(const struct limits *was, const struct manifest_limits *l);

/* The bytes that count as data, by the text of statm; 0 when it is none. */
uint64_t limits_data_bytes(const char *statm, uint64_t page_bytes);

#endif
