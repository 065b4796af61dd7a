/*
 * F3, http's own. Names, types and validators of static files: texts only, no file is touched.
 */
#ifndef HTTP_STATIC_NAME_H
#define HTTP_STATIC_NAME_H

#include <stdbool.h>
#include <time.h>

enum { STATIC_NAME_BYTES = 1024 };

/* The i-th name, below www/, that a decoded path may stand for: "/" is "index.html", "/x" is "x", then
 * "x.html". False when there is no further one, or none that may be served. */
bool static_name(const char *path, const char *target, unsigned i, char out[STATIC_NAME_BYTES]);

/* Whether the path as it came hides no '/' in an escape. */
bool static_path_is_plain(const char *target);

/* The media type, by the name's ending. */
const char *static_type(const char *name);

/* Whether If-None-Match names this tag; compared weakly. */
bool static_etag_matches(const char *if_none_match, const char *etag);

/* Whether `modified` is at or before the HTTP date; false when that is none. */
bool static_is_not_after(time_t modified, const char *http_date);

#endif
