/*
 * F3. The request target as it came: libmicrohttpd decodes it before a handler sees it ("/a%2fb" becomes
 * "/a/b", "%00" cuts it), so what decides is taken from the raw text.
 */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include <stddef.h>
#include <sys/types.h>

enum { TARGET_PATH_BYTES_MAX = 8192 };

/* The path of a raw target: without the query and, in absolute-form, without scheme and authority. Its
 * bytes in *ret_bytes. "*" is itself. */
const char *target_path(const char *target, size_t *ret_bytes);

/* The authority of a raw target in absolute-form; NULL in any other form. Its bytes in *ret_bytes. */
const char *target_authority(const char *target, size_t *ret_bytes);

/* Decodes %xx into `out`, NUL-terminated. The bytes written; -EINVAL for a bad or a NUL escape, a control
 * byte or a blank; -ENOBUFS when it does not fit. */
ssize_t target_decode(const char *text, size_t bytes, char *out, size_t capacity);

#endif
