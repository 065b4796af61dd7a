/*
 * F3, behind the wall. When a worker has had enough: by tasks, by age, or because a kernel leaks.
 * Uses ipc and base. One worker, between tasks.
 *
 * Growth is counted in anonymous memory, so slabs that it has mapped, and the zygote's pages that
 * it shares, do not make it look like a leak.
 */
#ifndef WORKER_RETIRE_H
#define WORKER_RETIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/proto.h"
#include "ipc/shm.h"

struct retire {
    uint64_t tasks, tasks_max; /* a limit of 0 is none */
    uint64_t end_ns;           /* monotonic; CLOCK_NEVER without a limit */
    uint64_t first_bytes;      /* anonymous memory before its first task */
    uint64_t grow_bytes_max;
    int statm_fd; /* the caller's; -1 when /proc is not there */
};

void retire_init(struct retire *r, const struct proto_fork *limits, int statm_fd,
                 struct shm_page *page);

/* After each task, which ran for `run_ns` and ended at `now_ns`: whether the worker should end.
 * Looks at its memory, and publishes it, only after tasks over a millisecond and every 256th. */
bool retire_is_due(struct retire *r, struct shm_page *page, uint64_t run_ns, uint64_t now_ns);

#endif
