#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/escape.h"

enum {
    TAIL_BYTES = 256,   /* what a line is about */
    CONTEXT_BYTES = 64, /* of one id at most */
    TRACE_ID_BYTES = 32,
};

static const char *const level_names[LOG_LEVEL_COUNT] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

static struct {
    const char *name;
    enum log_level lowest;
    enum log_format format;
    _Atomic uint64_t second;
    _Atomic uint32_t lines;
    _Atomic uint32_t dropped;
} log_state = {.name = "prong", .lowest = LOG_INFO};

static _Thread_local struct {
    const char *request_id, *trace_id, *job;
} context;

void log_init(const char *name, enum log_level lowest)
{
    log_state.name = name;
    log_state.lowest = lowest;
}

void log_set_format(enum log_format format)
{
    log_state.format = format;
}

int log_level_parse(const char *word, enum log_level *ret_level)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

int log_format_parse(const char *word, enum log_format *ret_format)
{
    if (strcmp(word, "auto") == 0)
        *ret_format = isatty(STDERR_FILENO) ? LOG_LOGFMT : LOG_JSON;
    else if (strcmp(word, "logfmt") == 0)
        *ret_format = LOG_LOGFMT;
    else if (strcmp(word, "json") == 0)
        *ret_format = LOG_JSON;
    else
        return -EINVAL;
    return 0;
}

void log_context(const char *request_id, const char *trace_id)
{
    context.request_id = request_id;
    context.trace_id = trace_id;
}

void log_context_job(const char *job)
{
    context.job = job;
}

/* True when this line still fits into this second; *ret_dropped is what the last one lost. */
static bool may_write(uint32_t *ret_dropped)
{
    uint64_t now = clock_now_ns() / CLOCK_NS_PER_S;
    uint64_t second = atomic_load(&log_state.second);

    *ret_dropped = 0;
    if (now != second && atomic_compare_exchange_strong(&log_state.second, &second, now)) {
        *ret_dropped = atomic_exchange(&log_state.dropped, 0);
        atomic_store(&log_state.lines, 0);
    }
    if (atomic_fetch_add(&log_state.lines, 1) < LOG_LINES_PER_SECOND)
        return true;
    atomic_fetch_add(&log_state.dropped, 1);
    return false;
}

static size_t put_time(char *out, size_t capacity)
{
    struct timespec now;
    struct tm tm;
    size_t n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    n = strftime(out, capacity, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, capacity - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Up to where the message begins, the quote included. */
static size_t put_head(char *out, size_t capacity, enum log_level level)
{
    bool json = log_state.format == LOG_JSON;
    char time[40];

    (void)put_time(time, sizeof(time));
    return (size_t)snprintf(
        out, capacity,
        json ? "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%.64s\",\"msg\":\""
             : "time=%s level=%s program=%.64s msg=\"",
        time, level_names[level], log_state.name);
}

static size_t put_id(char *out, size_t capacity, const char *key, const char *id, size_t bytes)
{
    bool json = log_state.format == LOG_JSON;

    if (id == NULL || id[0] == '\0')
        return 0;
    return (size_t)snprintf(out, capacity, json ? ",\"%s\":\"%.*s\"" : " %s=%.*s", key, (int)bytes,
                            id);
}

/* From the message's closing quote on. The ids are ours, and need no escapes. */
static size_t put_tail(char out[TAIL_BYTES])
{
    size_t n = 0;

    out[n++] = '"';
    n += put_id(out + n, TAIL_BYTES - n, "request_id", context.request_id, CONTEXT_BYTES);
    n += put_id(out + n, TAIL_BYTES - n, "trace_id", context.trace_id, TRACE_ID_BYTES);
    n += put_id(out + n, TAIL_BYTES - n, "job", context.job, CONTEXT_BYTES);
    if (log_state.format == LOG_JSON)
        out[n++] = '}';
    out[n++] = '\n';
    return n;
}

static void write_line(enum log_level level, const char *text)
{
    char line[LOG_LINE_BYTES_MAX], tail[TAIL_BYTES];
    size_t tail_bytes = put_tail(tail);
    size_t n = put_head(line, sizeof(line), level);

    n += escape_json(text, line + n, sizeof(line) - tail_bytes - n);
    memcpy(line + n, tail, tail_bytes);
    /* One write per line, so that lines of several processes do not mix; nothing to do if it fails. */
    if (write(STDERR_FILENO, line, n + tail_bytes) < 0)
        return;
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[LOG_LINE_BYTES_MAX];
    int error = errno;
    uint32_t dropped;
    va_list args;

    if (level < log_state.lowest || !may_write(&dropped))
        return;
    if (dropped > 0) {
        (void)snprintf(text, sizeof(text), "%u lines were dropped: over %d in a second", dropped,
                       LOG_LINES_PER_SECOND);
        write_line(LOG_WARNING, text);
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    write_line(level, text);
    errno = error;
}
