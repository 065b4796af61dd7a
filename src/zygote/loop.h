/*
 * F4, behind the wall. The zygote's life after READY: FORK and KILL come in, FORKED and EXITED go
 * out. Allocates nothing and logs nothing per worker. Uses worker, kernel, ipc and base.
 */
#ifndef ZYGOTE_LOOP_H
#define ZYGOTE_LOOP_H

#include "kernel/registry.h"

enum { ZYGOTE_EXIT_DONE = 0, ZYGOTE_EXIT_PROTOCOL = 70 };

struct zygote_config {
    const struct registry *registry; /* every child's, copy-on-write */
    int control_fd;                  /* to prong */
    int reap_fd;                     /* of reap_open */
    int log_level;                   /* enum log_level; the workers' */
    uint64_t worker_bytes_max;       /* that kernels may allocate in a worker; 0: no limit */
};

/* Serves until prong is gone (ZYGOTE_EXIT_DONE) or breaks the protocol (ZYGOTE_EXIT_PROTOCOL, after
 * one line in the log). All workers have been killed and waited for when it returns. Frames out
 * wait until prong reads them; prong always does. */
int zygote_run(const struct zygote_config *config);

#endif
