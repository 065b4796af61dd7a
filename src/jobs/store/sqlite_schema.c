#include "jobs/store/sqlite.h"

#include <errno.h>

#include "base/check.h"

/* Each brings the tables from the version of its place to the next; what has been released is never changed. */
static const char *const migrations[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY,"
    " id BLOB NOT NULL UNIQUE,"
    " kernel TEXT NOT NULL,"
    " client TEXT NOT NULL,"
    " priority INTEGER NOT NULL,"
    " chunks_wanted INTEGER NOT NULL,"
    " timeout_us INTEGER NOT NULL,"
    " deadline_us INTEGER,"
    " payload_bytes INTEGER NOT NULL,"
    " attempts_max INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " lease INTEGER NOT NULL,"
    " run_at_us INTEGER,"
    " started_us INTEGER NOT NULL,"
    " finished_us INTEGER," /* NULL until it has ended */
    " outcome INTEGER NOT NULL,"
    " wait_status INTEGER NOT NULL,"
    " was_oom INTEGER NOT NULL,"
    " text TEXT NOT NULL,"
    " wait_ns INTEGER NOT NULL,"
    " run_ns INTEGER NOT NULL,"
    " cpu_ns INTEGER NOT NULL,"
    " max_rss_kb INTEGER NOT NULL,"
    " chunks INTEGER NOT NULL,"
    " retries INTEGER NOT NULL,"
    " workers INTEGER NOT NULL,"
    " media_type TEXT NOT NULL,"
    " result INTEGER NOT NULL,"
    " result_bytes INTEGER NOT NULL,"
    " payload INTEGER NOT NULL,"
    " files INTEGER NOT NULL,"
    " idempotency_key TEXT,"
    " fingerprint INTEGER NOT NULL"
    ") STRICT;"
    /* seq is the last column of each. */
    "CREATE INDEX job_state ON job (state);"
    "CREATE INDEX job_kernel ON job (kernel);"
    "CREATE INDEX job_kernel_state ON job (kernel, state);"
    "CREATE UNIQUE INDEX job_key ON job (idempotency_key) WHERE idempotency_key IS NOT NULL;"
    "CREATE INDEX job_ready ON job (priority) WHERE state = 0 AND run_at_us IS NULL;"
    "CREATE INDEX job_due ON job (run_at_us) WHERE state = 0 AND run_at_us IS NOT NULL;"
    "CREATE INDEX job_deadline ON job (deadline_us) WHERE state = 0 AND deadline_us IS NOT NULL;"
    "CREATE INDEX job_ended ON job (finished_us) WHERE finished_us IS NOT NULL;"
    "CREATE INDEX job_result ON job (finished_us) WHERE result = 1;"
    "CREATE INDEX job_payload ON job (finished_us) WHERE payload = 2 AND finished_us IS NOT NULL;"
    "CREATE TABLE payload ("
    " seq INTEGER PRIMARY KEY REFERENCES job (seq) ON DELETE CASCADE,"
    " params TEXT," /* NULL: gone */
    " input_kind INTEGER NOT NULL,"
    " input_bytes INTEGER NOT NULL,"
    " input BLOB" /* NULL: none, or a file, or gone */
    ") STRICT;"
    "CREATE TABLE result ("
    " seq INTEGER PRIMARY KEY REFERENCES job (seq) ON DELETE CASCADE,"
    " data BLOB" /* NULL: a file */
    ") STRICT;"
    "CREATE TABLE attempt ("
    " seq INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,"
    " number INTEGER NOT NULL,"
    " started_us INTEGER NOT NULL,"
    " finished_us INTEGER NOT NULL,"
    " outcome INTEGER NOT NULL,"
    " wait_status INTEGER NOT NULL,"
    " was_oom INTEGER NOT NULL,"
    " text TEXT NOT NULL,"
    " PRIMARY KEY (seq, number)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE state (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL, version INTEGER NOT "
    "NULL) STRICT;",
};

static int migrate(struct connection *c, size_t version)
{
    char numbers[96];
    int rc = connection_run(c, "BEGIN IMMEDIATE");

    (void)snprintf(numbers, sizeof(numbers),
                   "PRAGMA application_id = %d; PRAGMA user_version = %zu", SQLITE_APPLICATION,
                   version + 1);
    if (rc == 0)
        rc = connection_run(c, migrations[version]);
    if (rc == 0)
        rc = connection_run(c, numbers);
    if (rc == 0)
        rc = connection_run(c, "COMMIT");
    if (rc < 0 && sqlite3_get_autocommit(c->db) == 0)
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static int refuse(struct sqlite *s, int rc, struct err *err)
{
    int code = sqlite3_extended_errcode(s->writer.db);

    if (code == SQLITE_NOTADB)
        return err_set(err, -EINVAL,
                       "%s is not a database: move it away, or choose another file with "
                       "--store sqlite:PATH.",
                       s->path);
    if ((code & 0xff) == SQLITE_CORRUPT)
        return err_set(err, -EIO,
                       "The database %s is damaged: restore a copy of it, or move it away to start "
                       "without its jobs and state.",
                       s->path);
    return err_set(err, rc, "Cannot use the database %s: %s.", s->path,
                   sqlite3_errmsg(s->writer.db));
}

/* Nothing is written before it is known whose database this is. */
static int check_owner(struct sqlite *s, int64_t *ret_version, struct err *err)
{
    struct connection *c = &s->writer;
    int64_t application, tables, version;
    int rc = connection_number(c, "PRAGMA application_id", &application);

    if (rc == 0)
        rc = connection_number(c, "PRAGMA user_version", &version);
    if (rc == 0)
        rc = connection_number(c, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc < 0)
        return refuse(s, rc, err);
    if (application != SQLITE_APPLICATION && (application != 0 || version != 0 || tables != 0))
        return err_set(err, -EINVAL,
                       "%s is the database of another program: choose another file with --store "
                       "sqlite:PATH.",
                       s->path);
    if (version < 0 || version > (int64_t)ARRAY_SIZE(migrations))
        return err_set(err, -EINVAL,
                       "The database %s was written by a newer prong (its version is %lld, this "
                       "one knows %zu): run that prong, or choose another file with --store "
                       "sqlite:PATH.",
                       s->path, (long long)version, ARRAY_SIZE(migrations));
    *ret_version = version;
    return 0;
}

/* What matters is read back: a setting that SQLite was built without is ignored by it. */
static int set_up(struct sqlite *s, struct err *err)
{
    struct connection *c = &s->writer;
    int64_t is_wal = 0, synchronous = 0;
    int rc = connection_run(c, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
                               "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;"
                               "PRAGMA cache_size = -16000; PRAGMA locking_mode = NORMAL;");

    if (rc == 0)
        rc = connection_number(c, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal);
    if (rc == 0)
        rc = connection_number(c, "PRAGMA synchronous", &synchronous);
    if (rc < 0)
        return refuse(s, rc, err);
    if (is_wal != 1 || synchronous != 2)
        return err_set(err, -EIO,
                       "The database %s cannot have a write-ahead log where it is: choose a file "
                       "on a local disk with --store sqlite:PATH.",
                       s->path);
    return 0;
}

int sqlite_schema_open(struct sqlite *s, struct err *err)
{
    int64_t version = 0;
    int rc = check_owner(s, &version, err);

    if (rc == 0)
        rc = set_up(s, err);
    for (size_t i = (size_t)version; rc == 0 && i < ARRAY_SIZE(migrations); i++) {
        rc = migrate(&s->writer, i);
        if (rc < 0)
            return refuse(s, rc, err);
    }
    return rc;
}
