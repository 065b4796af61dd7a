/*
 * F3, http's own, pure. Which names under www/ a path stands for: texts only, no file is touched.
 */
#ifndef HTTP_STATIC_NAME_H
#define HTTP_STATIC_NAME_H

#include <stdbool.h>

enum { STATIC_NAME_BYTES = 1024 };

/* The i-th name, below www/, that a decoded path may stand for: "/" is "index.html", "/x" is "x", then
 * "x.html". False when there is no further one, or none that may be served. */
bool static_name(const char *path, const char *target, unsigned i, char out[STATIC_NAME_BYTES]);

/* Whether the path as it came hides no '/' in an escape. */
bool static_path_is_plain(const char *target);

/* Whether the name carries a hash of the content, so that the content under it never changes: before its last '.', behind
 * '.', '-', '_' or nothing, and up to a '.', stand 8, 16, 20, 32, 40 or 64 lower-case hexadecimal digits, letters
 * and figures both among them. So "app.0f3a9c1e.js" and "app-0f3a9c1e.min.js" do; "uplot-1.6.31.min.js" (a version),
 * "report-20240131.csv" (a date) and the twelve digits that end a UUID do not. */
bool static_name_has_hash(const char *name);

#endif
