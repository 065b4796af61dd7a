/*
 * F3, http's own, pure. The request gate: whether the head of a request is one that every HTTP parser in front of
 * us reads as we do. What is not is refused with the connection, before anything is routed.
 *
 * libmicrohttpd 0.9.75 takes bare line feeds, NULs, folded lines and blanks before a colon, and then reads another
 * request than a proxy did. It parses in place, so the addresses of what it hands out show where each byte
 * stood: with `knows_layout`, every name must begin where the line before it ended, and the last line must
 * end the head. Other versions lay it out otherwise; there only the meaning is judged, which is all they need.
 *
 * Knows nothing of libmicrohttpd itself: serve.c hands in what it got, so tests and fuzzers can do the same.
 *
 *     gate_open(&g, &line, knows_layout);
 *     for each header: gate_header(&g, name, name_bytes, value, value_bytes);
 *     if (!gate_close(&g)) refuse with g.fault
 */
#ifndef HTTP_GATE_H
#define HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"
#include "http/response.h"

/* The request line and where the head ends, as libmicrohttpd has them. `target` is raw; see gate_target. */
struct gate_line {
    const char *method, *target, *version;
    size_t target_bytes;
    bool target_is_sound; /* gate_target said so, while the bytes were still as they came */
    size_t head_bytes;    /* of the whole head, from `method` on; used with the layout only */
};

struct gate_fault {
    enum problem_name name;
    const char *detail; /* static; NULL: none */
};

struct gate {
    struct gate_fault fault;
    struct request_headers *headers; /* the caller's, filled in */
    const struct gate_line *line;
    enum http_method method;
    bool is_http_1_0, is_chunked, expects_continue;
    uint64_t content_length; /* UINT64_MAX: absent */
    unsigned header_count;
    bool knows_layout;
    const char *next; /* where the next name must begin */
};

/* Whether the raw target has only bytes that a target may have, sound escapes, and no %00. Must be asked when
 * libmicrohttpd hands the target out: it decodes it in place afterwards. */
bool gate_target(const char *target, size_t bytes);

/* Judges the request line. `headers` is emptied and then filled; the line must live as long as the gate. */
void gate_open(struct gate *g, const struct gate_line *line, struct request_headers *headers,
               bool knows_layout);

/* In their order. False when it is no use to go on. */
bool gate_header(struct gate *g, const char *name, size_t name_bytes, const char *value,
                 size_t value_bytes);

/* What can only be said of all of them. False with g->fault set: refuse and close. */
bool gate_close(struct gate *g);

/* Whether this version of libmicrohttpd lays heads out as 0.9.75 does. */
bool gate_knows_layout(const char *library_version);

#endif
