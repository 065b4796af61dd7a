/*
 * F3, http's own, pure. The request gate: whether the head of a request is one that every HTTP parser in front of
 * us reads as we do. What is not is refused with the connection, before anything is routed.
 *
 * libmicrohttpd 0.9.75 takes bare line feeds, NULs, folded lines and blanks before a colon, and then reads another
 * request than a proxy did. It parses in place, so the addresses of what it hands out show where each byte
 * stood: with `knows_layout`, every name must begin where the line before it ended, and the last line must
 * end the head. Others, 1.0 among them, lay it out otherwise; they are told to judge the form themselves (head.c), and only
 * the meaning is judged here.
 *
 * What cannot be seen here: libmicrohttpd puts NULs where lines end, so a NUL that stood in the place of a CR looks like
 * it; lines that are empty or begin with a NUL are gone when they come before the request line; 0.9.77 puts blanks where
 * a folded value is joined, as RFC 9112 (5.2) allows; and the body, its chunks and trailers come later.
 *
 * Knows nothing of libmicrohttpd itself: head.c hands in what it got, so tests and fuzzers can do the same.
 *
 *     gate_rules_init(&rules, …), once;
 *     gate_open(&g, &rules, &line, &headers);
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
#include "http/target.h"

enum {
    GATE_NAME_BYTES_MAX = 31, /* of a header that somebody reads */
    GATE_CHAINS = 128,
};

/* What does not change between requests. */
struct gate_rules {
    bool knows_layout;
    unsigned target_bytes_max, header_bytes_max, headers_max;
    /* Chains of the known headers by length and two letters of their names: indexes + 1, 0 at the end. */
    uint8_t first[GATE_CHAINS], next[HEADER_COUNT];
};

/* The request line and where the head ends, as libmicrohttpd has them. */
struct gate_line {
    const char *method, *version;
    const char *target; /* where it stood; its bytes may have been decoded since */
    size_t target_bytes;
    struct target
        parts; /* of a copy of the target, made when it had come; not used when it is too long */
    bool target_is_sound; /* target_is_sound said so of that copy */
    size_t head_bytes;    /* of the whole head, from `method` on; 0: not known */
};

/* `option` is the one that sets `limit`; NULL: no limit was passed. */
struct gate_fault {
    enum problem_name name;
    const char *detail; /* static; NULL: none */
    const char *option;
    unsigned limit;
};

struct gate {
    struct gate_fault fault;
    const struct gate_rules *rules;
    const struct gate_line *line;
    struct request_headers *headers; /* the caller's, filled in */
    enum http_method method;         /* HTTP_METHOD_COUNT: none that is known */
    bool is_http_1_0, is_chunked, expects_continue;
    uint64_t content_length; /* UINT64_MAX: absent */
    unsigned header_count;
    const char *next; /* with the layout: where the next name must begin */
};

void gate_rules_init(struct gate_rules *rules, bool knows_layout, unsigned target_bytes_max,
                     unsigned header_bytes_max, unsigned headers_max);

/* Judges the request line. `headers` is emptied and then filled; all pointers must live as long as the gate. */
void gate_open(struct gate *g, const struct gate_rules *rules, const struct gate_line *line,
               struct request_headers *headers);

/* In their order; a name or value ends with a NUL that is not counted. The blanks behind a value that somebody reads
 * are cut off in its place. False when it is no use to go on. */
bool gate_header(struct gate *g, const char *name, size_t name_bytes, char *value,
                 size_t value_bytes);

/* What can only be said of all of them. False with g->fault set: refuse and close. */
bool gate_close(struct gate *g);

/* Whether this version of libmicrohttpd lays heads out as 0.9.75 does. */
bool gate_knows_layout(const char *library_version);

#endif
