/*
 * What the client shows to people. Whatever came from elsewhere is shown without control characters, which a terminal would
 * obey.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { PRINT_COLUMNS_MAX = 8, PRINT_VALUE_BYTES_MAX = 500 };

/* A copy without control characters, malloc'd: "\x1b" in their place. NULL when out of memory. */
char *print_fit(const char *text);

/* Rows under headings, in columns as wide as they must be. */
struct print_table {
    const char *const *headings;
    size_t columns;
    char **cells; /* count of them; their owner */
    size_t count, capacity;
    int failed; /* -ENOMEM */
};

void print_table_init(struct print_table *t, const char *const *headings, size_t columns);
void print_table_release(struct print_table *t);

/* The next cell, row by row; NULL or "" is shown as "-". */
void print_table_add(struct print_table *t, const char *text);

/* To standard output. -ENOMEM when a cell is missing. */
int print_table(const struct print_table *t);

/* "key: value" for each member that is not null; times as dates, and of long values the beginning. */
void print_members(json_t *object);

/* "42 s", "7 min", "3 h" or "12 d" into `out`, cut to whole ones. */
void print_duration(double seconds, char *out, size_t capacity);

/* Where a page ends: on standard error, how to get the next one. Nothing when `next` is NULL. */
void print_next(const char *command, const char *next);

/* One line on standard error: "prong: …". */
void print_complaint(const char *sentence);

#endif
