/*
 * F3. The request target as it came: libmicrohttpd decodes it before a handler sees it ("/a%2fb" becomes
 * "/a/b", "%00" cuts it), so what decides is taken from the raw text.
 */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* RFC 9112, 3.2. Its fourth, the authority of CONNECT, is among the others, which are refused. */
enum target_form { TARGET_OTHER, TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_ASTERISK };

/* The parts, within the text that was split or static. `query` is what follows '?', NULL without one. */
struct target {
    enum target_form form;
    const char *authority; /* of the absolute form only */
    size_t authority_bytes;
    const char *path; /* "/" where the absolute form has none */
    size_t path_bytes;
    const char *query;
};

/* Takes a raw target apart: "/path?query", "http://authority/path?query" (or https) or "*". */
struct target target_split(const char *text);

/* Whether it has only bytes that a target may have, sound escapes, and no %00. */
bool target_is_sound(const char *text, size_t bytes);

/* Whether it is a host, by name or address, and perhaps a port: no user, no escapes, not empty. */
bool target_is_authority(const char *text, size_t bytes);

/* Decodes %xx into `out`, NUL-terminated. The bytes written; -EINVAL for a bad or a NUL escape, a control
 * byte or a blank; -ENOBUFS when it does not fit. */
ssize_t target_decode(const char *text, size_t bytes, char *out, size_t capacity);

/* The arguments of a query, which must be sound, as names and values in turn, each NUL-terminated: decoded, "" for a
 * value that is absent, nothing for an empty argument. `out` needs target_arguments_bytes. Their number. */
size_t target_arguments(const char *query, char *out);
size_t target_arguments_bytes(size_t query_bytes);

#endif
