#include "kernel/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/err.h"
#include "ipc/description.h"

typedef const struct prong_kernel *plugin_entry_fn(uint32_t abi_major, uint32_t abi_minor);

int plugin_check_owner(const char *path, const struct stat *st, uid_t self, struct err *err)
{
    if (st->st_uid != 0 && st->st_uid != self)
        return err_set(err, -EPERM, "%s belongs to user %u; it must be root's or user %u's.", path,
                       (unsigned)st->st_uid, (unsigned)self);
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return err_set(err, -EPERM,
                       "%s can be written by others (mode %04o); run chmod go-w on it.", path,
                       (unsigned)st->st_mode & 07777u);
    return 0;
}

static int check_file(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_set(err, -ENOEXEC, "%s cannot be read: %s.", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, -ENOEXEC, "%s is not a file.", path);
    return plugin_check_owner(path, &st, geteuid(), err);
}

static int ask_entry(const char *path, void *handle, const struct prong_kernel **ret,
                     struct err *err)
{
    void *symbol = dlsym(handle, "prong_kernel_entry");
    plugin_entry_fn *entry;

    if (symbol == NULL)
        return err_set(err, -ENOEXEC, "%s exports no prong_kernel_entry.", path);
    /* ISO C has no cast from an object's address to a function's; POSIX says the bytes are the
     * same. */
    memcpy(&entry, &symbol, sizeof(entry));
    *ret = entry(PRONG_ABI_MAJOR, PRONG_ABI_MINOR);
    if (*ret == NULL)
        return err_set(err, -ENOEXEC, "%s declines this host's kernel ABI %u.%u.", path,
                       PRONG_ABI_MAJOR, PRONG_ABI_MINOR);
    return 0;
}

static void set_step(volatile uint32_t *step, enum plugin_step to)
{
    if (step != NULL)
        *step = to;
}

int plugin_open(const char *path, struct plugin *ret, volatile uint32_t *step, struct err *err)
{
    int rc = check_file(path, err);

    return rc < 0 ? rc : plugin_load(path, ret, step, err);
}

int plugin_load(const char *path, struct plugin *ret, volatile uint32_t *step, struct err *err)
{
    const struct prong_kernel *k = NULL;
    void *handle;
    int rc;

    set_step(step, PLUGIN_LOAD);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return err_set(err, -ENOEXEC, "It cannot be loaded: %s.", dlerror());
    set_step(step, PLUGIN_ENTRY);
    rc = ask_entry(path, handle, &k, err);
    set_step(step, PLUGIN_CHECK);
    if (rc == 0)
        rc = description_check(k, err);
    if (rc < 0) {
        (void)dlclose(handle);
        return rc;
    }
    *ret = (struct plugin) {.handle = handle};
    memcpy(&ret->kernel, k, MIN((size_t)k->size, sizeof(ret->kernel)));
    return 0;
}

void plugin_release(struct plugin *p)
{
    if (p->handle != NULL)
        (void)dlclose(p->handle);
    *p = (struct plugin) {0};
}
