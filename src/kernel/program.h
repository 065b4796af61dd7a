/*
 * F2, behind the wall. A program: an executable in any language that offers kernels, and all that the
 * zygote needs to start it. Plain data that lives as long as the registry; read by the zygote, and by
 * workers, who share it copy-on-write. Uses nothing.
 */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program {
    const char *name;        /* for log lines: that of its file, without the ending */
    const char *const *argv; /* NULL at the end; may hold {parameter} when it runs once */
    bool runs_once;          /* a process for each task, its input and answer by standard streams; else it
                                speaks frames on descriptor 3 */
    const char *const *env;  /* "NAME=value", NULL at the end */
    uint32_t copies;         /* processes at once, at most; 0: one for each worker that wants one */
    uint64_t start_ns;       /* from its start until READY */
    uint64_t memory_bytes;   /* of address space; 0: no limit */
    uint64_t cpu_s;          /* of one process's life; 0: no limit */
    bool network, threads;   /* what it may have besides */
    const char *const *read; /* absolute paths that it may read besides the usual, NULL at the end */
};

#endif
