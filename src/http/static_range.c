#include "http/static_range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

/* "first-last", "first-" or "-last", where the last one means that many bytes of the end. */
struct spec {
    uint64_t first, last;
    bool has_first, has_last;
};

/* Takes digits; a number too large for us is the largest one, which is beyond every file as well. */
static bool take_number(const char **p, uint64_t *ret)
{
    const char *begin = *p;
    uint64_t n = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **p - '0', &n))
            n = UINT64_MAX;
    }
    *ret = n;
    return *p != begin;
}

static bool take_spec(const char **p, struct spec *ret)
{
    ret->has_first = take_number(p, &ret->first);
    if (**p != '-')
        return false;
    (*p)++;
    ret->has_last = take_number(p, &ret->last);
    if (ret->has_first && ret->has_last)
        return ret->first <= ret->last;
    return ret->has_first || ret->has_last;
}

static enum static_range_kind resolve(const struct spec *spec, uint64_t total,
                                      struct static_range *ret)
{
    if (!spec->has_first) {
        if (spec->last == 0)
            return STATIC_RANGE_OUTSIDE;
        if (total == 0)
            return STATIC_RANGE_WHOLE;
        ret->bytes = MIN(spec->last, total);
        ret->first = total - ret->bytes;
        return STATIC_RANGE_PART;
    }
    if (spec->first >= total)
        return STATIC_RANGE_OUTSIDE;
    ret->first = spec->first;
    ret->bytes =
        spec->has_last ? MIN(spec->last, total - 1) - spec->first + 1 : total - spec->first;
    return STATIC_RANGE_PART;
}

enum static_range_kind static_range_parse(const char *text, uint64_t total,
                                          struct static_range *ret)
{
    const char *p = text + strlen("bytes=");
    struct spec spec;

    if (strncasecmp(text, "bytes=", strlen("bytes=")) != 0)
        return STATIC_RANGE_WHOLE;
    p += strspn(p, ", \t"); /* a list may have empty elements */
    if (!take_spec(&p, &spec))
        return STATIC_RANGE_WHOLE;
    p += strspn(p, " \t");
    if (*p != '\0' && *p != ',')
        return STATIC_RANGE_WHOLE;
    p += strspn(p, ", \t");
    return *p == '\0' ? resolve(&spec, total, ret) : STATIC_RANGE_WHOLE;
}
