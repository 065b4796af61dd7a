/*
 * Ground floor. One line per event on standard error: time, level, program, text.
 *
 * Any thread, any process. Text that came from outside is escaped here: control bytes never reach the
 * terminal. At most LOG_LINES_PER_SECOND lines a second are written by one process, then one line
 * tells how many were dropped, so that a storm of errors cannot fill a disk.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/check.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_LEVEL_COUNT };

enum { LOG_LINES_PER_SECOND = 200, LOG_LINE_BYTES_MAX = 1024 };

/* The program's name in front of each line, and the lowest level that is written (LOG_INFO until
 * told). `name` must live as long as the process. Call before threads start. */
void log_init(const char *name, enum log_level lowest);

/* Reads "debug", "info", "warning" or "error". -EINVAL for another word. */
int log_level_parse(const char *word, enum log_level *ret_level);

/* What the lines of this thread are about, until set anew: both go into every line that it writes, if not NULL. They
 * must live until then. */
void log_context(const char *request_id, const char *traceparent);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)

#endif
