#include "base/escape.h"

#include <stdbool.h>

#include "base/check.h"

static const char hex[] = "0123456789abcdef", upper_hex[] = "0123456789ABCDEF";

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* How long the character here is, by RFC 3629; 0 when these bytes are none. Reads no further than the NUL. */
static size_t utf8_bytes(const unsigned char *at)
{
    unsigned char first = at[0];
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    size_t n = 0;

    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xf4)
        n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (n == 0 || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* Writes "\n", "\"" or "\u001b"; its length. */
static size_t escape_one(unsigned char c, char out[6])
{
    static const char named[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const char *at = memchr(named, c, sizeof(named) - 1);

    out[0] = '\\';
    if (at != NULL) {
        out[1] = names[at - named];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

/* One character as it goes into JSON; *ret_taken is how many bytes of the text it was. */
static size_t json_one(const unsigned char *at, char out[6], size_t *ret_taken)
{
    size_t n = utf8_bytes(at);

    *ret_taken = n == 0 ? 1 : n;
    if (n == 1)
        return escape_one(at[0], out);
    if (n == 2 && at[0] == 0xc2 && at[1] < 0xa0) /* C1 controls, which terminals obey too */
        return escape_one(at[1], out);
    memcpy(out, n == 0 ? "\xef\xbf\xbd" : (const char *)at, n == 0 ? 3 : n);
    return n == 0 ? 3 : n;
}

size_t escape_json(const char *text, char *out, size_t capacity)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;

    while (*at != '\0' && n < capacity) {
        char one[6];
        size_t taken, bytes;
        if (is_plain(*at)) {
            out[n++] = (char)*at++;
            continue;
        }
        bytes = json_one(at, one, &taken);
        if (bytes > capacity - n)
            break;
        memcpy(out + n, one, bytes);
        n += bytes;
        at += taken;
    }
    return n;
}

size_t escape_bytes(const char *text, char *out, size_t capacity)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;

    for (; *at != '\0' && n < capacity; at++) {
        if (is_plain(*at)) {
            out[n++] = (char)*at;
            continue;
        }
        if (capacity - n < 4)
            break;
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = upper_hex[*at >> 4];
        out[n++] = upper_hex[*at & 15];
    }
    return n;
}
