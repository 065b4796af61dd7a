#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "base/check.h"

int fd_read_file(const char *path, char *out, size_t capacity)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, out, capacity - 1);
    if (n < 0)
        return -errno;
    out[n] = '\0';
    return (int)n;
}

ssize_t fd_read_from_start(int fd, void *out, size_t capacity)
{
    size_t done = 0;

    while (done < capacity) {
        ssize_t n = pread(fd, (char *)out + done, capacity - done, (off_t)done);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

size_t fd_limit_raise(size_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = MIN((rlim_t)wanted, limit.rlim_max);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return (size_t)limit.rlim_cur;
}
