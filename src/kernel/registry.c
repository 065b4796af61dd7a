#include "kernel/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "ipc/description.h"
#include "kernel/plugin.h"

static bool has_name(const struct registry *r, const char *name)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (strcmp(r->kernels[i].kernel.name, name) == 0)
            return true;
    }
    return false;
}

int registry_add(struct registry *r, const struct prong_kernel *k, const struct prong_host *host,
                 struct err *err)
{
    struct registry_kernel *slot;
    int rc;

    if (r->count == PROTO_KERNELS_MAX)
        return err_set(err, -ENOSPC, "There are %d kernels already.", PROTO_KERNELS_MAX);
    if (has_name(r, k->name))
        return err_set(err, -EEXIST, "There is a kernel called %s already.", k->name);
    rc = description_check_fits(k, err);
    if (rc < 0)
        return rc;
    slot = &r->kernels[r->count];
    *slot = (struct registry_kernel) {.kernel = *k};
    if (k->init != NULL && k->init(host, &slot->state) != 0)
        return err_set(err, -EINVAL, "The init of kernel %s failed.", k->name);
    r->count++;
    return 0;
}

static int is_shared_object(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_one(struct registry *r, const char *path, bool with_fault,
                    const struct prong_host *host, struct err *err)
{
    struct plugin p = {0};
    int rc;

    log_debug("loading %s", path);
    rc = plugin_open(path, &p, err);
    if (rc < 0)
        return rc;
    if (!with_fault && strcmp(p.kernel.name, "fault") == 0) {
        plugin_release(&p);
        log_debug("kernel fault is left out: --enable-fault-kernel was not given");
        return 0;
    }
    /* A kernel whose init failed stays loaded: what it registered may point into it. */
    return registry_add(r, &p.kernel, host, err);
}

/* The directory, if nobody else can put code into it. */
static int open_dir(const char *dir, struct err *err)
{
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = -errno;
        return err_set(err, rc, "The kernels' directory %s cannot be read: %s.", dir,
                       strerror(errno));
    }
    rc = plugin_check_owner(dir, &st, geteuid(), err);
    return rc < 0 ? rc : take_fd(&fd);
}

int registry_load(struct registry *r, const char *dir, bool with_fault,
                  const struct prong_host *host, struct err *err)
{
    CLEANUP_FD int fd = open_dir(dir, err);
    struct dirent **entries = NULL;
    int count;

    if (fd < 0)
        return fd;
    count = scandirat(fd, ".", &entries, is_shared_object, by_name);
    if (count < 0) {
        int error = errno;
        return err_set(err, -error, "The kernels' directory %s cannot be read: %s.", dir,
                       strerror(error));
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct err why;
        int n = snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
        if (n < 0 || (size_t)n >= sizeof(path))
            log_error("kernel %s is left out: its path is too long", entries[i]->d_name);
        else if (load_one(r, path, with_fault, host, &why) < 0)
            log_error("kernel %s is left out: %s", entries[i]->d_name, why.text);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

void registry_break(struct registry *r, uint32_t index, const char *sentence)
{
    CHECK(index < r->count);
    if (r->kernels[index].broken == NULL)
        r->kernels[index].broken = strndup(sentence, DESCRIPTION_TEXT_MAX);
}

const struct registry_kernel *registry_get(const struct registry *r, uint32_t index)
{
    return index < r->count ? &r->kernels[index] : NULL;
}

void registry_release(struct registry *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        free(r->kernels[i].broken);
    r->count = 0;
}
