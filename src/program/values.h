/*
 * F2b, behind the wall. What one task gives to a program that runs once: names and texts, written by the
 * worker into the pipe that will be the program's standard input, behind their length, and read by the forked
 * child alone, after it has given up all it could give up; and how they become words of its command line and variables of its environment. Uses ipc and base.
 */
#ifndef PROGRAM_VALUES_H
#define PROGRAM_VALUES_H

#include <stddef.h>

#include "base/buf.h"

enum {
    VALUES_MAX = 40,             /* parameters, and what else is told */
    VALUES_BYTES_MAX = 10 << 20, /* of all together */
    VALUES_VARIABLE_MAX =
        100000, /* bytes: what is longer is no variable, for the system would refuse it */
};

struct values {
    size_t count;
    struct values_pair {
        const char *name, *text;
    } pairs[VALUES_MAX];
};

/* Appends one; buf_failed tells. `name` as parse_name likes it. */
void values_put(struct buf *b, const char *name, const char *text, size_t bytes);

/* Reads them all; pointers into `data`. -EPROTO for what values_put has not made. */
int values_read(const void *data, size_t bytes, struct values *ret);

/* The text of that name; NULL when there is none. */
const char *values_find(const struct values *v, const char *name);

/* "PRONG_PARAM_NAME=text", the name in capitals and with _ for -. malloc'd; NULL without memory. */
char *values_variable(const struct values_pair *pair);

#endif
