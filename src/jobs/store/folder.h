/*
 * F2. Folders in which something is kept.
 */
#ifndef JOBS_STORE_FOLDER_H
#define JOBS_STORE_FOLDER_H

#include "base/err.h"

/* Makes the folder when it is missing, and those above it, for its owner alone, and syncs what it has made. *ret_fd is
 * the caller's. -errno with a sentence. */
int folder_make(const char *path, int *ret_fd, struct err *err);

#endif
