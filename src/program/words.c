#include "program/words.h"

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"

enum { READ_BYTES = 16384, READS_MAX = 64 };

void words_open(struct words *w, int out_fd, int err_fd)
{
    w->fds[0] = out_fd;
    w->fds[1] = err_fd;
    w->lines[0].bytes = w->lines[1].bytes = 0;
    w->last_count = 0;
    w->second = 0;
    w->in_second = 0;
    w->dropped = 0;
}

void words_close(struct words *w)
{
    for (int i = 0; i < WORDS_STREAMS; i++) {
        check_close_fd(&w->fds[i]);
        w->fds[i] = -1;
    }
}

/* The bytes of the character here, or 0 for what is none or does not belong into a line. */
static size_t character_bytes(const unsigned char *c, size_t bytes)
{
    size_t n = c[0] < 0x80   ? 1
               : c[0] < 0xc2 ? 0
               : c[0] < 0xe0 ? 2
               : c[0] < 0xf0 ? 3
               : c[0] < 0xf5 ? 4
                             : 0;

    if (n == 1)
        return (c[0] >= 0x20 && c[0] != 0x7f) || c[0] == '\t';
    if (n == 0 || n > bytes || (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
        (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f) ||
        (c[0] == 0xc2 && c[1] < 0xa0))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* In place: whatever is no character becomes a question mark, the blanks at the end go. */
static void make_plain(char *text, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += MAX(n, (size_t)1)) {
        n = character_bytes((const unsigned char *)text + i, bytes - i);
        if (n == 0)
            text[i] = '?';
    }
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        bytes--;
    text[bytes] = '\0';
}

static void keep_last(struct words *w, const char *line)
{
    size_t n = strnlen(line, WORDS_LAST_BYTES);
    char *to = w->last[w->last_count % WORDS_LAST_LINES];

    while (n > 0 && ((unsigned char)line[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    memcpy(to, line, n);
    to[n] = '\0';
    w->last_count++;
}

static void tell_dropped(struct words *w, words_tell *tell, void *arg)
{
    char line[80];

    if (w->dropped == 0)
        return;
    (void)snprintf(line, sizeof(line), "(and %llu lines more)", (unsigned long long)w->dropped);
    w->dropped = 0;
    tell(arg, line);
}

static void end_line(struct words *w, struct words_line *l, words_tell *tell, void *arg)
{
    uint64_t second = clock_coarse_ns() / CLOCK_NS_PER_S;
    char text[WORDS_LINE_MAX + 1];

    memcpy(text, l->text, l->bytes);
    make_plain(text, l->bytes);
    l->bytes = 0;
    if (text[0] == '\0')
        return;
    keep_last(w, text);
    if (second != w->second) {
        w->second = second;
        w->in_second = 0;
        tell_dropped(w, tell, arg);
    }
    if (w->in_second < WORDS_LINES_PER_SECOND) {
        w->in_second++;
        tell(arg, text);
    } else {
        w->dropped++;
    }
}

/* What of a line is above its maximum is left out. */
static void take(struct words *w, struct words_line *l, const char *data, size_t bytes,
                 words_tell *tell, void *arg)
{
    while (bytes > 0) {
        const char *end = memchr(data, '\n', bytes);
        size_t n = end == NULL ? bytes : (size_t)(end - data);
        size_t kept = MIN(n, WORDS_LINE_MAX - l->bytes);

        memcpy(l->text + l->bytes, data, kept);
        l->bytes += kept;
        if (end == NULL)
            return;
        end_line(w, l, tell, arg);
        data += n + 1;
        bytes -= n + 1;
    }
}

static void read_stream(struct words *w, int i, words_tell *tell, void *arg)
{
    char data[READ_BYTES];

    for (int reads = 0; reads < READS_MAX; reads++) {
        ssize_t n = read(w->fds[i], data, sizeof(data));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            check_close_fd(&w->fds[i]);
            w->fds[i] = -1;
            return;
        }
        take(w, &w->lines[i], data, (size_t)n, tell, arg);
    }
}

bool words_read(struct words *w, words_tell *tell, void *arg)
{
    bool is_open = false;

    for (int i = 0; i < WORDS_STREAMS; i++) {
        if (w->fds[i] >= 0)
            read_stream(w, i, tell, arg);
        is_open = is_open || w->fds[i] >= 0;
    }
    return is_open;
}

void words_flush(struct words *w, words_tell *tell, void *arg)
{
    for (int i = 0; i < WORDS_STREAMS; i++) {
        if (w->lines[i].bytes > 0)
            end_line(w, &w->lines[i], tell, arg);
    }
    tell_dropped(w, tell, arg);
}

void words_last(const struct words *w, char *out, size_t capacity)
{
    static const char between[] = " | ";
    size_t count = MIN(w->last_count, (size_t)WORDS_LAST_LINES);
    size_t first = w->last_count, used = 0;

    while (count > 0) {
        size_t n = strlen(w->last[(first - 1) % WORDS_LAST_LINES]) + sizeof(between) - 1;
        if (used + n >= capacity)
            break;
        used += n;
        first--;
        count--;
    }
    out[0] = '\0';
    used = 0;
    for (size_t i = first; i < w->last_count; i++)
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", i > first ? between : "",
                                 w->last[i % WORDS_LAST_LINES]);
}

void words_last_sentence(const struct words *w, char *out, size_t capacity)
{
    static const char before[] = " Its last words: ";
    size_t room = sizeof(before) + 1; /* with the full stop */
    size_t n;

    CHECK(capacity > room);
    words_last(w, out + sizeof(before) - 1, capacity - room);
    if (out[sizeof(before) - 1] == '\0') {
        out[0] = '\0';
        return;
    }
    memcpy(out, before, sizeof(before) - 1);
    n = strlen(out);
    if (strchr(".?!", out[n - 1]) == NULL)
        memcpy(out + n, ".", 2);
}
