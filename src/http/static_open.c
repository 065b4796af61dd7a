#include "http/static_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/check.h"

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool static_version_equal(const struct static_version *a, const struct static_version *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

/* O_NONBLOCK: a pipe would wait for its other end. */
static int open_beneath(int directory, const char *name)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, directory, name, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

int static_open_directory(const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int probe;

    if (fd < 0)
        return err_set(err, -errno, "cannot open the directory %s: %s", path, strerror(errno));
    probe = open_beneath(fd, ".");
    if (probe < 0)
        return err_set(err, probe, "cannot serve files from %s: openat2 failed: %s", path,
                       strerror(-probe));
    (void)close(probe);
    return take_fd(&fd);
}

int static_open(int directory, const char *name, struct static_version *ret)
{
    CLEANUP_FD int fd = open_beneath(directory, name);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -ENOENT;
    *ret = (struct static_version) {.device = st.st_dev,
                                    .inode = st.st_ino,
                                    .bytes = st.st_size,
                                    .modified = st.st_mtim,
                                    .changed = st.st_ctim};
    return take_fd(&fd);
}

bool static_is_shortage(int rc)
{
    switch (rc) {
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -EAGAIN:
    case -EINTR:
    case -EIO:
        return true;
    default:
        return false;
    }
}
