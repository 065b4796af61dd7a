/*
 * F2. The inside of engine_memory: entries with all that is kept of a job, and the orders in which they are asked for.
 *
 * A transaction holds the lock from begin to its end, so what is read has been committed. Within it a entry keeps what it
 * was beside what it is, and whatever it loses is freed at the end; so undoing needs no memory and cannot fail.
 */
#ifndef JOBS_STORE_MEMORY_H
#define JOBS_STORE_MEMORY_H

#include <sys/queue.h>

#include "base/blob.h"
#include "jobs/store/engine.h"
#include "jobs/store/order.h"
#include "jobs/store/table.h"
#include "jobs/store/tally.h"
#include "thread/lock.h"

/* *ret is malloc'd, the caller's, with a NUL behind the end. Drops the blob. -ENOMEM. */
int memory_copy(struct blob *b, void **ret);

/* The newest first, never changed but for the end of the list. */
struct attempt {
    struct attempt *older;
    unsigned number;
    uint64_t started_us, finished_us;
    enum job_outcome outcome;
    int wait_status;
    bool was_oom;
    char text[];
};

enum memory_blob { BLOB_PARAMS, BLOB_INPUT, BLOB_RESULT, MEMORY_BLOB_COUNT };

struct version {
    char *record; /* packed; NULL: there is no such entry */
    struct blob *blobs[MEMORY_BLOB_COUNT];
    struct attempt *attempts;
    bool is_whole; /* the payload is all there; else params at most, for people to read */
};

enum memory_ordering {
    BY_SEQ,
    BY_STATE,
    BY_KERNEL,
    BY_KERNEL_AND_STATE,
    BY_PRIORITY, /* queued, and may run */
    BY_RUN_AT,   /* queued, and may not run yet */
    BY_DEADLINE, /* queued */
    BY_RESULT,   /* kept, the oldest first; as are … */
    BY_PAYLOAD,  /* large ones that an ended job does not need for ever */
    BY_END,
    MEMORY_ORDERING_COUNT
};

struct entry {
    uint64_t seq;
    struct id id;
    uint32_t kernel; /* its place in `kernels` */
    enum prong_input input_kind;
    bool is_large; /* of the payload, something goes when the job does not need it any more */
    uint64_t fingerprint;
    char *key; /* Idempotency-Key, or NULL */
    struct version now, before;
    bool is_touched;
    SLIST_ENTRY(entry) touched;
    struct order_node nodes[MEMORY_ORDERING_COUNT];
};

struct memory {
    struct lock lock;
    struct store_limits limits;
    struct tally *tally;
    struct table *ids, *keys, *state;
    struct order orders[MEMORY_ORDERING_COUNT];
    SLIST_HEAD(entry_list, entry) touched;
    char (*kernels)[PRONG_NAME_MAX + 1]; /* all that were ever asked for */
    uint32_t kernel_count;
    uint64_t seq, seq_before;                     /* of the newest job */
    uint64_t state_version, state_version_before; /* the newest that was given to any key */
};

/* A value of the shared state. */
struct memory_value {
    uint64_t version;
    char text[];
};

/* ---- memory_entry.c, all under the lock ---- */

/* A entry under the next seq, whose record is to be saved at once. NULL: no memory. */
struct entry *entry_add(struct memory *m, const struct id *id, const char *kernel);

void entry_read(const struct entry *entry, struct record *ret);

/* What the job is from now on; NULL: it goes, with all that is kept of it. -ENOMEM. */
int entry_save(struct memory *m, struct entry *entry, const struct record *record);

/* Takes the caller's hold of `b`, which may be NULL. What depends on it is put in order by entry_save. */
void entry_set_blob(struct memory *m, struct entry *entry, enum memory_blob which, struct blob *b);
void entry_set_whole(struct memory *m, struct entry *entry, bool is_whole);

/* Under the next number. -ENOMEM. */
int entry_add_attempt(struct memory *m, struct entry *entry, const struct record_attempt *attempt);

/* NULL: there is none. */
struct entry *entry_by_id(const struct memory *m, const char *id);
struct entry *entry_by_seq(const struct memory *m, uint64_t seq);
struct entry *entry_first(const struct memory *m, enum memory_ordering which);
struct entry *entry_from(const struct memory *m, enum memory_ordering which, struct order_key key);
struct entry *entry_below(const struct memory *m, enum memory_ordering which, struct order_key key);

/* The major key of what a filter asks for: *ret_which tells in which order. -ENOENT: there is nothing of it. */
int entry_filter(const struct memory *m, const struct store_filter *filter,
                 enum memory_ordering *ret_which, uint64_t *ret_major);

void entry_commit_all(struct memory *m);
void entry_rollback_all(struct memory *m);

/* Frees it without looking at the orders: at the very end. */
void entry_free_all(struct memory *m);

/* ---- memory_write.c ---- */

/* As engine.apply. */
int memory_apply(struct memory *m, struct store_write *w);

/* ---- memory_sweep.c ---- */

/* What the job will not need any more; entry_save is the caller's. */
void memory_trim_payload(struct memory *m, struct entry *entry);

/* The job, and all that is kept of it. -ENOMEM. */
int memory_remove(struct memory *m, struct entry *entry);
int memory_sweep(struct memory *m, struct store_sweep *w);

#endif
