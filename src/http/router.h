/*
 * F3. The table of routes, which api/routes.c owns, and finding one's way in it.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "http/request.h"

enum {
    ROUTE_WHEN_DRAINING = 1 << 0, /* answered to the end, such as /livez; the others are 503 then */
    ROUTE_OPEN = 1 << 1,          /* without the token, and as often as one likes: probes */
    ROUTE_BESIDE_PAGE = 1 << 2,   /* www/ has a page of this path, which GET and HEAD get */
};

struct route {
    enum http_method
        method;          /* GET also serves HEAD; OPTIONS and 405 come from the table as a whole */
    const char *pattern; /* "/compute/{kernel}": a {name} is one segment, decoded, not empty */
    /* When the headers are here and the body is not: refuse, or set a sink. May be NULL. */
    void (*begin)(struct request *r);
    /* When the body is here: answer or park. */
    void (*handle)(struct request *r);
    size_t body_max; /* bytes of body taken; a longer one is 413. 0: a body is refused with 413 */
    unsigned flags;  /* ROUTE_* */
};

struct router {
    const struct route *routes;
    size_t count;
    uint64_t
        begins_none[4]; /* a bit for each first letter of a path that no route has; 0: who knows */
};

/* Notes with which letters no route begins. Without it all is found as well, but what is no route, as the path of a file,
 * is compared with them all. */
void router_prepare(struct router *router);

/* The route for this raw path (not decoded, so that "%2F" is no border) and method, with the parts filled
 * in; the first that fits wins. NULL when there is none; then
 * *ret_allowed has a bit (1u << enum http_method) for each method that the path does have: 0 means that
 * no route knows the path. `storage` keeps the decoded parts. */
const struct route *router_find(const struct router *router, enum http_method method,
                                const char *path, const char **ret_parts, char *storage,
                                size_t storage_bytes, unsigned *ret_allowed);

/* "GET, HEAD, POST, OPTIONS" for those bits. */
void router_allow_text(unsigned allowed, char *out, size_t capacity);

#endif
