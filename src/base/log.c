#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

static const char *const level_names[LOG_LEVEL_COUNT] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

static struct {
    const char *name;
    enum log_level lowest;
    _Atomic uint64_t second;
    _Atomic uint32_t lines;
    _Atomic uint32_t dropped;
} log_state = {.name = "prong", .lowest = LOG_INFO};

void log_init(const char *name, enum log_level lowest)
{
    log_state.name = name;
    log_state.lowest = lowest;
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

/* How many bytes the control has that is here, 0 for none. In UTF-8, C1 controls, which terminals obey
 * too, are C2 and a byte of 80 to 9F. */
static size_t control_bytes(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7f)
        return 1;
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

static size_t escape(const char *text, char *out, size_t capacity)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;

    while (*at != '\0' && n + 9 < capacity) {
        size_t control = control_bytes(at);
        if (control == 0)
            out[n++] = (char)*at++;
        for (; control > 0; control--)
            n += (size_t)snprintf(out + n, 5, "\\x%02x", *at++);
    }
    return n;
}

static void write_line(enum log_level level, const char *text)
{
    char line[LOG_LINE_BYTES_MAX + 128];
    struct timespec now;
    struct tm tm;
    size_t n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %s %s: ", now.tv_nsec / 1000000,
                          level_names[level], log_state.name);
    n += escape(text, line + n, sizeof(line) - n - 1);
    line[n++] = '\n';
    /* One write per line, so that lines of several processes do not mix; nothing to do if it fails. */
    if (write(STDERR_FILENO, line, n) < 0)
        return;
}

void log_context(const char *request_id, const char *traceparent)
{
    (void)request_id;
    (void)traceparent;
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[LOG_LINE_BYTES_MAX];
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
}
