/*
 * F3, http's own. Opening what lies beneath a directory: regular files only, and never through a symbolic link.
 */
#ifndef HTTP_STATIC_OPEN_H
#define HTTP_STATIC_OPEN_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/err.h"

/* A file as it was when we looked. A new file under the same name differs from it, and so does one that was written
 * to, even when its time of modification was set back. */
struct static_version {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec modified, changed;
};

bool static_version_equal(const struct static_version *a, const struct static_version *b);

/* A descriptor of the directory, once it is known that files in it can be opened; negative errno. */
int static_open_directory(const char *path, struct err *err);

/* A descriptor of the file; -EISDIR for a directory, -ENOENT and others when there is no such file, or what
 * static_is_shortage knows. */
int static_open(int directory, const char *name, struct static_version *ret);

/* Whether it is for want of something that a file could not be opened: it may be there. */
bool static_is_shortage(int rc);

#endif
