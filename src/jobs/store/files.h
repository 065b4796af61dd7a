/*
 * F2. Inputs and results that are too large for a row: one file each, kept in step with a transaction.
 *
 * A file is whole and on the disk before the row that tells of it is committed, and goes after the commit that forgets
 * it: a crash between the two leaves a file that nobody knows, never a row without its file. Such files are swept
 * at the next start. The engine's thread does all but files_open_one.
 */
#ifndef JOBS_STORE_FILES_H
#define JOBS_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The bits are in databases. */
enum files_kind { FILES_INPUT = 1, FILES_RESULT = 2 };

struct files;

/* `owner` tells the files of one database from those of another in the same folder, which is made when it is missing.
 * -errno with a sentence. */
int files_new(struct files **ret, const char *folder, uint64_t owner, struct err *err);
struct files *files_free(struct files *f);

/* -ENOSPC, -EROFS, -ENOMEM, -EIO; -ESHUTDOWN: a sync failed. Nothing is left behind then. */
int files_write(struct files *f, enum files_kind kind, uint64_t seq, const void *data,
                size_t bytes);

/* It goes with the commit. -ENOMEM. */
int files_forget(struct files *f, enum files_kind kind, uint64_t seq);

/* Before the rows are committed: that the files are in their folder is on the disk. -ESHUTDOWN. */
int files_sync(struct files *f);

/* After the rows are committed, or have been rolled back. */
void files_commit(struct files *f);
void files_rollback(struct files *f);

/* A commit has failed, and its rows may be on the disk all the same, so their files stay until the next commit: that one
 * makes sure that they are not. */
void files_doubt(struct files *f);

/* From any thread: *ret_fd is the caller's, at the start of the file, whose size is *ret_bytes. -ENOENT, -EIO,
 * -ENOMEM. */
int files_open_one(const struct files *f, enum files_kind kind, uint64_t seq, int *ret_fd,
                   size_t *ret_bytes);

/* Removes what `is_known` does not know; a negative number from it ends the sweep and is returned. How many went. */
int files_sweep(struct files *f, int (*is_known)(void *arg, enum files_kind kind, uint64_t seq),
                void *arg);

#endif
