#include "answer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

/* The bytes of a status line, "HTTP/1.1 200 OK\r\n", or ANSWER_BAD. */
static ptrdiff_t read_status(const char *line, size_t bytes, unsigned *ret)
{
    if (bytes < 15 || memcmp(line, "HTTP/1.1 ", 9) != 0 || line[12] != ' ')
        return ANSWER_BAD;
    *ret = 0;
    for (int i = 9; i < 12; i++) {
        if (!isdigit((unsigned char)line[i]))
            return ANSWER_BAD;
        *ret = *ret * 10 + (unsigned)(line[i] - '0');
    }
    return *ret < 100 || *ret > 599 ? ANSWER_BAD : (ptrdiff_t)bytes;
}

static bool has_name(const char *line, size_t name_bytes, const char *name)
{
    return name_bytes == strlen(name) && strncasecmp(line, name, name_bytes) == 0;
}

static bool has_value(const char *value, size_t bytes, const char *text)
{
    return bytes == strlen(text) && strncasecmp(value, text, bytes) == 0;
}

/* "Name: value", NUL-free and without its end. */
static bool read_header(const char *line, size_t bytes, struct answer *a)
{
    const char *colon = memchr(line, ':', bytes), *value;
    size_t name_bytes, value_bytes;

    if (colon == NULL || colon == line || colon + 2 > line + bytes || colon[1] != ' ')
        return false;
    name_bytes = (size_t)(colon - line);
    value = colon + 2;
    value_bytes = bytes - name_bytes - 2;
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f || (i < name_bytes && line[i] == ' '))
            return false;
    }
    if (has_name(line, name_bytes, "Content-Length")) {
        if (a->content_length != UINT64_MAX || !isdigit((unsigned char)value[0]))
            return false;
        a->content_length = strtoull(value, NULL, 10);
    } else if (has_name(line, name_bytes, "Transfer-Encoding")) {
        a->is_chunked = has_value(value, value_bytes, "chunked");
        return a->is_chunked;
    } else if (has_name(line, name_bytes, "Connection")) {
        a->closes |= has_value(value, value_bytes, "close");
    } else if (has_name(line, name_bytes, "Prong-Seen")) {
        a->has_seen = true;
        a->seen = strtoull(value, NULL, 16);
    }
    return true;
}

/* The bytes up to and with the empty line. */
static ptrdiff_t read_head(const char *data, size_t bytes, struct answer *a)
{
    size_t at = 0;

    for (;;) {
        const char *line = data + at, *end = memmem(line, bytes - at, "\r\n", 2);
        size_t n = end == NULL ? 0 : (size_t)(end - line);
        if (end == NULL)
            return ANSWER_SHORT;
        if (at > 0 && n == 0)
            return (ptrdiff_t)at + 2;
        if (at == 0 ? read_status(line, n, &a->status) < 0 : !read_header(line, n, a))
            return ANSWER_BAD;
        at += n + 2;
    }
}

static ptrdiff_t read_chunks(const char *data, size_t bytes)
{
    size_t at = 0;

    for (;;) {
        const char *line = data + at, *end = memmem(line, bytes - at, "\r\n", 2);
        char *digits_end;
        size_t n;
        if (end == NULL)
            return ANSWER_SHORT;
        n = strtoul(line, &digits_end, 16);
        if (digits_end != end || end == line)
            return ANSWER_BAD;
        at = (size_t)(end - data) + 2;
        if (bytes - at < 2 || bytes - at - 2 < n)
            return ANSWER_SHORT;
        if (memcmp(data + at + n, "\r\n", 2) != 0)
            return ANSWER_BAD;
        at += n + 2;
        if (n == 0)
            return (ptrdiff_t)at;
    }
}

ptrdiff_t answer_read(const char *data, size_t bytes, bool to_head, struct answer *ret)
{
    struct answer a = {.content_length = UINT64_MAX}, second = a;
    ptrdiff_t head = read_head(data, bytes, &a), body = 0;

    if (head <= 0)
        return head;
    if (a.closes && a.status >= 400 && bytes - (size_t)head >= 9 &&
        memcmp(data + head, "HTTP/1.1 ", 9) == 0) {
        ptrdiff_t more = read_head(data + head, bytes - (size_t)head, &second);
        if (more <= 0 || second.status != a.status || !second.closes)
            return more <= 0 ? more : ANSWER_BAD;
        a = second;
        head += more;
    }
    a.head_bytes = (size_t)head;
    *ret = a;
    if (to_head || a.status < 200 || a.status == 204 || a.status == 304)
        return head;
    if (a.is_chunked) {
        body = read_chunks(data + head, bytes - (size_t)head);
        return body <= 0 ? body : head + body;
    }
    if (a.content_length == UINT64_MAX)
        return ANSWER_BAD;
    return bytes - (size_t)head < a.content_length ? ANSWER_SHORT
                                                   : head + (ptrdiff_t)a.content_length;
}
