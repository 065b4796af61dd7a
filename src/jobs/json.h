/*
 * F2. JSON from clients, read strictly: no duplicate keys, no NaN, no integer that a double cannot hold, bounded
 * depth; and written without surprises.
 *
 * May use base and jansson. Any thread.
 */
#ifndef JOBS_JSON_H
#define JOBS_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define JSON_INTEGER_MAX 9007199254740992LL /* 2^53: above, a double cannot tell neighbours apart */

/* What was wrong and where; line and column count from 1. */
struct json_problem {
    int line, column;
    char text[320]; /* one sentence */
};

/* A new value, the caller's to json_decref; NULL and *ret_problem otherwise. */
json_t *json_read(const char *text, size_t bytes, struct json_problem *ret_problem);

/* Compact text, NUL-terminated and malloc'd; NULL when out of memory. Reals are the shortest that read
 * back the same. */
char *json_write(json_t *value, size_t *ret_bytes);

/* The same, the members of objects by name: one text for all values that are equal. */
char *json_write_sorted(json_t *value, size_t *ret_bytes);

/* A value as text for an error, cut to fit: never more than `capacity`. */
void json_brief(json_t *value, char *out, size_t capacity);

#endif
