/*
 * F2. What kv.c and journal.c share: the map and its changes. For this folder alone.
 */
#ifndef STATE_INTERNAL_H
#define STATE_INTERNAL_H

#include "base/check.h"
#include "base/hash.h"
#include "state/kv.h"
#include "thread/lock.h"

/* Keys are the clients' own: under a hash that they could compute they would make all keys collide. */
extern struct hash_key kv_hash_secret;

#define HASH_FUNCTION(key, bytes, hash)                                                            \
    ((hash) = (unsigned)hash_bytes(kv_hash_secret, (key), (bytes)))
#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->homeless = true)
#include <uthash.h>

/* JSON, shared by the map and by the flush that writes it. */
struct text {
    unsigned refs; /* under the lock */
    char bytes[];
};

struct entry {
    char *key;
    struct text *text;
    size_t bytes; /* of both */
    uint64_t version;
    bool homeless; /* there was no memory to take it in */
    UT_hash_handle hh;
};

/* What is new about a key since the last flush; its newest state alone. */
struct change {
    struct text *text; /* NULL: deleted */
    uint64_t version;
    bool homeless;
    UT_hash_handle hh;
    char key[];
};

STAILQ_HEAD(ack_list, kv_ack);

struct kv_flush {
    struct change *changes;
    const struct change *next;
    struct ack_list acks;
    uint64_t version;
};

struct kv {
    struct lock lock;
    struct kv_limits limits;
    struct entry *entries;
    size_t bytes;
    uint64_t version;      /* of the newest write; never goes back, so that no ETag comes twice */
    uint64_t kept_version; /* of the newest flush that was kept */
    struct kv_journal journal;
    struct change *changes; /* not in any flush yet */
    struct ack_list acks;
    struct kv_flush flush; /* the one on its way */
    bool is_flushing;
    bool wants_version; /* a flush is due even if nothing has changed */
    int refusal;        /* of all changes; 0: none */
};

struct text *text_new(const char *bytes);
/* Under the lock. */
struct text *text_drop(struct text *text);

/* All below with the lock held. */

/* Before a change: 0, or why there can be none. */
int journal_admit(struct kv *kv);

/* Room to note a change of this key, which then must be noted; NULL when out of memory. */
struct change *journal_reserve(struct kv *kv, const char *key);
void journal_note(struct kv *kv, struct change *change, struct text *text, struct kv_ack *ack);

/* Ends every change: drops the lock, and asks for a flush when one is due. */
void journal_unlock(struct kv *kv);

/* The key as it is kept, whatever the limits say. Takes `text`; NULL: there is none. */
int kv_reset(struct kv *kv, const char *key, struct text *take_text, uint64_t version);

#endif
