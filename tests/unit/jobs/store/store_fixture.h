/*
 * An engine in a folder of its own, and its writes as single calls: each is a transaction, unless one is open.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/check.h"
#include "jobs/store/engine.h"

#define FIXTURE_S          UINT64_C(1000000)
#define FIXTURE_NOW        (UINT64_C(1700000000) * FIXTURE_S)
#define FIXTURE_LARGE      ((size_t)STORE_FILE_BYTES_MIN + 1000)
#define FIXTURE_NO_LIMIT   (UINT64_C(1) << 60)
#define FIXTURE_PATH_BYTES 256

struct fixture {
    const struct engine *engine;
    char folder[FIXTURE_PATH_BYTES], files[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES],
        name[FIXTURE_PATH_BYTES];
    struct store_config config;
    void *e;
    bool in_transaction;
    uint64_t now_us;
};

static inline int fixture_unlink(const char *path, const struct stat *status UNUSED,
                                 int kind UNUSED, struct FTW *place UNUSED)
{
    return remove(path);
}

static inline unsigned fixture_file_count(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    unsigned count = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.' ? 1 : 0;
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

static inline void fixture_init(struct fixture *f, const struct engine *engine)
{
    *f = (struct fixture) {.engine = engine, .now_us = FIXTURE_NOW};
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/prong-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->files, sizeof(f->files), "%.200s/files", f->folder);
    (void)snprintf(f->path, sizeof(f->path), "%.200s/prong.db", f->folder);
    (void)snprintf(f->name, sizeof(f->name), "sqlite:%.200s", f->path);
    f->config = (struct store_config) {
        .engine = f->name,
        .folder = f->files,
        .limits = {.queued_max = 1000,
                   .queued_bytes_max = 100 << 20,
                   .results_bytes_max = 100 << 20,
                   .result_keep_us = 1000 * FIXTURE_S,
                   .records_max = 100000,
                   .record_keep_us = 5000 * FIXTURE_S},
    };
}

static inline int fixture_open(struct fixture *f, struct err *err)
{
    return f->engine->open(&f->e, &f->config, err);
}

static inline void fixture_close(struct fixture *f)
{
    if (f->e != NULL)
        f->engine->close(f->e);
    f->e = NULL;
    f->in_transaction = false;
}

static inline void fixture_reopen(struct fixture *f)
{
    struct err err = {.text = ""};

    fixture_close(f);
    if (fixture_open(f, &err) < 0)
        fail_msg("%s", err.text);
}

static inline int fixture_end(struct fixture *f)
{
    fixture_close(f);
    (void)nftw(f->folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static inline bool fixture_is_refusal(int rc)
{
    return rc == -EEXIST || rc == -EBUSY || rc == -EFBIG || rc == -EDQUOT || rc == -ESTALE ||
           rc == -EALREADY || rc == -ENOENT || rc == -ENODATA;
}

/* As the writer does it: acknowledged when its commit is. */
static inline int fixture_write(struct fixture *f, struct store_write *w)
{
    int rc, committed;

    w->now_us = f->now_us;
    if (f->in_transaction)
        return f->engine->apply(f->e, w);
    rc = f->engine->begin(f->e);
    if (rc < 0)
        return rc;
    rc = f->engine->apply(f->e, w);
    if (rc < 0 && !fixture_is_refusal(rc)) {
        f->engine->rollback(f->e);
        return rc;
    }
    committed = f->engine->commit(f->e);
    return committed < 0 ? committed : rc;
}

static inline void fixture_begin(struct fixture *f)
{
    assert_int_equal(f->engine->begin(f->e), 0);
    f->in_transaction = true;
}

static inline void fixture_commit(struct fixture *f)
{
    f->in_transaction = false;
    assert_int_equal(f->engine->commit(f->e), 0);
}

static inline void fixture_rollback(struct fixture *f)
{
    f->in_transaction = false;
    f->engine->rollback(f->e);
}

/* A submission with what no test has an opinion about. */
static inline struct store_submit fixture_job(const char *kernel)
{
    struct store_submit s = {
        .write.kind = STORE_SUBMIT,
        .record = {.id = id_new(),
                   .priority = 1,
                   .timeout_us = 60 * FIXTURE_S,
                   .attempts_max = 3,
                   .created_us = FIXTURE_NOW,
                   .client = "127.0.0.1"},
        .params = "{\"n\":1}",
    };
    (void)snprintf(s.record.kernel, sizeof(s.record.kernel), "%s", kernel);
    return s;
}

static inline int fixture_submit(struct fixture *f, struct store_submit *s)
{
    s->write.kind = STORE_SUBMIT;
    return fixture_write(f, &s->write);
}

static inline struct record fixture_queue(struct fixture *f, const char *kernel)
{
    struct store_submit s = fixture_job(kernel);

    assert_int_equal(fixture_submit(f, &s), 0);
    return s.record;
}

static inline int fixture_claim(struct fixture *f, unsigned want, struct store_claim *w,
                                struct record *records)
{
    *w = (struct store_claim) {.write.kind = STORE_CLAIM, .want = want, .records = records};
    return fixture_write(f, &w->write);
}

static inline struct record fixture_claim_one(struct fixture *f)
{
    struct store_claim w;
    struct record record;

    assert_int_equal(fixture_claim(f, 1, &w, &record), 0);
    assert_int_equal(w.count, 1);
    return record;
}

static inline struct store_end fixture_ending(const struct fixture *f, const struct record *claimed,
                                              enum record_state state, enum job_outcome outcome)
{
    return (struct store_end) {
        .write.kind = STORE_END,
        .id = claimed->id,
        .lease = claimed->lease,
        .state = state,
        .counts = true,
        .attempt = {.started_us = claimed->started_us,
                    .finished_us = f->now_us,
                    .end.outcome = outcome},
        .media_type = "application/json",
        .result = state == RECORD_SUCCEEDED ? "42" : NULL,
        .result_bytes = state == RECORD_SUCCEEDED ? 2 : 0,
    };
}

static inline int fixture_end_job(struct fixture *f, const struct record *claimed,
                                  enum record_state state, enum job_outcome outcome)
{
    struct store_end w = fixture_ending(f, claimed, state, outcome);

    return fixture_write(f, &w.write);
}

static inline struct record fixture_succeed(struct fixture *f, const char *kernel, size_t bytes)
{
    struct record queued = fixture_queue(f, kernel);
    struct record claimed = fixture_claim_one(f);
    struct store_end w = fixture_ending(f, &claimed, RECORD_SUCCEEDED, JOB_OK);
    CLEANUP_FREE char *result = malloc(bytes + 1);

    assert_non_null(result);
    assert_string_equal(queued.id.text, claimed.id.text);
    memset(result, 'r', bytes);
    w.result = result;
    w.result_bytes = bytes;
    assert_int_equal(fixture_write(f, &w.write), 0);
    return claimed;
}

static inline int fixture_change(struct fixture *f, enum store_kind kind, const struct id *id,
                                 struct store_change *ret)
{
    *ret = (struct store_change) {.write.kind = kind, .id = *id};
    return fixture_write(f, &ret->write);
}

static inline unsigned fixture_sweep(struct fixture *f)
{
    struct store_sweep w = {.write.kind = STORE_SWEEP};

    assert_int_equal(fixture_write(f, &w.write), 0);
    return w.removed;
}

static inline struct record fixture_find(struct fixture *f, const struct id *id)
{
    struct record record;

    assert_int_equal(f->engine->find(f->e, id->text, &record), 0);
    return record;
}

static inline struct store_counts fixture_count(struct fixture *f)
{
    struct store_counts counts;

    f->engine->count(f->e, &counts);
    return counts;
}

/* Rows of the shared state that are given once for each apply. */
struct fixture_state {
    struct store_state state;
    const char *const *keys, *const *values;
    const uint64_t *versions;
    size_t count, place;
};

static inline bool fixture_next_row(struct store_state *w, bool rewind, const char **ret_key,
                                    const char **ret_value, uint64_t *ret_version)
{
    struct fixture_state *f = CONTAINER_OF(w, struct fixture_state, state);

    if (rewind)
        f->place = 0;
    if (f->place == f->count)
        return false;
    *ret_key = f->keys[f->place];
    *ret_value = f->values[f->place];
    *ret_version = f->versions[f->place];
    w->version = MAX(w->version, f->versions[f->place]);
    f->place++;
    return true;
}

static inline int fixture_put(struct fixture *f, const char *key, const char *value,
                              uint64_t version)
{
    struct fixture_state w = {
        .state = {.write.kind = STORE_STATE, .next = fixture_next_row},
        .keys = &key,
        .values = &value,
        .versions = &version,
        .count = 1,
    };
    return fixture_write(f, &w.state.write);
}

#endif
