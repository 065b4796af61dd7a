/*
 * F2. The shared state: a map from key to JSON text, guarded by one mutex, each write under a new version.
 * It is the lock example of the documents behind this project: a thousand concurrent adds give exactly
 * a thousand.
 *
 * May use base and thread. Knows nothing of HTTP, nor of what keeps it: whoever does hands down a journal (journal.h).
 * Any thread; every function takes the lock itself, holds it for the map only, and copies in and out.
 */
#ifndef STATE_KV_H
#define STATE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    KV_KEY_BYTES_MAX = 256,
    KV_VALUE_BYTES_MAX = 1 << 20,
    KV_PAGE_MAX = 1000, /* keys in one listing */
};

struct kv;

struct kv_limits {
    size_t keys_max;  /* -ENOSPC above */
    size_t bytes_max; /* of all keys and values; -ENOSPC above */
};

struct kv *kv_new(struct kv_limits limits);
struct kv *kv_free(struct kv *kv);

/* The precondition of a write: any; only the version given; only if absent; only if present. */
enum kv_when { KV_ALWAYS, KV_IF_VERSION, KV_IF_ABSENT, KV_IF_PRESENT };

struct kv_condition {
    enum kv_when when;
    uint64_t version;
};

/* How a change is told that it is kept. The caller's, and its own again once `done` is called: without the map's lock, on
 * whichever thread the journal has, perhaps before the change's function has returned. 0, or why it was taken back. */
struct kv_ack {
    void (*done)(struct kv_ack *ack, int rc);
    STAILQ_ENTRY(kv_ack) link;
};

/* What keeps the changes. */
struct kv_journal {
    void *arg;
    /* There is something to flush, and no flush is on its way. Without the lock, on the thread that changed something, or
     * on that which settled the flush before. */
    void (*wanted)(void *arg);
    /* What is kept of a key: 0 with its text, malloc'd, or -ENOENT. Anything else: that cannot be known. */
    int (*restore)(void *arg, const char *key, char **ret_text, uint64_t *ret_version);
};

/* Whether changes are acknowledged. If not, they are done when their function returns, and `ack` is not used. */
bool kv_has_journal(const struct kv *kv);

struct kv_value {
    char *text; /* JSON, NUL-terminated, malloc'd, the caller's */
    uint64_t version;
};

/* -ENOENT. What it gives may be on its way still, and be taken back. */
int kv_get(struct kv *kv, const char *key, struct kv_value *ret);

/* Changes: with a journal, `ack` (or NULL) is told what became of it, unless the change fails here and now. All may fail with
 * -EAGAIN: changes before this one could not be kept and are being taken back; -ESHUTDOWN: none will be kept any more;
 * -ENOMEM. */

/* Stores a copy of `text`, which must be valid JSON. 0 replaced, 1 created; -EINVAL bad key or too large,
 * -ENOSPC above the limits, -ESTALE when the condition does not hold. */
int kv_put(struct kv *kv, const char *key, const char *text, struct kv_condition condition,
           struct kv_ack *ack, uint64_t *ret_version);

/* Adds to an integer, which is made at 0 when absent. -EDOM when the value is no integer, -ERANGE when
 * the sum leaves [-2^53, 2^53]; unchanged then. */
int kv_add(struct kv *kv, const char *key, int64_t by, struct kv_condition condition,
           struct kv_ack *ack, int64_t *ret_value, uint64_t *ret_version);

/* -ENOENT, -ESTALE. */
int kv_delete(struct kv *kv, const char *key, struct kv_condition condition, struct kv_ack *ack);

/* Whether it could name a value: 1 to KV_KEY_BYTES_MAX bytes of UTF-8 without control characters. */
bool kv_key_is_valid(const char *key);

struct kv_listed {
    char key[KV_KEY_BYTES_MAX + 1];
    uint64_t version;
};

/* Up to `max` keys above `after` (NULL: from the first) in the order of their bytes. *ret is malloc'd, the
 * caller's. The number of them, or -ENOMEM. */
int kv_list(struct kv *kv, const char *after, size_t max, struct kv_listed **ret);

#endif
