/*
 * F3. The files under www/: small ones are kept as ready answers, which all threads share, and looked at
 * again at most once a second; larger ones are sent from the file.
 *
 * Only regular files below the directory are served: no symbolic link, no name that begins with a dot. Files
 * must be replaced by rename: one that is cut short while it is sent leaves its client with less.
 */
#ifndef HTTP_STATIC_H
#define HTTP_STATIC_H

#include "base/err.h"
#include "http/request.h"

enum {
    STATIC_CACHED_BYTES_MAX = 64 << 10, /* a larger file is not kept */
    STATIC_CACHED_FILES_MAX = 256,
};

struct static_files;
struct static_file;

/* Opens the directory. */
int static_files_new(struct static_files **ret, const char *directory, struct err *err);
struct static_files *static_files_free(struct static_files *files);

/* Whether the path names a file. */
bool static_exists(struct static_files *files, const struct request *r);

/* Answers a GET or HEAD, with r->file (a hold that static_file_release lets go) or with r->response. False
 * when there is no such file; r is as before. */
bool static_answer(struct static_files *files, struct request *r);

/* The shared answer for this status: 200 or 304. */
struct MHD_Response *static_file_response(const struct static_file *file, unsigned status);
void static_file_release(const struct static_file *file);

#endif
