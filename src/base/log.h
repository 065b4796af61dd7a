/*
 * Ground floor. One line per event on standard error, for people and for programs:
 *
 *     time=2026-11-20T17:00:00.123Z level=info program=prong msg="listening on http://…" request_id=… trace_id=… job=…
 *     {"time":"2026-11-20T17:00:00.123Z","level":"info","program":"prong","msg":"listening on http://…", …}
 *
 * Any thread, any process. Text that came from outside is escaped here (base/escape.h): control bytes never reach the
 * terminal, and a line is one line. At most LOG_LINES_PER_SECOND lines a second are written by one process, then one
 * line tells how many were dropped, so that a storm of errors cannot fill a disk.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/check.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_LEVEL_COUNT };

enum log_format { LOG_LOGFMT, LOG_JSON };

/* A line is never longer; of longer text the end is missing. Under PIPE_BUF, so that the lines of several processes
 * do not mix in a pipe. */
enum { LOG_LINES_PER_SECOND = 200, LOG_LINE_BYTES_MAX = 1536 };

/* The program's name, and the lowest level that is written (LOG_INFO until told). `name` must live as long as the
 * process. Call before threads start. */
void log_init(const char *name, enum log_level lowest);

/* LOG_LOGFMT until told. Call before threads start. */
void log_set_format(enum log_format format);

/* Reads "debug", "info", "warning" or "error". -EINVAL for another word. */
int log_level_parse(const char *word, enum log_level *ret_level);

/* Reads "logfmt", "json", or "auto": logfmt when standard error is a terminal. -EINVAL for another word. */
int log_format_parse(const char *word, enum log_format *ret_format);

/* What the lines of this thread are about, until set anew. Each goes into every line if it is neither NULL nor "";
 * it must live until then. Of a trace id 32 bytes are read, so a place within a traceparent will do. */
void log_context(const char *request_id, const char *trace_id);
void log_context_job(const char *job);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)

#endif
