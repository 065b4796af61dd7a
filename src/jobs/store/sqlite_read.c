#include "jobs/store/sqlite.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/fd.h"

/* ---- connections that read ---- */

void sqlite_readers_init(struct readers *r)
{
    lock_init(&r->lock, LOCK_LIMITS);
    CHECK(pthread_cond_init(&r->freed, NULL) == 0);
}

void sqlite_readers_release(struct readers *r)
{
    CHECK(r->idle_count == r->open_count);
    for (unsigned i = 0; i < r->open_count; i++)
        connection_close(&r->connections[i]);
    CHECK(pthread_cond_destroy(&r->freed) == 0);
    lock_release(&r->lock);
}

/* It never writes, and leaves the log to the one that does. */
static int open_reader(struct connection *c, const char *path)
{
    int rc = connection_errno(c, connection_open(c, path, SQLITE_BUSY_MS));

    if (rc == 0)
        rc = connection_errno(c,
                              sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL));
    if (rc == 0)
        rc = connection_run(c, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;"
                               "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
                               "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;");
    return rc;
}

static void give_back(struct readers *r, struct connection *c)
{
    LOCKED(&r->lock);
    r->idle[r->idle_count++] = c;
    CHECK(pthread_cond_signal(&r->freed) == 0);
}

static struct connection *take_any(struct readers *r)
{
    LOCKED(&r->lock);
    while (r->idle_count == 0 && r->open_count == SQLITE_READERS_MAX)
        CHECK(pthread_cond_wait(&r->freed, &r->lock.mutex) == 0);
    if (r->idle_count > 0)
        return r->idle[--r->idle_count];
    return &r->connections[r->open_count++];
}

/* One that could not be opened goes back closed, and whoever takes it next tries again. */
static int take(struct sqlite *s, struct connection **ret)
{
    struct connection *c = take_any(&s->readers);
    int rc = c->db != NULL ? 0 : open_reader(c, s->path);

    if (rc < 0) {
        connection_close(c);
        give_back(&s->readers, c);
        return rc;
    }
    c->trouble = 0;
    *ret = c;
    return 0;
}

struct loan {
    struct readers *readers;
    struct connection *connection;
    int rc;
};

static struct loan lend(struct sqlite *s)
{
    struct loan loan = {.readers = &s->readers};

    loan.rc = take(s, &loan.connection);
    return loan;
}

static void end_loan(struct loan *loan)
{
    if (loan->connection != NULL)
        give_back(loan->readers, loan->connection);
}

/* Declared before the queries of a block, so that it ends after them. */
#define LOAN struct loan __attribute__((cleanup(end_loan)))

/* ---- jobs ---- */

int sqlite_find(void *e, const char *id, struct record *ret)
{
    LOAN loan = lend(e);
    struct row row;
    int rc = loan.rc < 0 ? loan.rc : sqlite_find_row(loan.connection, id, &row);

    if (rc == 0)
        *ret = row.record;
    return rc;
}

static enum statement list_statement(const struct store_filter *filter)
{
    if (filter->kernel == NULL)
        return filter->state < 0 ? STATEMENT_LIST_ALL : STATEMENT_LIST_STATE;
    return filter->state < 0 ? STATEMENT_LIST_KERNEL : STATEMENT_LIST_BOTH;
}

/* In the order of their numbers in the statements. */
static void bind_filter(struct query *q, const struct store_filter *filter, size_t max)
{
    bind_number(q, filter->before == 0 ? (uint64_t)INT64_MAX : filter->before);
    bind_number(q, MIN(max, (size_t)STORE_LIST_MAX));
    if (filter->state >= 0)
        bind_number(q, (uint64_t)filter->state);
    if (filter->kernel != NULL)
        bind_text(q, filter->kernel);
}

int sqlite_list(void *e, const struct store_filter *filter, size_t max, struct record *ret)
{
    LOAN loan = lend(e);
    struct row row;
    int count = 0, rc = 0;

    if (loan.rc < 0)
        return loan.rc;
    QUERY q = query_begin(loan.connection, list_statement(filter));
    bind_filter(&q, filter, max);
    while (rc == 0 && (rc = query_step(&q)) > 0) {
        rc = row_read(&q, &row);
        if (rc == 0)
            ret[count++] = row.record;
    }
    return rc < 0 ? rc : count;
}

int sqlite_attempts(void *e, uint64_t seq, struct record_attempt **ret)
{
    LOAN loan = lend(e);
    struct record_attempt *attempts CLEANUP_FREE = NULL;
    int count = 0, rc = 0;

    if (loan.rc < 0)
        return loan.rc;
    attempts = calloc(RECORD_ATTEMPTS_MAX, sizeof(*attempts));
    if (attempts == NULL)
        return -ENOMEM;
    QUERY q = query_begin(loan.connection, STATEMENT_ATTEMPT_LIST);
    bind_number(&q, seq);
    while (count < RECORD_ATTEMPTS_MAX && rc == 0 && (rc = query_step(&q)) > 0)
        rc = attempt_read(&q, &attempts[count++]);
    if (rc < 0)
        return rc;
    *ret = take_ptr(attempts);
    return count;
}

/* How many will be claimed before it; those that wait for their time are not among them. */
int sqlite_position(void *e, const struct record *record, uint64_t *ret)
{
    LOAN loan = lend(e);
    int rc;

    if (loan.rc < 0)
        return loan.rc;
    QUERY q = query_begin(loan.connection, STATEMENT_QUEUE_BEFORE);
    bind_number(&q, record->priority);
    bind_number(&q, record->seq);
    rc = query_step(&q);
    if (rc > 0)
        *ret = column_number(&q);
    return MIN(rc, 0);
}

/* ---- what belongs to a job ---- */

static int read_file(struct sqlite *s, uint64_t seq, struct payload *payload)
{
    CLEANUP_FD int fd = -1;
    CLEANUP_FREE char *data = NULL;
    size_t bytes;
    int rc = files_open_one(s->files, FILES_INPUT, seq, &fd, &bytes);

    if (rc < 0)
        return rc == -ENOENT ? -ENODATA : rc;
    if (bytes != payload->input_bytes)
        return -EIO;
    data = malloc(bytes + 1);
    if (data == NULL)
        return -ENOMEM;
    if (fd_read_from_start(fd, data, bytes) != (ssize_t)bytes)
        return -EIO;
    data[bytes] = '\0';
    payload->input = take_ptr(data);
    return 0;
}

static int read_payload(struct sqlite *s, struct connection *c, uint64_t seq,
                        struct payload *payload)
{
    QUERY q = query_begin(c, STATEMENT_PAYLOAD_LOAD);
    void *params;
    size_t bytes, input_bytes;
    int rc;

    bind_number(&q, seq);
    rc = query_step(&q);
    if (rc <= 0)
        return rc < 0 ? rc : -ENODATA;
    if (column_is_null(&q))
        return -ENODATA;
    rc = column_copy(&q, &params, &bytes);
    if (rc < 0)
        return rc;
    payload->params = params;
    payload->input_kind = (enum prong_input)column_number(&q);
    payload->input_bytes = column_number(&q);
    rc = column_copy(&q, &payload->input, &input_bytes);
    if (rc == 0 && payload->input == NULL && payload->input_kind != PRONG_INPUT_NONE)
        return read_file(s, seq, payload);
    return rc;
}

int sqlite_payload(void *e, uint64_t seq, struct payload *ret)
{
    LOAN loan = lend(e);
    struct payload payload = {.params = NULL};
    int rc = loan.rc < 0 ? loan.rc : read_payload(e, loan.connection, seq, &payload);

    if (rc < 0)
        payload_release(&payload);
    else
        *ret = payload;
    return rc;
}

int sqlite_params(void *e, uint64_t seq, char **ret)
{
    LOAN loan = lend(e);
    void *params;
    size_t bytes;
    int rc;

    if (loan.rc < 0)
        return loan.rc;
    QUERY q = query_begin(loan.connection, STATEMENT_PARAMS_LOAD);
    bind_number(&q, seq);
    rc = query_step(&q);
    if (rc <= 0)
        return rc < 0 ? rc : -ENODATA;
    rc = column_copy(&q, &params, &bytes);
    if (rc == 0)
        *ret = params;
    return rc;
}

static int open_result(struct sqlite *s, uint64_t seq, struct store_result *ret)
{
    int rc = files_open_one(s->files, FILES_RESULT, seq, &ret->fd, &ret->bytes);

    return rc == -ENOENT ? -ENODATA : rc;
}

int sqlite_result(void *e, uint64_t seq, struct store_result *ret)
{
    LOAN loan = lend(e);
    struct store_result result = {.fd = -1};
    int rc;

    if (loan.rc < 0)
        return loan.rc;
    QUERY q = query_begin(loan.connection, STATEMENT_RESULT_LOAD);
    bind_number(&q, seq);
    rc = query_step(&q);
    if (rc <= 0)
        return rc < 0 ? rc : -ENODATA;
    rc = column_is_null(&q) ? open_result(e, seq, &result)
                            : column_copy(&q, &result.data, &result.bytes);
    if (rc == 0)
        *ret = result;
    return rc;
}

/* ---- the shared state ---- */

static int read_version(struct connection *c, uint64_t *ret)
{
    QUERY q = query_begin(c, STATEMENT_META_LOAD);
    int rc;

    bind_text(&q, "state_version");
    rc = query_step(&q);
    if (rc >= 0)
        *ret = rc > 0 ? column_number(&q) : 0;
    return MIN(rc, 0);
}

static int read_keys(struct connection *c,
                     int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                     void *arg)
{
    QUERY q = query_begin(c, STATEMENT_STATE_LIST);
    int rc;

    while ((rc = query_step(&q)) > 0) {
        CLEANUP_FREE void *key = NULL;
        CLEANUP_FREE void *value = NULL;
        size_t bytes;

        rc = column_copy(&q, &key, &bytes);
        if (rc == 0)
            rc = column_copy(&q, &value, &bytes);
        if (rc == 0)
            rc = each(arg, key, value, column_number(&q));
        if (rc != 0)
            return rc;
    }
    return rc;
}

int sqlite_each_state(void *e,
                      int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                      void *arg, uint64_t *ret_version)
{
    LOAN loan = lend(e);
    struct connection *c = loan.connection;
    uint64_t version = 0;
    int rc = loan.rc < 0 ? loan.rc : connection_run(c, "BEGIN");

    if (rc < 0)
        return rc;
    rc = read_version(c, &version);
    if (rc == 0)
        rc = read_keys(c, each, arg);
    (void)connection_run(c, "COMMIT");
    if (rc == 0)
        *ret_version = version;
    return rc;
}

int sqlite_find_state(void *e, const char *key, char **ret_value, uint64_t *ret_version)
{
    LOAN loan = lend(e);
    void *value;
    size_t bytes;
    int rc;

    if (loan.rc < 0)
        return loan.rc;
    QUERY q = query_begin(loan.connection, STATEMENT_STATE_LOAD);
    bind_text(&q, key);
    rc = query_step(&q);
    if (rc <= 0)
        return rc < 0 ? rc : -ENOENT;
    rc = column_copy(&q, &value, &bytes);
    if (rc < 0)
        return rc;
    *ret_version = column_number(&q);
    *ret_value = value;
    return 0;
}
