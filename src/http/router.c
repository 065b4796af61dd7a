#include "http/router.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "http/target.h"

enum { SEGMENTS_MAX = 8 };

struct segments {
    const char *text[SEGMENTS_MAX]; /* decoded */
    size_t count;
};

/* False when there are more than any route has, or they do not fit. */
static bool split(struct segments *s, const char *path, char *storage, size_t storage_bytes)
{
    s->count = 0;
    while (*path == '/') {
        size_t raw;
        ssize_t n;

        path++;
        raw = (size_t)(strchrnul(path, '/') - path);
        n = target_decode(path, raw, storage, storage_bytes);
        if (n < 0 || s->count == SEGMENTS_MAX)
            return false;
        s->text[s->count++] = storage;
        storage += n + 1;
        storage_bytes -= (size_t)n + 1;
        path += raw;
    }
    return *path == '\0';
}

/* The pattern behind this literal segment, or NULL when the text is another. Byte by byte, since most
 * patterns differ in the first one and all are tried. */
static const char *skip_literal(const char *pattern, const char *text)
{
    while (*pattern == *text && *text != '\0') {
        pattern++;
        text++;
    }
    return *text == '\0' && (*pattern == '\0' || *pattern == '/') ? pattern : NULL;
}

/* Whether the pattern fits; its {names} go to `parts`. */
static bool matches(const char *pattern, const struct segments *s, const char **parts)
{
    size_t part = 0;

    for (size_t i = 0; i < s->count; i++) {
        if (*pattern++ != '/')
            return false;
        if (*pattern != '{') {
            pattern = skip_literal(pattern, s->text[i]);
            if (pattern == NULL)
                return false;
            continue;
        }
        if (s->text[i][0] == '\0')
            return false;
        CHECK(part < REQUEST_PATH_PARTS_MAX);
        parts[part++] = s->text[i];
        pattern = strchrnul(pattern, '/');
    }
    return *pattern == '\0';
}

static void mark(uint64_t bits[4], unsigned char letter)
{
    bits[letter / 64] |= UINT64_C(1) << letter % 64;
}

void router_prepare(struct router *router)
{
    uint64_t begins[4] = {0};

    mark(begins, '%');
    for (size_t i = 0; i < router->count; i++) {
        if (router->routes[i].pattern[1] == '{') {
            memset(begins, 0xff, sizeof(begins));
            break;
        }
        mark(begins, (unsigned char)router->routes[i].pattern[1]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
        router->begins_none[i] = ~begins[i];
}

static bool knows_none(const struct router *router, const char *path)
{
    unsigned char letter = (unsigned char)path[path[0] == '/'];

    return (router->begins_none[letter / 64] >> letter % 64 & 1) != 0;
}

static bool serves(const struct route *route, enum http_method method)
{
    return route->method == method || (route->method == HTTP_GET && method == HTTP_HEAD);
}

static unsigned methods_of(const struct route *route)
{
    unsigned bits = 1u << route->method | 1u << HTTP_OPTIONS;

    if ((route->flags & ROUTE_BESIDE_PAGE) != 0)
        bits |= 1u << HTTP_GET;
    return (bits & 1u << HTTP_GET) != 0 ? bits | 1u << HTTP_HEAD : bits;
}

const struct route *router_find(const struct router *router, enum http_method method,
                                const char *path, const char **ret_parts, char *storage,
                                size_t storage_bytes, unsigned *ret_allowed)
{
    const char *parts[REQUEST_PATH_PARTS_MAX] = {NULL};
    bool reads = method == HTTP_GET || method == HTTP_HEAD;
    struct segments segments;
    unsigned allowed = 0;

    *ret_allowed = 0;
    if (knows_none(router, path) || !split(&segments, path, storage, storage_bytes))
        return NULL;
    for (size_t i = 0; i < router->count; i++) {
        const struct route *route = &router->routes[i];
        if (!matches(route->pattern, &segments, parts))
            continue;
        if (serves(route, method)) {
            memcpy(ret_parts, parts, sizeof(parts));
            return route;
        }
        if ((route->flags & ROUTE_BESIDE_PAGE) == 0 || !reads)
            allowed |= methods_of(route);
    }
    *ret_allowed = allowed;
    return NULL;
}

void router_allow_text(unsigned allowed, char *out, size_t capacity)
{
    size_t n = 0;

    CHECK(capacity > 0);
    out[0] = '\0';
    for (unsigned i = 0; i < HTTP_METHOD_COUNT; i++) {
        if ((allowed & 1u << i) == 0 || n >= capacity)
            continue;
        n += (size_t)snprintf(out + n, capacity - n, "%s%s", n > 0 ? ", " : "",
                              http_method_names[i]);
    }
}
