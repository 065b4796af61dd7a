/*
 * F5, below the rest of api. The HTTP contract as OpenAPI 3.1, made from the table of routes, the kernels that are served,
 * the list of problems, and what is written here of each.
 *
 * Who adds a route to api/routes.c adds:
 *   1. a row to operations.def, at the same place. The unit test of this folder fails without it.
 *   2. what that row names and is not there yet: parameters.json, bodies.json, responses.json (headers.json), and the
 *      schemas that they refer to in schemas.json. They are OpenAPI's own components, and part of the program. A stream of
 *      events says under "x-events" what each of them holds.
 * Nothing more: the document, the page /docs, and the tests that compare the server's answers with it go by these.
 *
 * May use base, jobs and http, and jansson. Any thread; nothing is kept between calls.
 */
#ifndef API_DOCS_DOCS_H
#define API_DOCS_DOCS_H

#include <jansson.h>
#include <stdbool.h>

#include "http/router.h"
#include "jobs/catalog.h"

struct docs {
    const struct router *router;
    const struct kernel *const *kernels; /* held by the caller */
    unsigned kernel_count;
    bool wants_token; /* --token-file is there */
};

/* The document, the caller's; NULL when out of memory. A row that names what there is not is a bug of ours. A route without
 * a row is left out. */
json_t *docs_document(const struct docs *docs);

/* What operations.def says of a route; all static. */
struct operation {
    enum http_method method;
    const char *pattern, *tag, *id, *summary, *description;
    const char *takes, *body, *answers, *problems;
};
const struct operation *docs_operations(size_t *ret_count);

/* NULL when there is no row. */
const struct operation *docs_find(enum http_method method, const char *pattern);

#endif
