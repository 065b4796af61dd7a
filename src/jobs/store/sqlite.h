/*
 * F2. The inside of engine_sqlite: one database in WAL mode, one connection that writes, and a few that read.
 *
 * One connection in one thread does every write and every checkpoint: up to 3.51.2 SQLite could damage a database when
 * two did so at the same moment. Locks: `readers` alone, under which nothing else is taken.
 */
#ifndef JOBS_STORE_SQLITE_H
#define JOBS_STORE_SQLITE_H

#include <stdatomic.h>

#include "jobs/store/engine.h"
#include "jobs/store/files.h"
#include "jobs/store/sqlite_query.h"
#include "jobs/store/sqlite_row.h"
#include "jobs/store/tally.h"
#include "thread/lock.h"

enum {
    SQLITE_READERS_MAX = 8,          /* connections that read; more threads than these wait */
    SQLITE_CHECKPOINT_PAGES = 4000,  /* so much more in the log, and it is brought home */
    SQLITE_PROMOTE_MAX = 1024,       /* jobs whose time to run has come, in one claim */
    SQLITE_BUSY_MS = 5000,           /* for another program that reads or copies the database */
    SQLITE_APPLICATION = 0x50726e67, /* "Prng": whose database it is */
};

/* Numbers about all rows, so that nobody has to look at each. Written with the commit when changed. */
enum meta {
    META_EPOCH,
    META_SEQ,           /* of the newest job */
    META_STATE_VERSION, /* the newest that was given to any key */
    META_ENDED,
    META_RESULTS_BYTES,
    META_OWNER, /* drawn once; in the names of its files */
    META_COUNT
};

struct readers {
    struct lock lock;
    pthread_cond_t freed;
    struct connection connections[SQLITE_READERS_MAX];
    struct connection *idle[SQLITE_READERS_MAX]; /* the last that was used is on top */
    unsigned idle_count, open_count;
};

struct sqlite {
    char *path, *name;
    int lock_fd;
    struct store_limits limits;
    struct connection writer;
    uint64_t meta[META_COUNT], meta_kept[META_COUNT];
    unsigned log_pages, checkpoint_at;
    bool log_has_news; /* that are not in the database itself yet */
    atomic_bool is_broken;
    struct tally *tally;
    struct files *files;
    struct readers readers;
};

/* sqlite_schema.c: the tables are there, in this version. -errno with a sentence. */
int sqlite_schema_open(struct sqlite *s, struct err *err);

/* sqlite_recover.c: within the first transaction: the totals are loaded, a new epoch begins, and what was cut off is queued
 * again. */
int sqlite_recover(struct sqlite *s);
/* After it: files that no row knows are gone. */
int sqlite_sweep_files(struct sqlite *s);

/* sqlite_write.c and sqlite_sweep.c: within a transaction; as engine.apply. */
int sqlite_apply(struct sqlite *s, struct store_write *w);
int sqlite_sweep(struct sqlite *s, struct store_sweep *w);

/* -ENOENT. */
int sqlite_find_row(struct connection *c, const char *id, struct row *ret);
int sqlite_save_row(struct sqlite *s, const struct row *row);
/* tally_move, with the payload that an ended job keeps as the row now says. */
int sqlite_tally_row(struct sqlite *s, const struct row *row, enum record_state from,
                     enum record_state to);
/* Gives the attempt its number, and lets the oldest go when there are too many. */
int sqlite_add_attempt(struct sqlite *s, uint64_t seq, const struct record_attempt *attempt);
/* What nobody needs any more; the row is the caller's to save. */
int sqlite_trim_payload(struct sqlite *s, struct row *row);
/* All that is kept of an ended job. */
int sqlite_remove_row(struct sqlite *s, struct row *row);

/* sqlite_read.c: as in engine.h. */
void sqlite_readers_init(struct readers *r);
void sqlite_readers_release(struct readers *r);
int sqlite_find(void *e, const char *id, struct record *ret);
int sqlite_list(void *e, const struct store_filter *filter, size_t max, struct record *ret);
int sqlite_attempts(void *e, uint64_t seq, struct record_attempt **ret);
int sqlite_payload(void *e, uint64_t seq, struct payload *ret);
int sqlite_params(void *e, uint64_t seq, char **ret);
int sqlite_result(void *e, uint64_t seq, struct store_result *ret);
int sqlite_position(void *e, const struct record *record, uint64_t *ret);
int sqlite_each_state(void *e,
                      int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                      void *arg, uint64_t *ret_version);
int sqlite_find_state(void *e, const char *key, char **ret_value, uint64_t *ret_version);

#endif
