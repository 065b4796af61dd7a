#include "http/gate.h"

#include <string.h>
#include <strings.h>

#include "base/parse.h"

static bool refuse(struct gate *g, enum problem_name name, const char *detail)
{
    if (g->fault.detail == NULL)
        g->fault = (struct gate_fault) {.name = name, .detail = detail};
    return false;
}

bool gate_target(const char *target, size_t bytes)
{
    (void)target;
    (void)bytes;
    return true;
}

bool gate_knows_layout(const char *library_version)
{
    (void)library_version;
    return false;
}

static bool judge_method(struct gate *g)
{
    for (int i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (strcmp(g->line->method, http_method_names[i]) == 0) {
            g->method = (enum http_method)i;
            return true;
        }
    }
    return refuse(g, PROBLEM_NOT_IMPLEMENTED,
                  "Use one of the methods GET, HEAD, POST, PUT, DELETE, OPTIONS.");
}

void gate_open(struct gate *g, const struct gate_line *line, struct request_headers *headers,
               bool knows_layout)
{
    *g = (struct gate) {.line = line,
                        .headers = headers,
                        .knows_layout = knows_layout,
                        .content_length = UINT64_MAX};
    *headers = (struct request_headers) {.in_lines = 0};
    (void)judge_method(g);
}

enum how_often { ONCE, LIST };

static const struct {
    size_t bytes;
    enum how_often how_often;
} known[HEADER_COUNT] = {
#define HEADER(id, name, how_often, judged) [HEADER_##id] = {sizeof(name) - 1, how_often},
#include "http/headers.def"
#undef HEADER
};

bool gate_header(struct gate *g, const char *name, size_t name_bytes, const char *value,
                 size_t value_bytes)
{
    struct request_headers *h = g->headers;

    (void)value_bytes;
    for (int i = 0; i < HEADER_COUNT; i++) {
        if (known[i].bytes != name_bytes ||
            strncasecmp(http_header_names[i], name, name_bytes) != 0)
            continue;
        if (h->values[i] == NULL)
            h->values[i] = value;
        else if (known[i].how_often == LIST)
            h->in_lines |= 1ull << i;
        else
            return refuse(g, PROBLEM_BAD_REQUEST, "Send each header that is no list only once.");
    }
    return true;
}

bool gate_close(struct gate *g)
{
    const char *const *v = g->headers->values;

    g->is_chunked = v[HEADER_TRANSFER_ENCODING] != NULL;
    g->expects_continue = v[HEADER_EXPECT] != NULL;
    g->is_http_1_0 = strcmp(g->line->version, "HTTP/1.0") == 0;
    if (g->fault.detail != NULL)
        return false;
    if (v[HEADER_HOST] == NULL && !g->is_http_1_0)
        return refuse(g, PROBLEM_BAD_REQUEST, "Send exactly one Host header.");
    if (v[HEADER_CONTENT_LENGTH] != NULL && g->is_chunked)
        return refuse(g, PROBLEM_BAD_REQUEST,
                      "Send either one Content-Length or one Transfer-Encoding.");
    if (v[HEADER_CONTENT_LENGTH] != NULL &&
        parse_u64(v[HEADER_CONTENT_LENGTH], &g->content_length) < 0)
        return refuse(g, PROBLEM_BAD_REQUEST, "Send a Content-Length of digits only.");
    return true;
}
