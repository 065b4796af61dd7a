/*
 * F2. Statements of SQLite, as the engine uses them: prepared once for each connection, values bound and read one after the
 * other, and all that can go wrong said in the store's own numbers.
 *
 * A connection belongs to one thread at a time.
 */
#ifndef JOBS_STORE_SQLITE_QUERY_H
#define JOBS_STORE_SQLITE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

enum statement {
#define STATEMENT(name, sql) STATEMENT_##name,
#include "jobs/store/sqlite_statements.def"
#undef STATEMENT
    STATEMENT_COUNT
};
extern const char *const statement_texts[STATEMENT_COUNT];

struct connection {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* NULL until used */
    int trouble; /* the last that was told in the log, so that a full disk is told once */
};

/* A file that is not there is made. Extended error codes, not yet any setting. A code of SQLite. */
int connection_open(struct connection *c, const char *path, int busy_ms);
void connection_close(struct connection *c);

/* A code of SQLite as what the store's callers know, and a line in the log for each new trouble: -ENOSPC, -EROFS, -ENOMEM,
 * -ESHUTDOWN (a sync failed), else -EIO. 0 for what is none. */
int connection_errno(struct connection *c, int code);

/* For statements that are run once, several with ; between. Like all below: 0 or negative errno. */
int connection_run(struct connection *c, const char *sql);

/* The first column of the first row. -ENODATA: there is none. */
int connection_number(struct connection *c, const char *sql, int64_t *ret);

struct query {
    struct connection *connection;
    sqlite3_stmt *statement;
    int place; /* of the value that is bound or read next */
    int rc;    /* the first trouble */
};

struct query query_begin(struct connection *c, enum statement which);
void query_end(struct query *q);

/* Lets go of its locks and its values at the end of the block. */
#define QUERY struct query __attribute__((cleanup(query_end)))

/* Texts and blobs must stay until the query ends. Numbers above INT64_MAX come back as they were, but sort as negative. */
void bind_number(struct query *q, uint64_t value);
void bind_number_or_null(struct query *q, uint64_t value); /* 0 is NULL */
void bind_text(struct query *q, const char *text);         /* NULL is NULL */
void bind_blob(struct query *q, const void *data, size_t bytes);
void bind_null(struct query *q);

/* 1: a row, whose columns can be read from the first; 0: no more. */
int query_step(struct query *q);

/* For statements that give no row. */
int query_run(struct query *q);

bool column_is_null(const struct query *q);
uint64_t column_number(struct query *q); /* NULL is 0 */
/* Cut at capacity - 1. */
void column_text(struct query *q, char *out, size_t capacity);
/* *ret is malloc'd and ends with a NUL behind its bytes; NULL when the column is. -ENOMEM. */
int column_copy(struct query *q, void **ret, size_t *ret_bytes);
const void *column_blob(struct query *q, size_t bytes); /* NULL unless it has this size */

#endif
