/*
 * F3. The files under www/: small ones are kept as ready answers, and looked at again once a second; larger
 * ones are sent from the file. Each pool thread keeps its own: shared ones would need a lock and a count,
 * which on the fastest answers of all cost more than the memory.
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
    STATIC_CACHED_FILES_MAX = 64,       /* by each thread */
};

struct static_files; /* the directory; any thread */
struct static_cache; /* what one thread keeps */
struct static_file;

int static_files_new(struct static_files **ret, const char *directory, struct err *err);
struct static_files *static_files_free(struct static_files *files);

/* NULL without memory. The files must outlive it. */
struct static_cache *static_cache_new(const struct static_files *files);
struct static_cache *static_cache_free(struct static_cache *cache);

/* Whether the path names a file. */
bool static_exists(const struct static_files *files, const struct request *r);

/* Answers a GET or HEAD, with r->response or with r->file, which is good until the next call with this
 * cache. False when there is no such file; r is as before. */
bool static_answer(struct static_cache *cache, struct request *r);

/* The kept answer for this status: 200 or 304. */
struct MHD_Response *static_file_response(const struct static_file *file, unsigned status);

#endif
