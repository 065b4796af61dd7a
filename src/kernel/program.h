/*
 * F2, behind the wall. A program: an executable in any language that offers kernels, and all that the
 * zygote needs to start it. Plain data that lives as long as the registry; read by the zygote, and by
 * workers, who share it copy-on-write. Uses base and the manifest.
 */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/manifest.h"

struct program {
    const struct manifest *manifest; /* the caller's */
    const char *dir;                 /* absolute, of its manifest: where it runs; the caller's */
    const char *name;                /* for log lines: that of its file, without the ending */
    const char *path;                /* absolute, of what is executed */
    const char *const *argv;         /* NULL at the end; holds {parameter} when it runs once */
    const char *hosting[3];          /* … when it hosts a library */
    bool runs_once;    /* a process for each task, its input and answer by standard streams; else it
                         speaks frames on descriptor 3 */
    const char **env;  /* "NAME=value", NULL at the end; owned */
    char *python_path; /* … of which one; owned */
    uint32_t copies;   /* processes at once, at most; 0: one for each worker that wants one */
    uint64_t start_ns; /* from its start until READY */
};

/* From a manifest in `dir` that names one; both must outlive it. `sdk`: a folder for PYTHONPATH; NULL: none.
 * `host`: the program that a library is given to, "prong-host LIBRARY"; it outlives this too. NULL when
 * there is no memory. */
struct program *program_new(const struct manifest *m, const char *dir, const char *sdk,
                            const char *host);
struct program *program_free(struct program *p);

#endif
