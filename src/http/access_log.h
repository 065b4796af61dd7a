/*
 * F3, http's own. One line per request, when asked for: in the combined format that log analysers know, or as
 * JSON. Any thread.
 *
 * Requests put their line into memory, and a thread of the log writes what has come together ACCESS_LOG_FLUSH_MS
 * after the first of it: no request ever waits for the disk, and nobody wakes when nothing is asked. A crash loses
 * what came in that time. A disk that is full, or slower than all that is asked, loses lines, which the log says
 * once a minute, and so does a reader of a pipe who reads nothing for a second. A file that was removed is made anew.
 *
 * A line tells what the client sent: the target with its query, Referer and User-Agent, escaped and cut; never
 * Authorization, nor the authority of an absolute target, which may hold a password. Its status is 499 when there was
 * nobody left to be answered. Its bytes are those of the answer's body, or nothing for a stream. What dies in
 * libmicrohttpd's own parser, before our handler sees it, has no line.
 */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include "base/err.h"
#include "http/request.h"

struct access_log;

enum access_log_format { ACCESS_LOG_COMBINED, ACCESS_LOG_JSON };

enum {
    ACCESS_LOG_FLUSH_MS = 200,
    ACCESS_LOG_LINE_BYTES_MAX = 4096,
    ACCESS_LOG_TARGET_BYTES_MAX =
        2048, /* kept of a target; a line has as many once they are escaped */
};

/* Reads "combined" or "json". -EINVAL for another word. */
int access_log_format_parse(const char *word, enum access_log_format *ret_format);

/* `path`: a file, appended to and made if absent (mode 0640), or "-" for standard output. Starts the thread. */
int access_log_new(struct access_log **ret, const char *path, enum access_log_format format,
                   struct err *err);

/* When nobody adds any more. Writes what is left, or gives it up after a second. */
struct access_log *access_log_free(struct access_log *log);

/* What r was and what became of it. `ns` is from its first line to now. */
void access_log_add(struct access_log *log, const struct request *r, uint64_t ns);

/* Opens the file anew (after it was rotated), behind what has been added so far. */
void access_log_reopen(struct access_log *log);

#endif
