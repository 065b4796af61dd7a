/* What is particular to this engine: what it finds when it opens, what it refuses, and how it looks things up. */
#include "store_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "jobs/store/sqlite_query.h"
#include "thread/thread.h"

static int set_up(void **state)
{
    static struct fixture f;

    fixture_init(&f, &engine_sqlite);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    return fixture_end(*state);
}

static void run_sql(const struct fixture *f, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t ask_sql(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    int64_t answer;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    answer = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return answer;
}

/* ---- reopening ---- */

static void all_is_there_after_reopening(void **state)
{
    struct fixture *f = *state;
    struct record queued, ended;
    struct store_counts before, after;
    struct store_result result;
    uint64_t version;
    char *value;

    fixture_reopen(f);
    ended = fixture_succeed(f, "sum", FIXTURE_LARGE);
    queued = fixture_queue(f, "pi");
    assert_int_equal(fixture_put(f, "a", "1", 9), 0);
    assert_int_equal(fixture_put(f, "b", "1", 10), 0);
    assert_int_equal(fixture_put(f, "b", NULL, 11), 0);
    before = fixture_count(f);
    fixture_reopen(f);
    after = fixture_count(f);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(fixture_find(f, &queued.id).seq, queued.seq);
    assert_int_equal(f->engine->result(f->e, ended.seq, &result), 0);
    assert_int_equal(result.bytes, FIXTURE_LARGE);
    (void)close(result.fd);
    assert_int_equal(f->engine->find_state(f->e, "a", &value, &version), 0);
    assert_string_equal(value, "1");
    free(value);
    assert_int_equal(ask_sql(f, "SELECT value FROM meta WHERE key = 'state_version'"), 11);
    assert_int_equal(ask_sql(f, "PRAGMA user_version"), 1);
}

static void a_number_is_never_used_twice(void **state)
{
    struct fixture *f = *state;
    struct record job;
    struct store_change change;

    fixture_reopen(f);
    job = fixture_queue(f, "sum");
    assert_int_equal(fixture_change(f, STORE_CANCEL, &job.id, &change), 0);
    assert_int_equal(fixture_change(f, STORE_FORGET, &job.id, &change), 0);
    fixture_reopen(f);
    assert_int_equal(fixture_queue(f, "sum").seq, job.seq + 1);
}

static void what_ran_is_queued_again_and_its_attempt_not_counted(void **state)
{
    struct fixture *f = *state;
    struct record before, after, again;
    struct record_attempt *attempts;
    uint64_t now_us = clock_wall_ns() / CLOCK_NS_PER_US;

    fixture_reopen(f);
    (void)fixture_queue(f, "sum");
    before = fixture_claim_one(f);
    assert_int_equal(before.lease >> 32, 1);
    fixture_reopen(f);
    assert_int_equal(fixture_count(f).running, 0);
    assert_int_equal(fixture_count(f).queued[1], 1);
    after = fixture_find(f, &before.id);
    assert_int_equal(after.state, RECORD_QUEUED);
    assert_int_equal(after.attempts, 0);
    assert_int_equal(after.end.outcome, JOB_CANCELLED);
    assert_int_equal(f->engine->attempts(f->e, before.seq, &attempts), 1);
    assert_int_equal(attempts[0].end.outcome, JOB_CANCELLED);
    assert_non_null(strstr(attempts[0].end.text, "The server ended"));
    assert_int_equal(attempts[0].started_us, before.started_us);
    assert_true(attempts[0].finished_us >= now_us);
    free(attempts);
    assert_int_equal(fixture_end_job(f, &before, RECORD_SUCCEEDED, JOB_OK), -ESTALE);
    again = fixture_claim_one(f);
    assert_int_equal(again.lease >> 32, 2);
    assert_int_equal(fixture_end_job(f, &before, RECORD_SUCCEEDED, JOB_OK), -ESTALE);
    assert_int_equal(fixture_end_job(f, &again, RECORD_SUCCEEDED, JOB_OK), 0);
}

static void files_that_no_row_knows_are_swept(void **state)
{
    struct fixture *f = *state;
    struct record kept, lost;
    char sql[100];

    fixture_reopen(f);
    kept = fixture_succeed(f, "sum", FIXTURE_LARGE);
    lost = fixture_succeed(f, "sum", FIXTURE_LARGE);
    fixture_close(f);
    (void)snprintf(sql, sizeof(sql), "UPDATE job SET files = 0 WHERE seq = %llu",
                   (unsigned long long)lost.seq);
    run_sql(f, sql);
    assert_int_equal(fixture_file_count(f->files), 2);
    fixture_reopen(f);
    assert_int_equal(fixture_file_count(f->files), 1);
    assert_int_equal(fixture_find(f, &kept.id).result_bytes, FIXTURE_LARGE);
}

/* As after kill -9: the log has not been brought home, and nobody has said goodbye. */
static void a_server_that_was_killed_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct record found;
    int status, ends[2];
    struct id id;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        fixture_reopen(f);
        id = fixture_queue(f, "sum").id;
        (void)!write(ends[1], &id, sizeof(id));
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(read(ends[0], &id, sizeof(id)), sizeof(id));
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_reopen(f);
    assert_int_equal(f->engine->find(f->e, id.text, &found), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void copy_file(const char *from, const char *to)
{
    CLEANUP_FD int source = open(from, O_RDONLY);
    CLEANUP_FD int copy = open(to, O_WRONLY | O_CREAT, 0600);
    struct stat status;

    assert_int_equal(fstat(source, &status), 0);
    assert_int_equal(sendfile(copy, source, NULL, (size_t)status.st_size), status.st_size);
}

/* What is in the database without its log. */
static int64_t ask_copy(struct fixture *f, const char *name, const char *sql)
{
    struct fixture copy = *f;

    (void)snprintf(copy.path, sizeof(copy.path), "%.200s/%s", f->folder, name);
    copy_file(f->path, copy.path);
    return ask_sql(&copy, sql);
}

static void an_idle_engine_brings_the_log_home(void **state)
{
    struct fixture *f = *state;
    char path[FIXTURE_PATH_BYTES + 8];
    struct stat before, after;

    fixture_reopen(f);
    f->engine->idle(f->e);
    (void)fixture_queue(f, "sum");
    assert_int_equal(ask_copy(f, "before", "SELECT count(*) FROM job"), 0);
    f->engine->idle(f->e);
    assert_int_equal(ask_copy(f, "after", "SELECT count(*) FROM job"), 1);
    (void)snprintf(path, sizeof(path), "%s-wal", f->path);
    assert_int_equal(stat(path, &before), 0);
    (void)fixture_queue(f, "sum");
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    f->engine->idle(f->e);
    assert_int_equal(ask_copy(f, "again", "SELECT count(*) FROM job"), 2);
}

static void the_log_does_not_grow_for_ever(void **state)
{
    struct fixture *f = *state;
    char path[FIXTURE_PATH_BYTES + 8];
    CLEANUP_FREE char *value = calloc(1, 900001);
    struct stat status;

    fixture_reopen(f);
    for (uint64_t version = 1; version <= 100; version++) {
        /* Pages that stay as they are would not be written. */
        memset(value, '1' + (int)(version % 2), 900000);
        assert_int_equal(fixture_put(f, "large", value, version), 0);
    }
    (void)snprintf(path, sizeof(path), "%s-wal", f->path);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size > 10 << 20);
    assert_true(status.st_size < 30 << 20);
}

/* ---- what is refused ---- */

static void assert_refused(struct fixture *f, const char *first, const char *second)
{
    struct err err = {.text = ""};

    assert_true(fixture_open(f, &err) < 0);
    assert_null(f->e);
    if (strstr(err.text, first) == NULL || strstr(err.text, second) == NULL)
        fail_msg("neither \"%s\" nor \"%s\" in: %s", first, second, err.text);
}

static void a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_reopen(f);
    fixture_close(f);
    run_sql(f, "PRAGMA user_version = 99");
    assert_refused(f, f->path, "newer prong");
    run_sql(f, "PRAGMA user_version = 1");
    fixture_reopen(f);
}

static void a_foreign_database_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;

    run_sql(f, "CREATE TABLE theirs (x); PRAGMA user_version = 1");
    assert_refused(f, f->path, "another program");
    assert_int_equal(ask_sql(f, "SELECT count(*) FROM sqlite_schema"), 1);
    assert_int_equal(ask_sql(f, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
    run_sql(f, "DROP TABLE theirs; PRAGMA user_version = 0; PRAGMA application_id = 7");
    assert_refused(f, f->path, "another program");
}

static void overwrite(const struct fixture *f, off_t where, const char *text)
{
    CLEANUP_FD int fd = open(f->path, O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), where), strlen(text));
}

static void what_is_no_database_is_refused(void **state)
{
    struct fixture *f = *state;

    overwrite(f, 0, "These are the accounts of 1843, and no database at all.");
    assert_refused(f, f->path, "not a database");
}

static void a_damaged_database_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_reopen(f);
    fixture_close(f);
    overwrite(f, 100, "damaged damaged damaged damaged");
    assert_refused(f, f->path, "damaged");
}

static void a_second_server_is_refused(void **state)
{
    struct fixture *f = *state;
    void *first;

    fixture_reopen(f);
    first = f->e;
    f->e = NULL;
    assert_refused(f, f->path, "Another prong");
    f->e = first;
    fixture_reopen(f);
}

static void a_name_without_a_path_is_refused(void **state)
{
    struct fixture *f = *state;

    f->config.engine = "sqlite:";
    assert_refused(f, "sqlite:PATH", "--store");
    f->config.engine = "postgres:x";
    assert_refused(f, "sqlite:PATH", "postgres:x");
}

/* Root may write everywhere; anybody else shows what a user meets. */
static void a_folder_that_cannot_be_written_is_named(void **state)
{
    struct fixture *f = *state;
    bool is_root = geteuid() == 0;

    assert_int_equal(chmod(f->folder, 0555), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    assert_refused(f, f->path, "Permission denied");
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(f->folder, 0700), 0);
    fixture_reopen(f);
}

static void a_missing_folder_is_made_for_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    char name[FIXTURE_PATH_BYTES + 32];

    (void)snprintf(name, sizeof(name), "sqlite:%.200s/a/b/c.db", f->folder);
    f->config.engine = name;
    fixture_reopen(f);
    assert_non_null(strstr(f->engine->name(f->e), "/a/b/c.db"));
    assert_int_equal(stat(name + strlen("sqlite:"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    *strrchr(name, '/') = '\0';
    assert_int_equal(stat(name + strlen("sqlite:"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

/* ---- looking up ---- */

/* A line of a plan that would look at every job, or sort them. An index of some jobs alone may be gone through. */
static bool is_slow(const char *detail)
{
    const char *const partial[] = {"job_ready", "job_due",    "job_deadline",
                                   "job_ended", "job_result", "job_payload"};

    if (strstr(detail, "TEMP B-TREE") != NULL)
        return true;
    if (strncmp(detail, "SCAN job", strlen("SCAN job")) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(partial); i++) {
        if (strstr(detail, partial[i]) != NULL)
            return false;
    }
    return true;
}

static unsigned slow_lines(sqlite3 *db, const char *sql)
{
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *statement;
    unsigned slow = 0;

    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(statement, 3);
        if (is_slow(detail)) {
            print_error("%s\n  in: %s\n", detail, sql);
            slow++;
        }
    }
    (void)sqlite3_finalize(statement);
    sqlite3_free(explain);
    return slow;
}

static void every_statement_goes_by_an_index(void **state)
{
    struct fixture *f = *state;
    unsigned slow = 0;
    sqlite3 *db;

    fixture_reopen(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        slow += slow_lines(db, statement_texts[i]);
    assert_int_equal(slow, 0);
    assert_int_equal(slow_lines(db, "SELECT * FROM job"), 1);
    assert_int_equal(slow_lines(db, "SELECT * FROM job ORDER BY text"), 2);
    assert_int_equal(slow_lines(db, "SELECT * FROM job ORDER BY kernel"), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- many at once ---- */

enum { READERS = 3 * 8, WRITES = 200 };

struct reader {
    struct fixture *f;
    struct thread thread;
    atomic_bool *is_over;
    uint64_t rounds;
    bool failed;
};

/* A page is one moment: the newest number never goes back, and none is left out. */
static void *read_on(void *arg)
{
    struct reader *r = arg;
    struct fixture *f = r->f;
    struct store_filter filter = {.state = -1};
    struct record records[3];
    uint64_t newest = 0;

    while (!atomic_load(r->is_over) && !r->failed) {
        int count = f->engine->list(f->e, &filter, ARRAY_SIZE(records), records);
        char *params = NULL;

        r->failed = count < 1 || records[0].seq < newest;
        for (int i = 1; i < count; i++)
            r->failed |= records[i].seq != records[0].seq - (uint64_t)i;
        if (!r->failed) {
            newest = records[0].seq;
            r->failed = f->engine->params(f->e, newest, &params) < 0;
            free(params);
        }
        r->rounds++;
    }
    return NULL;
}

static void many_read_while_one_writes(void **state)
{
    struct fixture *f = *state;
    struct reader readers[READERS];
    atomic_bool is_over = false;

    fixture_reopen(f);
    (void)fixture_queue(f, "sum");
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader) {.f = f, .is_over = &is_over};
        assert_int_equal(thread_start(&readers[i].thread, "reader", read_on, &readers[i]), 0);
    }
    for (int i = 0; i < WRITES; i++) {
        (void)fixture_queue(f, "sum");
        if (i % 50 == 0)
            f->engine->idle(f->e);
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < READERS; i++) {
        thread_join(&readers[i].thread);
        assert_false(readers[i].failed);
    }
    fixture_reopen(f);
    assert_int_equal(fixture_count(f).queued[1], WRITES + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_is_there_after_reopening),
        TEST(a_number_is_never_used_twice),
        TEST(what_ran_is_queued_again_and_its_attempt_not_counted),
        TEST(files_that_no_row_knows_are_swept),
        TEST(a_server_that_was_killed_loses_nothing),
        TEST(an_idle_engine_brings_the_log_home),
        TEST(the_log_does_not_grow_for_ever),
        TEST(a_newer_schema_is_refused),
        TEST(a_foreign_database_is_refused_and_left_alone),
        TEST(what_is_no_database_is_refused),
        TEST(a_damaged_database_is_refused),
        TEST(a_second_server_is_refused),
        TEST(a_name_without_a_path_is_refused),
        TEST(a_folder_that_cannot_be_written_is_named),
        TEST(a_missing_folder_is_made_for_its_owner_alone),
        TEST(many_read_while_one_writes),
        TEST(every_statement_goes_by_an_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
