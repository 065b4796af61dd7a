/*
 * For fuzzing: lays the head of a request out in memory as libmicrohttpd 0.9.75 does, which parses in place: line ends
 * and separators become NUL, bare line feeds end lines, blanks before the target are skipped, folded lines are glued
 * to the name, the target is decoded where it stands, and a line that begins with a colon or NUL ends the head.
 */
#ifndef FUZZ_LAYOUT_H
#define FUZZ_LAYOUT_H

#include "http/gate.h"

enum { LAYOUT_HEADERS_MAX = 256 };

struct layout_header {
    const char *name;
    char *value;
    size_t name_bytes, value_bytes;
};

struct layout {
    char *memory; /* exactly the head, so that a sanitizer sees who reads behind it */
    char *target; /* as it came */
    struct gate_line line;
    struct layout_header headers[LAYOUT_HEADERS_MAX];
    char *glued[LAYOUT_HEADERS_MAX]; /* names that folded lines were added to */
    unsigned count;
};

/* `data` begins with the method. False when libmicrohttpd would refuse it, or wait for more. The result is released in
 * either case. */
bool layout_parse(struct layout *l, const char *data, size_t bytes);
void layout_release(struct layout *l);

#endif
