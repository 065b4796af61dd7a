/*
 * F2, behind the wall. One shared object that may be a kernel: finds it, judges it, never calls
 * into it beyond its entry. Uses base, ipc/description and the ABI; knows nothing of the registry's
 * names and indices, of workers or of frames. Only prong-zygote calls this, before its first fork.
 */
#ifndef KERNEL_PLUGIN_H
#define KERNEL_PLUGIN_H

#include <sys/types.h>

#include "prong/kernel.h"

struct err;
struct stat;

struct plugin {
    void *handle;               /* of dlopen; owned */
    struct prong_kernel kernel; /* copied as far as its own size says; absent members are 0 */
};

/* Code that is to run as us must be ours or root's, and writable by nobody else. -EPERM with a
 * sentence that names `path`. */
int plugin_check_owner(const char *path, const struct stat *st, uid_t self, struct err *err);

/* Where a kernel is on its way in: what was being done when it crashed. */
enum plugin_step {
    PLUGIN_LOAD = 0, /* its constructors run */
    PLUGIN_ENTRY,
    PLUGIN_CHECK, /* what it declares is read */
    PLUGIN_INIT,
    PLUGIN_SELFTEST,
    PLUGIN_PASSED,
};

/* Loads the shared object at `path` and asks its entry. On success the caller releases `ret`, or
 * keeps it for ever. -EPERM for its owner or mode, -ENOEXEC when it cannot be loaded, has no entry
 * or declines this host, -EINVAL when its declaration is not sound; always with a sentence. `step`, which may be NULL, is set to the enum plugin_step before each. */
int plugin_open(const char *path, struct plugin *ret, volatile uint32_t *step, struct err *err);

/* The same, whoever owns the file: for a process that has given up its own user, after the one who
 * started it has judged the file. */
int plugin_load(const char *path, struct plugin *ret, volatile uint32_t *step, struct err *err);

/* Unloads it. Never after its init succeeded: what it left behind may point into it. */
void plugin_release(struct plugin *p);

#endif
