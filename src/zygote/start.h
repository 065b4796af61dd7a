/*
 * F4, behind the wall. Starts one process of a program: the pipes, the fork, what the child gives up, and
 * exec. Uses program, kernel, sandbox and base.
 */
#ifndef ZYGOTE_START_H
#define ZYGOTE_START_H

#include <sys/types.h>

#include "kernel/registry.h"
#include "program/lend.h"

struct start_config {
    const struct registry *registry;
    pid_t zygote;
    uint64_t memory_bytes_max; /* of programs that do not say; 0: no limit */
};

/* Forks a child that becomes the program at `place`, in the directory of its manifest, with its environment and
 * nothing of ours. On success ret_fds are the caller's. The pid, or negative errno. A child that cannot become
 * it says why on its standard error, and ends with 126. */
pid_t start_program(const struct start_config *c, uint32_t place, int ret_fds[LEND_FD_COUNT]);

#endif
