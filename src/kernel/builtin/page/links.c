#include <stdlib.h>
#include <string.h>

#include "kernel/builtin/page/page.h"

#define SEEN_MIN 256u

/* A URL in its parts; each may be empty. */
struct url {
    const char *scheme, *authority, *path, *query;
    size_t scheme_size, authority_size, path_size, query_size;
    bool has_authority, has_query;
};

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static size_t scheme_size(const char *url, size_t size)
{
    size_t n = 0;

    if (size == 0 || !is_letter(url[0]))
        return 0;
    while (n < size && (is_letter(url[n]) || (url[n] >= '0' && url[n] <= '9') || url[n] == '+' ||
                        url[n] == '-' || url[n] == '.'))
        n++;
    return n < size && url[n] == ':' ? n : 0;
}

static size_t span_until(const char *at, const char *end, const char *stops)
{
    const char *p = at;

    while (p < end && strchr(stops, *p) == NULL)
        p++;
    return (size_t)(p - at);
}

static struct url take_apart(const char *url, size_t size)
{
    const char *at = url, *end = url + size;
    struct url u = {.scheme = url, .scheme_size = scheme_size(url, size)};

    if (u.scheme_size > 0)
        at += u.scheme_size + 1;
    if (end - at >= 2 && at[0] == '/' && at[1] == '/') {
        at += 2;
        u.has_authority = true;
        u.authority = at;
        u.authority_size = span_until(at, end, "/?#");
        at += u.authority_size;
    }
    u.path = at;
    u.path_size = span_until(at, end, "?#");
    at += u.path_size;
    u.has_query = at < end && *at == '?';
    if (u.has_query) {
        u.query = at + 1;
        u.query_size = span_until(at + 1, end, "#");
    }
    return u;
}

static bool is_web(const struct url *u)
{
    return text_is(u->scheme, u->scheme_size, "http") ||
           text_is(u->scheme, u->scheme_size, "https");
}

/* Without a name and password for whoever reads the list. */
static bool has_host(const struct url *u)
{
    return u->authority_size > 0 && memchr(u->authority, '@', u->authority_size) == NULL;
}

static void put_lower(struct text *out, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] + 32) : bytes[i];
        text_add(out, &c, 1);
    }
}

static void put_escaped(struct text *out, const char *bytes, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        char escaped[] = {'%', digits[byte >> 4], digits[byte & 15]};
        bool is_plain = byte > 0x20 && byte < 0x7f && strchr("\"<>`", byte) == NULL;
        text_add(out, is_plain ? bytes + i : escaped, is_plain ? 1 : sizeof(escaped));
    }
}

/* Takes the last segment away again; `from` is where the path begins. */
static void step_up(struct text *out, size_t from)
{
    while (out->size > from && out->data[--out->size] != '/')
        continue;
}

/* The segments, each after its slash, without "." and "..": RFC 3986, 5.2.4. */
static void put_path(struct text *out, const char *path, size_t size, size_t from)
{
    const char *at = path, *end = path + size;

    while (at < end && !out->failed) {
        const char *segment = at + (*at == '/');
        size_t n = span_until(segment, end, "/");
        bool is_last = segment + n == end;
        bool is_dot = n == 1 && segment[0] == '.';
        bool is_up = n == 2 && segment[0] == '.' && segment[1] == '.';

        if (is_up)
            step_up(out, from);
        if (!is_dot && !is_up) {
            text_add(out, "/", 1);
            put_escaped(out, segment, n);
        } else if (is_last) {
            text_add(out, "/", 1);
        }
        at = segment + n;
    }
    if (out->size == from)
        text_add(out, "/", 1);
}

static void put_query(struct text *out, const struct url *u)
{
    if (!u->has_query)
        return;
    text_add(out, "?", 1);
    put_escaped(out, u->query, u->query_size);
}

/* The path of a reference relative to the base's. */
static void put_merged(struct text *out, const struct url *base, const struct url *u)
{
    struct text path = {0};
    size_t kept = base->path_size;
    size_t from = out->size;

    if (u->path_size > 0 && u->path[0] == '/')
        kept = 0;
    else if (u->path_size > 0)
        while (kept > 0 && base->path[kept - 1] != '/')
            kept--;
    text_add(&path, base->path, kept);
    text_add(&path, u->path, u->path_size);
    put_path(out, path.data, path.size, from);
    put_query(out, u->path_size == 0 && !u->has_query ? base : u);
    out->failed = out->failed || path.failed;
    text_free(&path);
}

/* Into `out`, which is empty; false when that gives no web address. */
static bool resolve(const struct links *l, const char *href, size_t size, struct text *out)
{
    struct url base = take_apart(l->base.data, l->base.size);
    struct url u = take_apart(href, size);
    const struct url *from = u.scheme_size > 0 || u.has_authority ? &u : &base;

    if (size == 0 || href[0] == '#' || (u.scheme_size > 0 && (!is_web(&u) || !u.has_authority)) ||
        (u.scheme_size == 0 && l->base.size == 0) || !has_host(from))
        return false;
    put_lower(out, u.scheme_size > 0 ? u.scheme : base.scheme,
              u.scheme_size > 0 ? u.scheme_size : base.scheme_size);
    text_add(out, "://", 3);
    put_lower(out, from->authority, from->authority_size);
    if (from == &u) {
        put_path(out, u.path, u.path_size, out->size);
        put_query(out, &u);
    } else {
        put_merged(out, &base, &u);
    }
    return !out->failed && out->size <= PAGE_LINK_BYTES_MAX;
}

/* Blanks around it and line breaks within are no part of it; a backslash is meant as a slash. */
static void put_clean(struct text *out, const char *href, size_t size)
{
    size_t query = span_until(href, href + size, "?#");

    while (size > 0 && (uint8_t)href[size - 1] <= ' ')
        size--;
    for (size_t i = 0; i < size; i++) {
        char c = i < query && href[i] == '\\' ? '/' : href[i];
        if (c != '\n' && c != '\r' && c != '\t' && (c != ' ' || out->size > 0))
            text_add(out, &c, 1);
    }
}

/* ---- all that were seen ---- */

static uint64_t hash_of(const char *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    return hash == 0 ? 1 : hash;
}

static uint64_t *find_seen(uint64_t *seen, size_t room, uint64_t hash)
{
    size_t i = (size_t)hash & (room - 1);

    while (seen[i] != 0 && seen[i] != hash)
        i = (i + 1) & (room - 1);
    return &seen[i];
}

static bool grow_seen(struct links *l)
{
    size_t room = l->seen_room == 0 ? SEEN_MIN : 2 * l->seen_room;
    uint64_t *seen = calloc(room, sizeof(*seen));

    if (seen == NULL)
        return false;
    for (size_t i = 0; i < l->seen_room; i++)
        if (l->seen[i] != 0)
            *find_seen(seen, room, l->seen[i]) = l->seen[i];
    free(l->seen);
    l->seen = seen;
    l->seen_room = room;
    return true;
}

/* False when it was there, or there is no memory. */
static bool note(struct links *l, const char *url, size_t size)
{
    uint64_t hash = hash_of(url, size), *place;

    if (2 * (l->seen_count + 1) > l->seen_room && !grow_seen(l))
        return false;
    place = find_seen(l->seen, l->seen_room, hash);
    if (*place != 0)
        return false;
    *place = hash;
    l->seen_count++;
    return true;
}

void links_set_base(struct links *l, const char *url, size_t size)
{
    struct text clean = {0}, base = {0};

    put_clean(&clean, url, size);
    if (resolve(l, clean.data, clean.size, &base)) {
        text_free(&l->base);
        l->base = base;
    } else {
        text_free(&base);
    }
    text_free(&clean);
}

void links_add(struct links *l, const char *href, size_t size)
{
    struct text clean = {0}, url = {0};

    put_clean(&clean, href, size);
    if (resolve(l, clean.data, clean.size, &url) && note(l, url.data, url.size) &&
        l->count < PAGE_LINKS_MAX && l->named.size + url.size < PAGE_LINKS_BYTES_MAX) {
        text_add(&url, "", 1);
        text_add(&l->named, url.data, url.size);
        l->count++;
    }
    text_free(&clean);
    text_free(&url);
}

void links_free(struct links *l)
{
    text_free(&l->named);
    text_free(&l->base);
    free(l->seen);
}
