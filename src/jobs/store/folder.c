#include "jobs/store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"

static int open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A folder is on the disk when the one above it is. */
static int sync_above(const char *path)
{
    char above[PATH_MAX];
    char *slash;
    CLEANUP_FD int fd = -1;

    (void)snprintf(above, sizeof(above), "%s", path);
    slash = strrchr(above, '/');
    if (slash == NULL)
        (void)snprintf(above, sizeof(above), ".");
    else
        slash[slash == above ? 1 : 0] = '\0';
    fd = open_folder(above);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_one(const char *path)
{
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    return sync_above(path);
}

static int make_all(const char *path)
{
    char part[PATH_MAX];
    int rc = 0;

    if (strlen(path) >= sizeof(part))
        return -ENAMETOOLONG;
    (void)snprintf(part, sizeof(part), "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL && rc == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = make_one(part);
        *slash = '/';
    }
    return rc < 0 ? rc : make_one(part);
}

int folder_make(const char *path, int *ret_fd, struct err *err)
{
    int fd = open_folder(path);
    int rc = 0;

    if (fd < 0 && errno == ENOENT) {
        rc = make_all(path);
        if (rc == 0)
            fd = open_folder(path);
    }
    if (rc == 0 && fd < 0)
        rc = -errno;
    if (rc < 0)
        return err_set(err, rc,
                       "Cannot keep data in %s: %s; make this folder writable, or choose another "
                       "with --data.",
                       path, strerror(-rc));
    *ret_fd = fd;
    return 0;
}
