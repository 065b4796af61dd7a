#include "jobs/store/sqlite_query.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "jobs/store/sqlite_row.h"

const char *const statement_texts[STATEMENT_COUNT] = {
#define STATEMENT(name, sql) [STATEMENT_##name] = (sql),
#include "jobs/store/sqlite_statements.def"
#undef STATEMENT
};

int connection_open(struct connection *c, const char *path, int busy_ms)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    int code;

    *c = (struct connection) {.db = NULL};
    code = sqlite3_open_v2(path, &c->db, flags, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(c->db, busy_ms);
    return code;
}

void connection_close(struct connection *c)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(c->statements[i]);
    if (c->db != NULL)
        CHECK(sqlite3_close(c->db) == SQLITE_OK);
    *c = (struct connection) {.db = NULL};
}

static bool is_no_room(const struct connection *c, int code)
{
    int error;

    if ((code & 0xff) == SQLITE_FULL)
        return true;
    if ((code & 0xff) != SQLITE_IOERR || c->db == NULL)
        return false;
    error = sqlite3_system_errno(c->db);
    return error == ENOSPC || error == EDQUOT;
}

static int errno_of(const struct connection *c, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return 0;
    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC ||
        code == SQLITE_IOERR_TRUNCATE)
        return -ESHUTDOWN;
    if (is_no_room(c, code))
        return -ENOSPC;
    if ((code & 0xff) == SQLITE_READONLY)
        return -EROFS;
    return (code & 0xff) == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM ? -ENOMEM : -EIO;
}

int connection_errno(struct connection *c, int code)
{
    int rc = errno_of(c, code);
    int error = c->db == NULL ? 0 : sqlite3_system_errno(c->db);

    if (rc == 0 || rc == c->trouble)
        return rc;
    c->trouble = rc;
    log_error("the store's database: %s (SQLite's code %d%s%s)", sqlite3_errstr(code), code,
              error != 0 ? ", the system says: " : "", error != 0 ? strerror(error) : "");
    return rc;
}

int connection_run(struct connection *c, const char *sql)
{
    return connection_errno(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

int connection_number(struct connection *c, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    if (code == SQLITE_DONE)
        return -ENODATA;
    return connection_errno(c, code);
}

struct query query_begin(struct connection *c, enum statement which)
{
    struct query q = {.connection = c};
    sqlite3_stmt **statement = &c->statements[which];

    if (*statement == NULL)
        q.rc = connection_errno(c, sqlite3_prepare_v3(c->db, statement_texts[which], -1,
                                                      SQLITE_PREPARE_PERSISTENT, statement, NULL));
    q.statement = *statement;
    return q;
}

void query_end(struct query *q)
{
    if (q->statement == NULL)
        return;
    (void)sqlite3_reset(q->statement);
    (void)sqlite3_clear_bindings(q->statement);
}

static void note(struct query *q, int code)
{
    if (q->rc == 0)
        q->rc = connection_errno(q->connection, code);
}

void bind_number(struct query *q, uint64_t value)
{
    if (q->rc == 0)
        note(q, sqlite3_bind_int64(q->statement, ++q->place, (sqlite3_int64)value));
}

void bind_null(struct query *q)
{
    if (q->rc == 0)
        note(q, sqlite3_bind_null(q->statement, ++q->place));
}

void bind_number_or_null(struct query *q, uint64_t value)
{
    if (value == 0)
        bind_null(q);
    else
        bind_number(q, MIN(value, (uint64_t)INT64_MAX));
}

void bind_text(struct query *q, const char *text)
{
    if (text == NULL)
        bind_null(q);
    else if (q->rc == 0)
        note(q, sqlite3_bind_text64(q->statement, ++q->place, text, strlen(text), SQLITE_STATIC,
                                    SQLITE_UTF8));
}

void bind_blob(struct query *q, const void *data, size_t bytes)
{
    if (q->rc == 0)
        note(q, sqlite3_bind_blob64(q->statement, ++q->place, data == NULL ? "" : data, bytes,
                                    SQLITE_STATIC));
}

int query_step(struct query *q)
{
    int code;

    if (q->rc < 0)
        return q->rc;
    code = sqlite3_step(q->statement);
    q->place = 0;
    note(q, code);
    if (q->rc < 0)
        return q->rc;
    return code == SQLITE_ROW ? 1 : 0;
}

int query_run(struct query *q)
{
    int rc = query_step(q);

    CHECK(rc <= 0);
    return rc;
}

bool column_is_null(const struct query *q)
{
    return sqlite3_column_type(q->statement, q->place) == SQLITE_NULL;
}

uint64_t column_number(struct query *q)
{
    return (uint64_t)sqlite3_column_int64(q->statement, q->place++);
}

void column_text(struct query *q, char *out, size_t capacity)
{
    int column = q->place++;
    const unsigned char *text = sqlite3_column_text(q->statement, column);
    size_t bytes = MIN((size_t)sqlite3_column_bytes(q->statement, column), capacity - 1);

    if (text == NULL)
        bytes = 0;
    else
        memcpy(out, text, bytes);
    out[bytes] = '\0';
}

int column_copy(struct query *q, void **ret, size_t *ret_bytes)
{
    int column = q->place++;
    const void *data = sqlite3_column_blob(q->statement, column);
    size_t bytes = (size_t)sqlite3_column_bytes(q->statement, column);
    char *copy;

    *ret = NULL;
    *ret_bytes = bytes;
    if (sqlite3_column_type(q->statement, column) == SQLITE_NULL)
        return 0;
    if (data == NULL && bytes > 0)
        return -ENOMEM;
    copy = malloc(bytes + 1);
    if (copy == NULL)
        return -ENOMEM;
    if (bytes > 0)
        memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    *ret = copy;
    return 0;
}

const void *column_blob(struct query *q, size_t bytes)
{
    int column = q->place++;
    const void *data = sqlite3_column_blob(q->statement, column);

    return (size_t)sqlite3_column_bytes(q->statement, column) == bytes ? data : NULL;
}
