#include "http/target.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "http/bytes.h"

enum { PORT_MAX = 65535 };

static size_t scheme_bytes(const char *text)
{
    if (strncasecmp(text, "http://", 7) == 0)
        return 7;
    return strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
}

struct target target_split(const char *text)
{
    struct target t = {.form = TARGET_OTHER, .path = text};
    size_t scheme;

    if (text[0] == '/') {
        t.form = TARGET_ORIGIN;
    } else if (text[0] == '*' && text[1] == '\0') {
        t.form = TARGET_ASTERISK;
    } else if ((scheme = scheme_bytes(text)) > 0) {
        t.form = TARGET_ABSOLUTE;
        t.authority = text + scheme;
        t.authority_bytes = strcspn(t.authority, "/?");
        t.path = t.authority + t.authority_bytes;
    }
    t.path_bytes = (size_t)(strchrnul(t.path, '?') - t.path);
    if (t.path[t.path_bytes] == '?')
        t.query = t.path + t.path_bytes + 1;
    if (t.form == TARGET_ABSOLUTE && t.path_bytes == 0) {
        t.path = "/";
        t.path_bytes = 1;
    }
    return t;
}

static int hex_digit(char c)
{
    if (!byte_is(c, BYTE_HEX))
        return -1;
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The byte behind '%', or -1. */
static int escaped(const char *text, size_t left)
{
    int high = left > 2 ? hex_digit(text[1]) : -1;
    int low = left > 2 ? hex_digit(text[2]) : -1;

    return high < 0 || low < 0 || (high | low) == 0 ? -1 : high * 16 + low;
}

bool target_is_sound(const char *text, size_t bytes)
{
    if (bytes_are_plain(text, bytes))
        return true;
    for (size_t i = 0; i < bytes; i++) {
        if (!byte_is(text[i], BYTE_TARGET) || (text[i] == '%' && escaped(text + i, bytes - i) < 0))
            return false;
    }
    return bytes > 0;
}

/* "[::1]": what is inside is only looked at for its bytes. */
static size_t address_bytes(const char *text, size_t bytes)
{
    size_t n = 1;

    while (n < bytes && (byte_is(text[n], BYTE_HEX) || text[n] == ':' || text[n] == '.'))
        n++;
    return n > 1 && n < bytes && text[n] == ']' ? n + 1 : 0;
}

static bool is_port(const char *text, size_t bytes)
{
    unsigned port = 0;

    for (size_t i = 0; i < bytes && port <= PORT_MAX; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return bytes > 0 && port <= PORT_MAX;
}

bool target_is_authority(const char *text, size_t bytes)
{
    size_t n = bytes > 0 && text[0] == '[' ? address_bytes(text, bytes)
                                           : bytes_span(text, bytes, BYTE_HOST);

    return n > 0 && (n == bytes || (text[n] == ':' && is_port(text + n + 1, bytes - n - 1)));
}

ssize_t target_decode(const char *text, size_t bytes, char *out, size_t capacity)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes; i++) {
        int c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7f)
            return -EINVAL;
        if (c == '%') {
            c = escaped(text + i, bytes - i);
            if (c < 0)
                return -EINVAL;
            i += 2;
        }
        if (n + 1 >= capacity)
            return -ENOBUFS;
        out[n++] = (char)c;
    }
    if (n >= capacity)
        return -ENOBUFS;
    out[n] = '\0';
    return (ssize_t)n;
}

size_t target_arguments_bytes(size_t query_bytes)
{
    return query_bytes / 2 * 3 +
           3; /* "a&" becomes "a", an end, and the end of a value that is not there */
}

static char *decode_argument(const char *from, const char *to, char *out)
{
    while (from < to) {
        int c = *from == '%' ? escaped(from, (size_t)(to - from)) : -1;
        if (c >= 0)
            *out++ = (char)c;
        else
            *out++ = *from == '+' ? ' ' : *from;
        from += c >= 0 ? 3 : 1;
    }
    *out++ = '\0';
    return out;
}

size_t target_arguments(const char *query, char *out)
{
    size_t n = 0;

    for (const char *p = query, *end; *p != '\0'; p = *end == '\0' ? end : end + 1) {
        const char *equals;
        end = strchrnul(p, '&');
        if (p == end)
            continue;
        equals = memchr(p, '=', (size_t)(end - p));
        out = decode_argument(p, equals == NULL ? end : equals, out);
        out = decode_argument(equals == NULL ? end : equals + 1, end, out);
        n++;
    }
    return n;
}
