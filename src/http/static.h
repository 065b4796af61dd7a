/*
 * F3. The files under www/, for GET and HEAD.
 *
 * Which: regular files below the directory; no symbolic link, no name that begins with a dot. "/" is index.html, "/x" is
 * "x" or "x.html"; "/dir" with an index.html in it leads to "/dir/" by 308.
 *
 * Compressed: beside "name" may lie "name.br" and "name.gz", which are chosen by Accept-Encoding. One that is older
 * than "name", by whole seconds, is ignored: it is of an earlier version. All answers about a file that has them
 * vary with Accept-Encoding. Both can also be asked for by name, and are then what they are.
 *
 * Validators: ETag is strong, and each form has its own: it is made of the times of modification and of change, in
 * nanoseconds, and of the length. So it differs between machines. Last-Modified is the form's own; where several
 * forms share one date, a date alone matches nothing. Conditions are judged in the order of RFC 9110, 13.2.2.
 *
 * Range: one range is served; several are answered with the whole, as are malformed ones.
 *
 * Cache-Control: "no-cache" (keep it, and ask whether it is still good); a year for names with a hash of the
 * content in them (static_name_has_hash), but never for pages.
 *
 * Speed: each pool thread keeps ready answers for STATIC_KEPT_PATHS paths, and looks at the files again once a second:
 * shared ones would need a lock and a count, which on the fastest answers of all cost more than the memory. Files of
 * up to STATIC_MEMORY_BYTES_MAX are kept in memory; larger ones are sent from what the system has cached of them, and
 * their kept answers have them open, which costs less CPU than either copying them (above 32 KiB) or opening them for
 * each request. The bounds, for each thread: STATIC_KEPT_PATHS files of three forms of STATIC_MEMORY_BYTES_MAX in
 * memory, 6 MiB, if that many are asked for; STATIC_KEPT_FDS open files. Beyond those, and while none of them has got
 * cold, a large file is opened for each request.
 *
 * Files must be replaced by rename: one that is cut short while it is sent leaves its client with less.
 */
#ifndef HTTP_STATIC_H
#define HTTP_STATIC_H

#include "base/err.h"
#include "http/request.h"

enum {
    STATIC_MEMORY_BYTES_MAX = 32 << 10,
    STATIC_KEPT_PATHS = 64,
    STATIC_KEPT_FDS = 16,
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
 * cache; with 503 when a file may be there but cannot be opened for want of memory or descriptors, and is not
 * kept. False when there is no such file; r is as before. */
bool static_answer(struct static_cache *cache, struct request *r);

/* The kept answer for this status: 200 or 304. */
struct MHD_Response *static_file_response(struct static_file *file, unsigned status);

#endif
