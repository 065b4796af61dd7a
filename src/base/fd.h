/*
 * Ground floor. File descriptors: every one is close-on-exec from birth.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* Reads a small file such as those of /proc and /sys into `out`, NUL-terminated and cut at
 * capacity - 1. The bytes read, or negative errno. */
int fd_read_file(const char *path, char *out, size_t capacity);

/* Reads from the start of a regular file, wherever its offset is, until `out` is full or the file ends. The bytes read,
 * or negative errno. */
ssize_t fd_read_from_start(int fd, void *out, size_t capacity);

/* Raises the soft limit of open files to at least `wanted` if the hard limit allows. What it is now. */
size_t fd_limit_raise(size_t wanted);

#endif
