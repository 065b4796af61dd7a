/*
 * F2. What must survive: durable jobs and the shared state, behind one interface. Which engine keeps them is chosen by
 * `--store`; nothing above knows SQL, a table or a file of it.
 *
 * Every write goes through one thread, the store's: it takes what has been posted (at most STORE_BATCH_MAX), applies it
 * within one transaction, commits, and only then tells each. So many writes share one commit, none is told that it is
 * kept before it is, and a database that bears only one writer has only one. Reads are done by who asks, at once; they
 * see what has been committed.
 *
 * Whether a write makes sense is decided when it is applied, in the order of posting: a write never overtakes another,
 * and a refusal changes nothing. May use base, thread, jobs.
 */
#ifndef JOBS_STORE_STORE_H
#define JOBS_STORE_STORE_H

#include "base/err.h"
#include "jobs/record.h"
#include "thread/mailbox.h"

enum {
    STORE_BATCH_MAX = 64,           /* writes that share a commit */
    STORE_PENDING_MAX = 8192,       /* writes that may wait; above, -EBUSY for new submissions */
    STORE_CLAIM_MAX = 64,           /* jobs in one claim */
    STORE_LIST_MAX = 1000,          /* records in one page */
    STORE_SWEEP_MAX = 256,          /* records and results that go in one sweep */
    STORE_FILE_BYTES_MIN = 1 << 20, /* what is larger is kept in a file of its own */
    STORE_PAYLOAD_SMALL_MAX =
        4096, /* bytes of parameters and input that stay as long as the record */
    STORE_PARAMS_KEPT_MAX = 65536, /* bytes of parameters that do, whatever the input */
};

/* Nothing is put off for longer, so a run_at that is farther ahead comes from a clock that has jumped, and is due. */
#define STORE_RUN_AHEAD_US (120ULL * 1000 * 1000)

struct store_limits {
    uint64_t queued_max;        /* jobs that wait */
    uint64_t queued_bytes_max;  /* of the payloads of those that wait or run */
    uint64_t results_bytes_max; /* of results that are kept, and of failed jobs' inputs */
    uint64_t result_keep_us;    /* how long they are kept */
    uint64_t records_max;       /* ended jobs that are remembered */
    uint64_t record_keep_us;    /* how long they are remembered */
};

struct store_config {
    const char *engine; /* "sqlite:PATH" or "memory" */
    const char *folder; /* for files; NULL with memory */
    struct store_limits limits;
    /* Told of each commit that was kept, on the store's thread: how long it took and how many shared it; may be NULL. */
    void (*committed)(uint64_t took_ns, size_t writes);
};

struct store;

/* Opens or makes what is kept; jobs that were running when their server ended are queued again, their attempt
 * recorded as cut off and not counted, and files that nobody knows any more are removed. Then starts the writer.
 * Fails with a sentence when the data is of a newer version, damaged, in use by another server, or cannot be written. */
int store_open(struct store **ret, const struct store_config *config, struct err *err);

/* Ends the writer when all that was posted is done. Nobody may post any more. */
struct store *store_close(struct store *s);

/* NULL while it can write. Else one sentence: after a failed sync nobody knows what is on the disk, so the store writes
 * no more until the server is started anew. Any thread. */
const char *store_broken(struct store *s);

/* For graphs: how the writer fares. Any thread. */
struct store_status {
    uint64_t commits;       /* transactions that were kept */
    uint64_t writes;        /* kept or refused by them */
    uint64_t failures;      /* writes that the store had trouble with */
    uint64_t commit_ns;     /* all commits together */
    uint64_t commit_max_ns; /* the longest */
    uint64_t pending;       /* writes that wait or are being written */
};
void store_status(struct store *s, struct store_status *ret);

/* Another number whenever a job is there anew, has changed or is forgotten; also after a restart. Below 2^53. Any thread. */
uint64_t store_serial(struct store *s);

/* ---- writes ---- */

enum store_kind {
    STORE_SUBMIT, /* a new job */
    STORE_CLAIM,  /* takes queued jobs to run */
    STORE_END,    /* of an attempt */
    STORE_CANCEL,
    STORE_RETRY,  /* an ended job is queued again, with all its attempts and without a deadline */
    STORE_FORGET, /* an ended job and all that is kept of it */
    STORE_SWEEP,  /* what has been kept for long enough */
    STORE_STATE,  /* the shared state */
    STORE_KIND_COUNT
};

/* What `rc` means besides 0, for all: -EIO, -ENOSPC (no room on the disk), -EROFS, -ENOMEM: not kept, the store's trouble;
 * -ESHUTDOWN: the store is broken. */
struct store_write {
    struct mail mail; /* the store's while it waits */
    enum store_kind kind;
    int rc;
    /* Called once, on the store's thread, after the commit or the refusal. The write is the owner's again. */
    void (*done)(struct store_write *w);
    void *owner;
    uint64_t now_us; /* the owner's clock; all that is due is due by this */
};

/* Takes what the record says about id, kernel, client, priority, chunks_wanted, timeout_us, deadline_us, attempts_max,
 * created_us. rc 0: it is queued and `record` complete. 1: this key was used before for the same, and `record` is that job
 * as it is now. -EEXIST: it was used for something else. -EBUSY: queued_max. -EFBIG: queued_bytes_max. -EDQUOT: this
 * client has half of queued_max, and others wait. */
struct store_submit {
    struct store_write write;
    struct record record;
    /* Text and bytes are the owner's, and stay until `done`. */
    const char *params;
    enum prong_input input_kind;
    const void *input;
    size_t input_bytes;
    struct record asked; /* the store's: what was posted, for a second try */
    const char *key;     /* Idempotency-Key, or NULL */
    uint64_t
        fingerprint; /* of all that was asked, under any key that is the same in every run of the server */
};

/* Jobs in the order of priority and submission whose run_at has come become running; each lease grows by one, each
 * attempts too. Those whose deadline has passed fail (JOB_DEADLINE) instead, whether or not there is room to claim. */
struct store_claim {
    struct store_write write;
    unsigned want;
    unsigned count;         /* claimed */
    struct record *records; /* room for `want`, the owner's */
    unsigned late_count;    /* failed; there may be more when it is STORE_CLAIM_MAX */
    struct id late[STORE_CLAIM_MAX];
    uint64_t next_us; /* when the next queued job is due or late by itself; 0: none */
};

/* `state` is what the job is from now on: queued (not before run_at_us) or ended. -ESTALE: this lease is over, because
 * the job was cancelled meanwhile; nothing is changed. */
struct store_end {
    struct store_write write;
    struct id id;
    uint64_t lease;
    enum record_state state;
    bool
        counts; /* false: the attempt is not counted; nor even recorded when it never began (JOB_REFUSED) */
    uint64_t run_at_us;
    struct record_attempt attempt; /* but for its number, which the store gives */
    struct job_receipt receipt;
    const void *result; /* RECORD_SUCCEEDED: the owner's, stays until `done` */
    size_t result_bytes;
    char media_type[RECORD_MEDIA_TYPE_BYTES];
    uint64_t seq; /* out */
};

/* Whether the attempt goes into the job's history. */
static inline bool store_end_is_recorded(const struct store_end *w)
{
    return w->counts || w->attempt.end.outcome != JOB_REFUSED;
}

/* CANCEL: rc 0, and `record` as it is now; -EALREADY: it had ended, `record` says how. RETRY: 0; -EALREADY: it is
 * neither dead nor failed; -ENODATA: its payload is not kept any more; -EBUSY, -EFBIG as for STORE_SUBMIT. FORGET: 0;
 * -EBUSY: it has not ended. All: -ENOENT. */
struct store_change {
    struct store_write write;
    struct id id;
    struct record record; /* out: as it is now */
    bool was_running;     /* out, CANCEL */
};

/* Removes at most STORE_SWEEP_MAX records, results and payloads that are too old or too many, in this order, the oldest
 * first. What is too large of a payload goes when its job has succeeded or was cancelled; that of a dead or failed job stays
 * for result_keep_us, so that it can be retried, if all these together are no more than results_bytes_max. */
struct store_sweep {
    struct store_write write;
    unsigned removed; /* records, results and payloads */
};

/* The shared state asks for the write and says what to write only when its turn comes, so that all changes up to then
 * share it. */
struct store_state {
    struct store_write write;
    /* On the store's thread, within the transaction, perhaps with LOCK_STORE held, so it must not read the store: the
     * next row, or false. `value` NULL: the key is deleted. Texts stay until `done`. A batch that failed is asked from the start again: `rewind` is true for the first row. */
    bool (*next)(struct store_state *w, bool rewind, const char **ret_key, const char **ret_value,
                 uint64_t *ret_version);
    uint64_t
        version; /* the newest that was given to any key, deleted ones too; set before next says false */
};

/* From any thread, `done` of another write too. 0: `done` will be called. -EBUSY: a submission, and too many writes wait; -ESHUTDOWN: broken. */
int store_post(struct store *s, struct store_write *w);

/* ---- reads, from any thread that holds no lock from LOCK_STORE upwards ---- */

/* -ENOENT. Like all reads: -EIO, -ENOMEM. */
int store_find(struct store *s, const char *id, struct record *ret);

struct store_filter {
    int state;          /* enum record_state; -1: any */
    const char *kernel; /* NULL: any */
    uint64_t before;    /* seq; only older ones; 0: from the newest */
};

/* Newest first, at most `max` (to STORE_LIST_MAX). How many. */
int store_list(struct store *s, const struct store_filter *filter, size_t max, struct record *ret);

/* All attempts, oldest first; *ret is malloc'd, the caller's. How many, at most RECORD_ATTEMPTS_MAX, the newest. */
int store_attempts(struct store *s, uint64_t seq, struct record_attempt **ret);

/* -ENODATA: not kept any more. */
int store_payload(struct store *s, uint64_t seq, struct payload *ret);

/* The parameters alone. *ret is malloc'd, the caller's. -ENODATA. */
int store_params(struct store *s, uint64_t seq, char **ret);

struct store_result {
    void *data; /* malloc'd, the caller's; or NULL, and */
    int fd;     /* … a file of its own, the caller's, at its start; or -1 */
    size_t bytes;
};

/* -ENODATA: none is kept. */
int store_result(struct store *s, uint64_t seq, struct store_result *ret);

/* How many queued jobs will be claimed before this queued one. */
int store_position(struct store *s, const struct record *record, uint64_t *ret);

struct store_counts {
    uint64_t queued[RECORD_PRIORITY_COUNT];
    uint64_t running;
    uint64_t ended;         /* remembered */
    uint64_t queued_bytes;  /* payloads of queued and running jobs */
    uint64_t results_bytes; /* kept */
    uint64_t inputs_bytes;  /* large payloads of ended jobs, kept so that they can be retried */
};
void store_count(struct store *s, struct store_counts *ret);

/* Calls `each` for every key of the shared state that is kept, and gives the newest version ever given. Stops at the
 * first nonzero of `each`, and returns it. */
int store_each_state(struct store *s,
                     int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                     void *arg, uint64_t *ret_version);

/* One key as it is kept: *ret_value is malloc'd, the caller's. -ENOENT. */
int store_find_state(struct store *s, const char *key, char **ret_value, uint64_t *ret_version);

/* "sqlite 3.40.1", "memory", and where. */
const char *store_name(struct store *s);

#endif
