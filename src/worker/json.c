#include "worker/json.h"

#include <math.h>
#include <stdbool.h>

#include "base/check.h"

static const double whole_max = 9007199254740992.0; /* 2^53: below, every whole number is exact */

size_t json_number(double value, char out[JSON_NUMBER_MAX])
{
    int n = 0;

    if (!isfinite(value))
        return (size_t)snprintf(out, JSON_NUMBER_MAX, "null");
    /* Many readers take "-0" for an integer, which has no sign. */
    if (value == 0 && signbit(value) != 0)
        return (size_t)snprintf(out, JSON_NUMBER_MAX, "-0.0");
    if (fabs(value) < whole_max && value == floor(value))
        return (size_t)snprintf(out, JSON_NUMBER_MAX, "%.0f", value);
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, JSON_NUMBER_MAX, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return (size_t)n;
}

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The second byte decides about overlong forms, surrogates and what lies above U+10FFFF. */
static bool second_is_allowed(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_tail(second);
    }
}

size_t json_utf8_length(const char *text, size_t bytes)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t length;

    if (bytes == 0)
        return 0;
    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    length = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (bytes < length || !second_is_allowed(c[0], c[1]))
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_tail(c[i]))
            return 0;
    }
    return length;
}

static size_t put(char *out, const char *bytes, size_t count)
{
    memcpy(out, bytes, count);
    return count;
}

static size_t put_ascii(char *out, char c)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char u = (unsigned char)c;

    switch (c) {
    case '"':
        return put(out, "\\\"", 2);
    case '\\':
        return put(out, "\\\\", 2);
    case '\n':
        return put(out, "\\n", 2);
    case '\r':
        return put(out, "\\r", 2);
    case '\t':
        return put(out, "\\t", 2);
    default:
        break;
    }
    if (u >= 0x20) {
        *out = c;
        return 1;
    }
    memcpy(out, "\\u00", 4);
    out[4] = hex[u >> 4];
    out[5] = hex[u & 15];
    return 6;
}

/* One character of the text, or one byte that is none; *ret_used is how far to go on. */
static size_t put_next(const char *text, size_t bytes, char *out, size_t *ret_used)
{
    size_t length = json_utf8_length(text, bytes);

    *ret_used = MAX(length, (size_t)1);
    if (length == 0)
        return put(out, "\xef\xbf\xbd", 3);
    return length == 1 ? put_ascii(out, *text) : put(out, text, length);
}

size_t json_quote(const char *text, size_t bytes, char *out)
{
    size_t n = 0, used;

    out[n++] = '"';
    for (size_t i = 0; i < bytes; i += used)
        n += put_next(text + i, bytes - i, out + n, &used);
    out[n++] = '"';
    return n;
}

size_t json_quote_bytes(const char *text, size_t bytes)
{
    char scratch[JSON_ESCAPE_MAX];
    size_t n = 2, used;

    for (size_t i = 0; i < bytes; i += used)
        n += put_next(text + i, bytes - i, scratch, &used);
    return n;
}
