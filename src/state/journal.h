/*
 * F2. The other side of the shared state: what makes its changes last. The map stays the truth for reads; a change is
 * acknowledged when it is kept, and all that came while the last flush was on its way share the next.
 *
 * One flush at a time: `wanted` is called, then kv_flush_take, then kv_flush_settle. When a flush could not be kept, its
 * changes and all that came meanwhile, which were made on top of it, fail alike, and every key of theirs goes back to what
 * is kept. Readers may have seen what was refused, but never under a version that is given again.
 */
#ifndef STATE_JOURNAL_H
#define STATE_JOURNAL_H

#include "state/kv.h"

enum {
    /* Versions that may have been seen without being kept: more than all connections can have on their way. */
    KV_VERSIONS_AHEAD = 1000000,
};

/* Before kv_journal_begin. Puts in what was kept, whatever the limits say. -EINVAL: no key or value that this map could
 * have had; -ENOMEM. */
int kv_load(struct kv *kv, const char *key, const char *text, uint64_t version);

/* From now on changes are flushed; before any other thread knows the map. `newest` is the newest version that was kept, 0
 * when nothing ever was. Calls `wanted` before it returns: the versions that this run will use must be kept before its first
 * change. */
void kv_journal_begin(struct kv *kv, const struct kv_journal *journal, uint64_t newest);

/* After `wanted`, once, on any thread: all that has changed, as it is now. Never fails; may be empty. */
struct kv_flush *kv_flush_take(struct kv *kv);

/* The next key of it, or false; `rewind`: the first. *ret_text is NULL when the key is deleted. They stay until the
 * flush is settled. */
bool kv_flush_next(struct kv_flush *f, bool rewind, const char **ret_key, const char **ret_text,
                   uint64_t *ret_version);

/* The newest version that any key had when it was taken, deleted ones too. */
uint64_t kv_flush_version(const struct kv_flush *f);

/* 0: all of it is kept. Else nothing of it: `rc` is what the changes end with. -ESHUTDOWN: nothing will be kept any
 * more, so that all later changes are refused. Calls `restore`, each change's `done`, and perhaps `wanted`. */
void kv_flush_settle(struct kv *kv, struct kv_flush *f, int rc);

#endif
