/*
 * F3, http's own. One line per request, when asked for: in the combined format that log analysers know, or as
 * JSON. Lines of one thread are kept together and written at once; nothing is lost but by a full disk, which is said
 * once in the log. Any thread.
 */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include "base/err.h"
#include "http/request.h"

struct access_log;

enum access_log_format { ACCESS_LOG_COMBINED, ACCESS_LOG_JSON };

/* `path`: a file, appended to and made if absent (mode 0640), or "-" for standard output. NULL without one. */
int access_log_new(struct access_log **ret, const char *path, enum access_log_format format,
                   struct err *err);
struct access_log *access_log_free(struct access_log *log);

/* What r was and what became of it. `ns` is from its first line to now. */
void access_log_add(struct access_log *log, const struct request *r, uint64_t ns);

/* Opens the file anew (after it was rotated). Any thread. */
void access_log_reopen(struct access_log *log);

#endif
