#include "http/target.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

const char *target_authority(const char *target, size_t *ret_bytes)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < ARRAY_SIZE(schemes) && target[0] != '/'; i++) {
        size_t n = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], n) != 0)
            continue;
        *ret_bytes = strcspn(target + n, "/?");
        return target + n;
    }
    return NULL;
}

const char *target_path(const char *target, size_t *ret_bytes)
{
    size_t authority_bytes;
    const char *authority = target_authority(target, &authority_bytes);

    if (authority != NULL) {
        target = authority + authority_bytes;
        if (*target != '/')
            target = "/";
    }
    *ret_bytes = (size_t)(strchrnul(target, '?') - target);
    return target;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte behind '%', or -1. */
static int escaped(const char *text, size_t left)
{
    int high = left > 2 ? hex_digit(text[1]) : -1;
    int low = left > 2 ? hex_digit(text[2]) : -1;

    return high < 0 || low < 0 || (high | low) == 0 ? -1 : high * 16 + low;
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
