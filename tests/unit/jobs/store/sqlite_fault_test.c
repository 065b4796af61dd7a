/*
 * A disk that fails at every place where it can: each call of a kind fails, or that and all after it, until a
 * whole run passes without reaching it. Whatever was acknowledged must be there afterwards.
 */
#include "store_fixture.h"

#include <sqlite3.h>

#include "base/log.h"

enum fault {
    FAULT_NONE,
    FAULT_READ,
    FAULT_WRITE, /* when half of it is written */
    FAULT_FULL,
    FAULT_SYNC,
    FAULT_FILE_SYNC, /* of a result's or an input's file, or of a folder */
    FAULT_TRUNCATE,
    FAULT_OPEN,
    FAULT_DELETE,
    FAULT_SHM,
};

/* ---- the disk ---- */

static struct {
    enum fault kind;
    unsigned left; /* calls until it fails */
    bool goes_on;  /* so do all after it */
    unsigned fired;
} disk;

static bool disk_fails(enum fault kind)
{
    if (disk.kind != kind)
        return false;
    if (disk.left > 0)
        disk.left--;
    if (disk.left > 0 || (disk.fired > 0 && !disk.goes_on))
        return false;
    disk.fired++;
    return true;
}

int fsync(int fd)
{
    if (disk_fails(FAULT_FILE_SYNC)) {
        errno = EIO;
        return -1;
    }
    return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this */
};

static sqlite3_vfs shim_vfs, *real_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim_file *)(void *)file)->real;
}

static int shim_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 where)
{
    if (disk_fails(FAULT_READ))
        return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), data, bytes, where);
}

static int shim_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 where)
{
    sqlite3_file *real = real_of(file);

    if (disk_fails(FAULT_FULL))
        return SQLITE_FULL;
    if (disk_fails(FAULT_WRITE)) {
        (void)real->pMethods->xWrite(real, data, bytes / 2, where);
        return SQLITE_IOERR_WRITE;
    }
    return real->pMethods->xWrite(real, data, bytes, where);
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 bytes)
{
    if (disk_fails(FAULT_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    return real_of(file)->pMethods->xTruncate(real_of(file), bytes);
}

/* Nothing here loses its power, so nobody has to wait for the real disk. */
static int shim_sync(sqlite3_file *file UNUSED, int flags UNUSED)
{
    return disk_fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int shim_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int shim_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int shim_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int shim_control(sqlite3_file *file, int what, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), what, arg);
}

static int shim_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shim_shm_map(sqlite3_file *file, int page, int bytes, int grow, void volatile **ret)
{
    if (disk_fails(FAULT_SHM))
        return SQLITE_IOERR_SHMMAP;
    return real_of(file)->pMethods->xShmMap(real_of(file), page, bytes, grow, ret);
}

static int shim_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), first, count, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_device,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs UNUSED, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    struct shim_file *shim = (struct shim_file *)(void *)file;
    int code;

    shim->base.pMethods = NULL;
    shim->real = (sqlite3_file *)(void *)(shim + 1);
    if (disk_fails(FAULT_OPEN))
        return SQLITE_CANTOPEN;
    code = real_vfs->xOpen(real_vfs, name, shim->real, flags, ret_flags);
    if (code == SQLITE_OK)
        shim->base.pMethods = &shim_methods;
    return code;
}

static int shim_delete(sqlite3_vfs *vfs UNUSED, const char *name, int sync)
{
    if (disk_fails(FAULT_DELETE))
        return SQLITE_IOERR_DELETE;
    return real_vfs->xDelete(real_vfs, name, sync);
}

static int shim_register(void **state UNUSED)
{
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.zName = "shim";
    shim_vfs.szOsFile += (int)sizeof(struct shim_file);
    shim_vfs.xOpen = shim_open;
    shim_vfs.xDelete = shim_delete;
    return sqlite3_vfs_register(&shim_vfs, 1);
}

/* ---- what must be there ---- */

enum { JOBS_MAX = 16 };

#define GONE RECORD_STATE_COUNT

struct expectation {
    struct id id;
    enum record_state state, next; /* acknowledged; asked for */
};

struct run {
    struct fixture f;
    struct expectation jobs[JOBS_MAX];
    size_t count;
    uint64_t version, version_next;
    unsigned acknowledged;
    bool stopped;
    char *large;
};

static bool is_sync_fault(void)
{
    return disk.kind == FAULT_SYNC || disk.kind == FAULT_FILE_SYNC || disk.kind == FAULT_TRUNCATE;
}

static enum record_state state_now(struct run *r, const struct id *id)
{
    struct record record;
    int rc = r->f.engine->find(r->f.e, id->text, &record);

    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0 ? record.state : GONE;
}

static void assert_nothing_of_a_failed_write(struct run *r)
{
    for (size_t i = 0; i < r->count; i++)
        assert_int_equal(state_now(r, &r->jobs[i].id), r->jobs[i].state);
}

static void acknowledge(struct run *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->jobs[i].state = r->jobs[i].next;
    r->version = r->version_next;
    r->acknowledged++;
}

/* A trouble that has passed is forgotten: the same write works. After a failed sync nothing does. */
static bool write_or_stop(struct run *r, struct store_write *w)
{
    int rc = r->stopped ? -ESHUTDOWN : fixture_write(&r->f, w);

    if (r->stopped)
        return false;
    if (rc < 0) {
        assert_true(disk.fired > 0);
        assert_true(rc == -ESHUTDOWN || rc == -EIO || rc == -ENOSPC || rc == -ENOMEM);
        assert_int_equal(rc == -ESHUTDOWN, is_sync_fault());
        assert_true(disk.kind != FAULT_FULL || rc == -ENOSPC);
        if (disk.goes_on && rc != -ESHUTDOWN)
            assert_int_equal(fixture_write(&r->f, w), rc);
        r->stopped = rc == -ESHUTDOWN;
        if (rc == -ESHUTDOWN) {
            assert_int_equal(fixture_write(&r->f, w), -ESHUTDOWN);
            assert_int_equal(r->f.engine->begin(r->f.e), -ESHUTDOWN);
        }
        if (r->stopped)
            return false;
        disk.kind = FAULT_NONE;
        assert_nothing_of_a_failed_write(r);
        assert_int_equal(fixture_write(&r->f, w), 0);
    }
    acknowledge(r);
    return true;
}

/* ---- the writes ---- */

static void submit(struct run *r, size_t input_bytes)
{
    struct store_submit s = fixture_job("sum");
    struct expectation *job = &r->jobs[r->count++];

    assert_true(r->count <= JOBS_MAX);
    s.input_kind = input_bytes > 0 ? PRONG_INPUT_RAW : PRONG_INPUT_NONE;
    s.input = r->large;
    s.input_bytes = input_bytes;
    s.key = s.record.id.text;
    *job = (struct expectation) {.id = s.record.id, .state = GONE, .next = RECORD_QUEUED};
    (void)write_or_stop(r, &s.write);
}

static struct expectation *job_of(struct run *r, const struct id *id)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->jobs[i].id.text, id->text) == 0)
            return &r->jobs[i];
    }
    fail_msg("no such job");
    return NULL;
}

static bool claim(struct run *r, struct record *ret)
{
    struct store_claim w = {.write.kind = STORE_CLAIM, .want = 1, .records = ret};
    enum record_state before = RECORD_QUEUED;
    size_t first = 0;

    while (first < r->count && r->jobs[first].state != before)
        first++;
    if (r->stopped || first == r->count)
        return false;
    r->jobs[first].next = RECORD_RUNNING;
    if (!write_or_stop(r, &w.write))
        return false;
    assert_int_equal(w.count, 1);
    assert_string_equal(ret->id.text, r->jobs[first].id.text);
    return true;
}

static void claim_and_end(struct run *r, enum record_state state, size_t result_bytes)
{
    struct record claimed;
    struct store_end w;

    if (!claim(r, &claimed))
        return;
    w = fixture_ending(&r->f, &claimed, state, JOB_OK);
    w.result = r->large;
    w.result_bytes = result_bytes;
    job_of(r, &claimed.id)->next = state;
    (void)write_or_stop(r, &w.write);
}

static void change(struct run *r, enum store_kind kind, size_t job, enum record_state next)
{
    struct store_change w = {.write.kind = kind, .id = r->jobs[job].id};

    if (r->stopped)
        return;
    r->jobs[job].next = next;
    (void)write_or_stop(r, &w.write);
}

static void put_text(struct run *r, const char *value)
{
    const char *key = "a";
    uint64_t version = r->version + 1;
    struct fixture_state w = {
        .state = {.write.kind = STORE_STATE, .next = fixture_next_row},
        .keys = &key,
        .values = &value,
        .versions = &version,
        .count = 1,
    };

    if (r->stopped)
        return;
    r->version_next = version;
    (void)write_or_stop(r, &w.state.write);
}

static void put(struct run *r)
{
    put_text(r, "1");
}

static void sweep(struct run *r)
{
    struct store_sweep w = {.write.kind = STORE_SWEEP};

    if (!r->stopped)
        (void)write_or_stop(r, &w.write);
}

static void rest(struct run *r)
{
    if (!r->stopped)
        r->f.engine->idle(r->f.e);
}

static void first_half(struct run *r)
{
    submit(r, 0);
    submit(r, 100);
    submit(r, FIXTURE_LARGE);
    put(r);
    claim_and_end(r, RECORD_SUCCEEDED, 100);
    claim_and_end(r, RECORD_DEAD, 0);
    claim_and_end(r, RECORD_SUCCEEDED, FIXTURE_LARGE);
    rest(r);
    change(r, STORE_RETRY, 1, RECORD_QUEUED);
    submit(r, 0);
    submit(r, 10000);
    change(r, STORE_CANCEL, 4, RECORD_CANCELLED);
    put(r);
}

static void second_half(struct run *r)
{
    struct record left_running;

    claim_and_end(r, RECORD_SUCCEEDED, 20000);
    change(r, STORE_FORGET, 0, GONE);
    rest(r);
    put(r);
    sweep(r);
    claim_and_end(r, RECORD_FAILED, 0);
    submit(r, FIXTURE_LARGE);
    submit(r, 0);
    (void)claim(r, &left_running);
    change(r, STORE_FORGET, 2, GONE);
    submit(r, 0);
    put(r);
    rest(r);
    put(r);
    put(r);
    submit(r, 0);
    put(r);
}

/* So much that the log is brought home on the way. */
static void fill_the_log(struct run *r)
{
    CLEANUP_FREE char *value = calloc(1, 900001);

    assert_non_null(value);
    for (int i = 0; i < 30; i++) {
        /* Pages that stay as they are would not be written. */
        memset(value, '1' + i % 2, 900000);
        put_text(r, value);
    }
}

/* ---- what is there ---- */

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t answer;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    answer = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return answer;
}

static void assert_sound(struct run *r)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(r->f.path, &db), SQLITE_OK);
    assert_int_equal(ask(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(ask(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_int_equal(ask(db, "SELECT value - (SELECT count(*) FROM job WHERE state >= 2) FROM meta "
                             "WHERE key = 'ended' UNION ALL SELECT 0"),
                     0);
    assert_int_equal(ask(db, "SELECT value - (SELECT total(result_bytes) FROM job WHERE result = 1)"
                             " FROM meta WHERE key = 'results_bytes' UNION ALL SELECT 0"),
                     0);
    assert_int_equal(ask(db, "SELECT count(*) FROM job WHERE seq > (SELECT value FROM meta "
                             "WHERE key = 'seq')"),
                     0);
    assert_int_equal(ask(db, "SELECT total((files & 1) + (files >> 1)) FROM job"),
                     fixture_file_count(r->f.files));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static enum record_state after_reopening(enum record_state state)
{
    return state == RECORD_RUNNING ? RECORD_QUEUED : state;
}

static void assert_all_acknowledged_is_there(struct run *r)
{
    uint64_t version = 0;
    char *value = NULL;
    int rc;

    for (size_t i = 0; i < r->count; i++) {
        const struct expectation *job = &r->jobs[i];
        enum record_state now = state_now(r, &job->id);
        if (now != after_reopening(job->state) && now != after_reopening(job->next))
            fail_msg("job %zu is in state %d, not %d", i, (int)now, (int)job->state);
    }
    rc = r->f.engine->find_state(r->f.e, "a", &value, &version);
    assert_true(rc == 0 || (rc == -ENOENT && r->version == 0));
    assert_true(version == r->version || version == r->version_next);
    free(value);
}

static void assert_results_are_readable(struct run *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct store_result result;
        struct record record;

        if (r->f.engine->find(r->f.e, r->jobs[i].id.text, &record) < 0 ||
            record.result != RECORD_RESULT_KEPT)
            continue;
        assert_int_equal(r->f.engine->result(r->f.e, record.seq, &result), 0);
        assert_int_equal(result.bytes, record.result_bytes);
        free(result.data);
        check_close_fd(&result.fd);
    }
}

/* With whatever trouble opening has had, it must work when that has passed. */
static void open_again(struct run *r)
{
    struct err err = {.text = ""};

    fixture_close(&r->f);
    if (fixture_open(&r->f, &err) == 0)
        return;
    assert_true(disk.fired > 0);
    assert_true(err.text[0] != '\0');
    disk.kind = FAULT_NONE;
    fixture_reopen(&r->f);
}

/* A failed sync is never passed over, not even when it is one that nobody waits for. */
static void run_script(struct run *r, void (*script)(struct run *r))
{
    unsigned before = disk.fired;

    script(r);
    if (disk.fired > before && (disk.kind == FAULT_SYNC || disk.kind == FAULT_FILE_SYNC))
        assert_true(r->stopped);
}

/* How often the disk failed. */
static unsigned run_once(enum fault kind, unsigned nth, bool goes_on, void (*first)(struct run *r),
                         void (*second)(struct run *r))
{
    static struct run r;

    r = (struct run) {.large = calloc(1, FIXTURE_LARGE)};
    assert_non_null(r.large);
    fixture_init(&r.f, &engine_sqlite);
    disk.kind = kind;
    disk.left = nth;
    disk.goes_on = goes_on;
    disk.fired = 0;
    open_again(&r);
    run_script(&r, first);
    if (!r.stopped) {
        open_again(&r);
        for (size_t i = 0; i < r.count; i++)
            r.jobs[i].state = r.jobs[i].next = after_reopening(r.jobs[i].state);
    }
    run_script(&r, second);
    disk.kind = FAULT_NONE;
    fixture_reopen(&r.f);
    assert_all_acknowledged_is_there(&r);
    assert_results_are_readable(&r);
    submit(&r, 0);
    fixture_close(&r.f);
    assert_sound(&r);
    if (disk.fired == 0)
        assert_true(r.acknowledged >= 30);
    free(r.large);
    (void)fixture_end(&r.f);
    return disk.fired;
}

/* With ThreadSanitizer, which has nothing to say of one thread, each takes several times as long; where they are many,
 * some will do. */
static unsigned stride(unsigned at_least)
{
#ifdef __SANITIZE_THREAD__
    return at_least >= 100 ? 5 : 1;
#else
    (void)at_least;
    return 1;
#endif
}

static void run_scripts(enum fault kind, bool goes_on, unsigned at_least,
                        void (*first)(struct run *r), void (*second)(struct run *r))
{
    unsigned nth = 1, step = stride(at_least);

    while (run_once(kind, nth, goes_on, first, second) > 0)
        nth += step;
    print_message("the disk failed at %u places or more\n", nth - step);
    assert_true(nth - step >= at_least);
}

static void run_all(enum fault kind, bool goes_on, unsigned at_least)
{
    run_scripts(kind, goes_on, at_least, first_half, second_half);
}

static void no_read_that_fails_loses_anything(void **state UNUSED)
{
    run_all(FAULT_READ, false, 5);
}

static void no_write_that_fails_loses_anything(void **state UNUSED)
{
    run_all(FAULT_WRITE, false, 100);
}

static void no_full_disk_loses_anything(void **state UNUSED)
{
    run_all(FAULT_FULL, true, 100);
}

static void no_sync_that_fails_loses_anything(void **state UNUSED)
{
    run_all(FAULT_SYNC, false, 30);
    run_all(FAULT_SYNC, true, 30);
}

static void no_sync_of_a_checkpoint_that_fails_loses_anything(void **state UNUSED)
{
    run_scripts(FAULT_SYNC, false, 35, fill_the_log, put);
}

static void no_sync_of_a_file_that_fails_loses_anything(void **state UNUSED)
{
    run_all(FAULT_FILE_SYNC, false, 7);
}

static void no_truncation_that_fails_loses_anything(void **state UNUSED)
{
    run_all(FAULT_TRUNCATE, false, 2);
}

static void no_file_that_cannot_be_opened_loses_anything(void **state UNUSED)
{
    run_all(FAULT_OPEN, false, 2);
}

static void no_file_that_cannot_be_deleted_loses_anything(void **state UNUSED)
{
    run_all(FAULT_DELETE, false, 1);
}

static void no_shared_memory_that_fails_loses_anything(void **state UNUSED)
{
    run_all(FAULT_SHM, false, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_read_that_fails_loses_anything),
        cmocka_unit_test(no_write_that_fails_loses_anything),
        cmocka_unit_test(no_full_disk_loses_anything),
        cmocka_unit_test(no_sync_that_fails_loses_anything),
        cmocka_unit_test(no_sync_of_a_checkpoint_that_fails_loses_anything),
        cmocka_unit_test(no_sync_of_a_file_that_fails_loses_anything),
        cmocka_unit_test(no_truncation_that_fails_loses_anything),
        cmocka_unit_test(no_file_that_cannot_be_opened_loses_anything),
        cmocka_unit_test(no_file_that_cannot_be_deleted_loses_anything),
        cmocka_unit_test(no_shared_memory_that_fails_loses_anything),
    };
    log_init("test", LOG_LEVEL_COUNT);
    return cmocka_run_group_tests(tests, shim_register, NULL);
}
