/*
 * F2, behind the wall. The kernels' directory: which files in it offer kernels, with their manifests.
 * Opens no shared object and starts no program. Uses base, ipc and the ABI. Only the zygote reads it,
 * before its first fork.
 */
#ifndef KERNEL_FOLDER_H
#define KERNEL_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/arena.h"
#include "kernel/manifest.h"

struct err;

enum { FOLDER_FILES_MAX = 512 };

/* Told of each file that is left out: its name within the directory, and why, one sentence. */
typedef void folder_refuse(void *arg, const char *file, const char *why);

struct folder_entry {
    const char *file;          /* its name: x.so, x.kernel, x.py */
    struct manifest *manifest; /* owned. Of a shared object: MANIFEST_LIMITS, or NULL */
    bool is_shared_object;     /* that workers load themselves; else a program of `manifest` */
};

struct folder {
    char dir[PATH_MAX]; /* absolute */
    /* The shared objects by name, then the programs by name. */
    struct folder_entry entries[FOLDER_FILES_MAX];
    uint32_t count;
    struct arena arena;
};

/* Reads the directory. A shared object is left out without a word when a manifest makes it a library
 * with a process of its own, a script when a manifest names it; with one, when the manifest of the same
 * name was refused. -EPERM when others could write into `dir`, or the errno of reading it, with a
 * sentence. Release `ret` in either case; workers may look at it as long as it lives. */
int folder_read(const char *dir, struct folder *ret, folder_refuse *refuse, void *arg,
                struct err *err);

void folder_release(struct folder *f);

#endif
