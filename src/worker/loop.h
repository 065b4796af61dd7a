/*
 * F3, behind the wall. The life of a worker: take a task from the intake, run it, answer, until it
 * retires or prong is gone. Uses kernel, ipc and base; nothing of the zygote but the numbers handed
 * over here. Runs in a child that was forked for it, alone and with one thread.
 */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include <sys/types.h>

#include "ipc/proto.h"
#include "kernel/registry.h"

struct worker_config {
    const struct registry *registry;
    const struct proto_fork *fork; /* the frame: limits and niceness */
    int fds[PROTO_FORK_FD_COUNT];
    int spawn_fd;  /* to ask the zygote for programs; -1: there are none */
    pid_t parent;  /* the zygote */
    int log_level; /* enum log_level */
};

/* Enters the sandbox and works. Ends the process: PROTO_EXIT_RETIRED between two tasks, when prong
 * or the zygote is gone or a limit is reached; PROTO_EXIT_SETUP, after one line in the log, when
 * what it was given is unsound: a descriptor, a slab, a frame. Anything else is a kernel's doing.
 * */
_Noreturn void worker_run(const struct worker_config *config);

#endif
