#include "jobs/store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

#include "base/check.h"
#include "base/log.h"
#include "jobs/store/folder.h"

static const char *const meta_names[META_COUNT] = {
    [META_EPOCH] = "epoch",
    [META_SEQ] = "seq",
    [META_STATE_VERSION] = "state_version",
    [META_ENDED] = "ended",
    [META_RESULTS_BYTES] = "results_bytes",
    [META_OWNER] = "owner",
};

/* After a failed sync nobody knows what is on the disk; asking again would give a yes that means nothing. */
static int settle(struct sqlite *s, int rc)
{
    if (rc == -ESHUTDOWN)
        atomic_store(&s->is_broken, true);
    return rc;
}

/* ---- transactions ---- */

static int count_log(void *arg, sqlite3 *db UNUSED, const char *name UNUSED, int pages)
{
    struct sqlite *s = arg;

    if ((unsigned)pages < s->log_pages)
        s->checkpoint_at = SQLITE_CHECKPOINT_PAGES;
    s->log_pages = (unsigned)pages;
    s->log_has_news = true;
    return SQLITE_OK;
}

/* SQLite's own checkpoints say nothing when their sync fails. This one waits for nobody; and the log keeps its size, since
 * a sync is much faster when what it syncs is written over. */
static void checkpoint(struct sqlite *s)
{
    int pages = 0, home = 0;
    int code =
        sqlite3_wal_checkpoint_v2(s->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &home);

    s->checkpoint_at = s->log_pages + SQLITE_CHECKPOINT_PAGES;
    if (code == SQLITE_OK)
        s->log_has_news = home < pages;
    else if ((code & 0xff) != SQLITE_BUSY)
        (void)settle(s, connection_errno(&s->writer, code));
}

static int run(struct sqlite *s, enum statement which)
{
    QUERY q = query_begin(&s->writer, which);

    return query_run(&q);
}

static int engine_begin(void *e)
{
    struct sqlite *s = e;

    /* All that a checkpoint cannot do now it can do later, but for believing the disk again. */
    if (!atomic_load(&s->is_broken) && s->log_pages >= s->checkpoint_at)
        checkpoint(s);
    return atomic_load(&s->is_broken) ? -ESHUTDOWN : settle(s, run(s, STATEMENT_TRANSACTION_WRITE));
}

static void engine_rollback(void *e)
{
    struct sqlite *s = e;

    if (sqlite3_get_autocommit(s->writer.db) == 0)
        (void)connection_run(&s->writer, "ROLLBACK");
    if (sqlite3_get_autocommit(s->writer.db) == 0)
        atomic_store(&s->is_broken, true);
    memcpy(s->meta, s->meta_kept, sizeof(s->meta));
    files_rollback(s->files);
    tally_rollback(s->tally);
}

static int save_meta(struct sqlite *s)
{
    struct store_counts counts;
    int rc = 0;

    tally_counts_now(s->tally, &counts);
    s->meta[META_ENDED] = counts.ended;
    s->meta[META_RESULTS_BYTES] = counts.results_bytes;
    for (size_t i = 0; i < META_COUNT && rc == 0; i++) {
        if (s->meta[i] == s->meta_kept[i])
            continue;
        QUERY q = query_begin(&s->writer, STATEMENT_META_SAVE);
        bind_text(&q, meta_names[i]);
        bind_number(&q, s->meta[i]);
        rc = query_run(&q);
    }
    return rc;
}

static int load_meta(struct sqlite *s)
{
    for (size_t i = 0; i < META_COUNT; i++) {
        QUERY q = query_begin(&s->writer, STATEMENT_META_LOAD);
        int rc;

        bind_text(&q, meta_names[i]);
        rc = query_step(&q);
        if (rc < 0)
            return rc;
        s->meta[i] = s->meta_kept[i] = rc > 0 ? column_number(&q) : 0;
    }
    return 0;
}

static int engine_commit(void *e)
{
    struct sqlite *s = e;
    int rc = atomic_load(&s->is_broken) ? -ESHUTDOWN : save_meta(s);

    if (rc == 0)
        rc = files_sync(s->files);
    if (rc == 0) {
        rc = run(s, STATEMENT_TRANSACTION_COMMIT);
        if (rc < 0)
            files_doubt(s->files);
    }
    if (rc < 0) {
        engine_rollback(s);
        return settle(s, rc);
    }
    memcpy(s->meta_kept, s->meta, sizeof(s->meta));
    files_commit(s->files);
    tally_commit(s->tally);
    s->writer.trouble = 0;
    return 0;
}

static int engine_apply(void *e, struct store_write *w)
{
    struct sqlite *s = e;

    return atomic_load(&s->is_broken) ? -ESHUTDOWN : settle(s, sqlite_apply(s, w));
}

static void engine_idle(void *e)
{
    struct sqlite *s = e;

    if (s->log_has_news && !atomic_load(&s->is_broken))
        checkpoint(s);
}

/* ---- from open to close ---- */

static void engine_close(void *e)
{
    struct sqlite *s = e;

    sqlite_readers_release(&s->readers);
    if (s->writer.db != NULL && atomic_load(&s->is_broken))
        (void)sqlite3_db_config(s->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    connection_close(&s->writer);
    (void)files_free(s->files);
    (void)tally_free(s->tally);
    check_close_fd(&s->lock_fd);
    free(s->path);
    free(s->name);
    free(s);
}

static void close_half_open(struct sqlite **s)
{
    if (*s != NULL)
        engine_close(*s);
}

static int new_engine(struct sqlite **ret, const struct store_config *config, struct err *err)
{
    static const char prefix[] = "sqlite:";
    struct sqlite *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_set(err, -ENOMEM, "Out of memory while opening %s.", config->engine);
    *ret = s;
    s->lock_fd = -1;
    s->limits = config->limits;
    s->checkpoint_at = SQLITE_CHECKPOINT_PAGES;
    sqlite_readers_init(&s->readers);
    if (strncmp(config->engine, prefix, strlen(prefix)) != 0 ||
        config->engine[strlen(prefix)] == '\0')
        return err_set(err, -EINVAL, "--store %s has no path: write --store sqlite:PATH.",
                       config->engine);
    s->path = strdup(config->engine + strlen(prefix));
    s->tally = tally_new(&config->limits);
    if (s->path == NULL || s->tally == NULL ||
        asprintf(&s->name, "sqlite %s, %s", sqlite3_libversion(), s->path) < 0) {
        s->name = NULL;
        return err_set(err, -ENOMEM, "Out of memory while opening %s.", config->engine);
    }
    return 0;
}

static int make_folder_above(const char *path, int *ret_fd, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder CLEANUP_FREE =
        slash == NULL ? strdup(".") : strndup(path, (size_t)MAX(slash - path, 1));

    if (folder == NULL)
        return err_set(err, -ENOMEM, "Out of memory while opening %s.", path);
    return folder_make(folder, ret_fd, err);
}

/* Whoever holds the lock file is the one server that may write. */
static int take_lock(struct sqlite *s, struct err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s.lock", s->path) >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "The path %s is too long.", s->path);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return err_set(err, -errno,
                       "Cannot write %s: %s; make its folder writable, or choose another file with "
                       "--store sqlite:PATH.",
                       path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, -EBUSY,
                       "Another prong uses the database %s: end it first, or choose another file "
                       "with --store sqlite:PATH.",
                       s->path);
    return 0;
}

/* SQLite would make it readable for all that the umask lets; the files beside it get the same mode. */
static int make_file(struct sqlite *s, int folder_fd, struct err *err)
{
    CLEANUP_FD int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || fsync(folder_fd) < 0)
        return err_set(err, -errno,
                       "Cannot write %s: %s; make it writable, or choose another file with "
                       "--store sqlite:PATH.",
                       s->path, strerror(errno));
    return 0;
}

static int open_database(struct sqlite *s, struct err *err)
{
    CLEANUP_FD int folder_fd = -1;
    int rc = make_folder_above(s->path, &folder_fd, err);
    int code;

    if (rc == 0)
        rc = take_lock(s, err);
    if (rc == 0)
        rc = make_file(s, folder_fd, err);
    if (rc < 0)
        return rc;
    if (sqlite3_threadsafe() == 0)
        return err_set(err, -ENOTSUP,
                       "This SQLite was built for one thread alone: install another.");
    code = connection_open(&s->writer, s->path, SQLITE_BUSY_MS);
    if (code != SQLITE_OK)
        return err_set(err, -EIO, "Cannot open the database %s: %s.", s->path,
                       sqlite3_errstr(code));
    rc = sqlite_schema_open(s, err);
    if (rc == 0)
        (void)sqlite3_wal_hook(s->writer.db, count_log, s);
    return rc;
}

static int begin_epoch(struct sqlite *s)
{
    int rc = engine_begin(s);

    if (rc < 0)
        return rc;
    rc = sqlite_recover(s);
    if (rc == 0)
        return engine_commit(s);
    engine_rollback(s);
    return rc;
}

static int fail_load(struct sqlite *s, int rc, struct err *err)
{
    return err_set(err, rc, "Cannot use the database %s: %s.", s->path,
                   rc == -ESHUTDOWN ? "a sync of the disk failed" : strerror(-rc));
}

static int load(struct sqlite *s, const char *folder, struct err *err)
{
    int rc = load_meta(s);

    if (rc == 0 && s->meta[META_OWNER] == 0)
        s->meta[META_OWNER] = (id_random() >> 1) | 1;
    if (rc < 0)
        return fail_load(s, rc, err);
    rc = files_new(&s->files, folder, s->meta[META_OWNER], err);
    if (rc < 0)
        return rc;
    rc = begin_epoch(s);
    if (rc == 0)
        rc = sqlite_sweep_files(s);
    return rc < 0 ? fail_load(s, rc, err) : 0;
}

static int engine_open(void **ret, const struct store_config *config, struct err *err)
{
    struct sqlite *s __attribute__((cleanup(close_half_open))) = NULL;
    int rc = new_engine(&s, config, err);

    CHECK(config->folder != NULL);
    if (rc == 0)
        rc = open_database(s, err);
    if (rc == 0)
        rc = load(s, config->folder, err);
    if (rc < 0)
        return rc;
    *ret = take_ptr(s);
    return 0;
}

static void engine_count(void *e, struct store_counts *ret)
{
    struct sqlite *s = e;

    tally_counts(s->tally, ret);
}

static const char *engine_name(void *e)
{
    return ((struct sqlite *)e)->name;
}

const struct engine engine_sqlite = {
    .open = engine_open,
    .close = engine_close,
    .begin = engine_begin,
    .apply = engine_apply,
    .commit = engine_commit,
    .rollback = engine_rollback,
    .idle = engine_idle,
    .find = sqlite_find,
    .list = sqlite_list,
    .attempts = sqlite_attempts,
    .payload = sqlite_payload,
    .params = sqlite_params,
    .result = sqlite_result,
    .position = sqlite_position,
    .count = engine_count,
    .each_state = sqlite_each_state,
    .find_state = sqlite_find_state,
    .name = engine_name,
};
