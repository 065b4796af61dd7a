#include "state/journal.h"

#include <errno.h>
#include <string.h>

#include "state/internal.h"

int kv_load(struct kv *kv, const char *key, const char *text, uint64_t version)
{
    struct text *kept;
    int rc;

    if (!kv_key_is_valid(key) || strnlen(text, KV_VALUE_BYTES_MAX + 1) > KV_VALUE_BYTES_MAX)
        return -EINVAL;
    kept = text_new(text);
    if (kept == NULL)
        return -ENOMEM;
    lock_take(&kv->lock);
    rc = kv_reset(kv, key, kept, version);
    lock_drop(&kv->lock);
    return rc;
}

void kv_journal_begin(struct kv *kv, const struct kv_journal *journal, uint64_t newest)
{
    lock_take(&kv->lock);
    CHECK(kv->journal.wanted == NULL && kv->version == 0);
    kv->journal = *journal;
    kv->kept_version = newest;
    /* The run before may have shown versions that it did not live to keep. */
    kv->version = newest == 0 ? 1 : newest + KV_VERSIONS_AHEAD;
    kv->wants_version = true;
    journal_unlock(kv);
}

bool kv_has_journal(const struct kv *kv)
{
    return kv->journal.wanted != NULL;
}

/* ---- changes ---- */

int journal_admit(struct kv *kv)
{
    if (kv->journal.wanted == NULL)
        return 0;
    if (kv->refusal != 0)
        return kv->refusal;
    if (kv->version - kv->kept_version < KV_VERSIONS_AHEAD)
        return 0;
    kv->wants_version = true;
    return -EAGAIN;
}

struct change *journal_reserve(struct kv *kv, const char *key)
{
    size_t bytes = strlen(key);
    struct change *change;

    HASH_FIND(hh, kv->changes, key, bytes, change);
    if (change != NULL)
        return change;
    change = calloc(1, sizeof(*change) + bytes + 1);
    if (change == NULL)
        return NULL;
    memcpy(change->key, key, bytes + 1);
    HASH_ADD_KEYPTR(hh, kv->changes, change->key, bytes, change);
    if (!change->homeless)
        return change;
    free(change);
    return NULL;
}

void journal_note(struct kv *kv, struct change *change, struct text *text, struct kv_ack *ack)
{
    change->text = text_drop(change->text);
    change->text = text;
    if (text != NULL)
        text->refs++;
    change->version = kv->version;
    if (ack != NULL)
        STAILQ_INSERT_TAIL(&kv->acks, ack, link);
}

void journal_unlock(struct kv *kv)
{
    bool is_due = kv->journal.wanted != NULL && !kv->is_flushing &&
                  (kv->changes != NULL || kv->wants_version);

    kv->is_flushing |= is_due;
    lock_drop(&kv->lock);
    if (is_due)
        kv->journal.wanted(kv->journal.arg);
}

/* ---- flushes ---- */

struct kv_flush *kv_flush_take(struct kv *kv)
{
    struct kv_flush *f = &kv->flush;
    LOCKED(&kv->lock);

    CHECK(kv->is_flushing && f->changes == NULL && STAILQ_EMPTY(&f->acks));
    f->changes = kv->changes;
    f->next = f->changes;
    kv->changes = NULL;
    STAILQ_CONCAT(&f->acks, &kv->acks);
    f->version = kv->version;
    kv->wants_version = false;
    return f;
}

bool kv_flush_next(struct kv_flush *f, bool rewind, const char **ret_key, const char **ret_text,
                   uint64_t *ret_version)
{
    const struct change *change = rewind ? f->changes : f->next;

    if (change == NULL)
        return false;
    f->next = change->hh.next;
    *ret_key = change->key;
    *ret_text = change->text == NULL ? NULL : change->text->bytes;
    *ret_version = change->version;
    return true;
}

uint64_t kv_flush_version(const struct kv_flush *f)
{
    return f->version;
}

static void forget(struct change **changes)
{
    struct change *change, *next;

    HASH_ITER (hh, *changes, change, next) {
        HASH_DEL(*changes, change);
        (void)text_drop(change->text);
        free(change);
    }
}

/* Without the lock: reading back may take a while, and the store has locks of its own. */
static int restore_key(struct kv *kv, const char *key)
{
    CLEANUP_FREE char *bytes = NULL;
    struct text *text = NULL;
    uint64_t version = 0;
    int rc = kv->journal.restore(kv->journal.arg, key, &bytes, &version);

    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc == 0) {
        text = text_new(bytes);
        if (text == NULL)
            return -ENOMEM;
    }
    LOCKED(&kv->lock);
    return kv_reset(kv, key, text, version);
}

static int restore_all(struct kv *kv, const struct change *changes)
{
    int rc = 0;

    for (const struct change *c = changes; c != NULL && rc == 0; c = c->hh.next)
        rc = restore_key(kv, c->key);
    return rc;
}

/* Nobody can change anything meanwhile. */
static void take_back(struct kv *kv, struct kv_flush *f, int why)
{
    struct change *later;
    int rc;

    lock_take(&kv->lock);
    kv->refusal = -EAGAIN;
    later = kv->changes;
    kv->changes = NULL;
    STAILQ_CONCAT(&f->acks, &kv->acks);
    lock_drop(&kv->lock);
    rc = restore_all(kv, f->changes);
    if (rc == 0)
        rc = restore_all(kv, later);
    lock_take(&kv->lock);
    kv->refusal = rc < 0 || why == -ESHUTDOWN ? -ESHUTDOWN : 0;
    forget(&later);
    lock_drop(&kv->lock);
}

void kv_flush_settle(struct kv *kv, struct kv_flush *f, int rc)
{
    struct kv_ack *ack;

    if (rc < 0)
        take_back(kv, f, rc);
    lock_take(&kv->lock);
    CHECK(kv->is_flushing);
    if (rc == 0)
        kv->kept_version = f->version;
    forget(&f->changes);
    lock_drop(&kv->lock);
    while ((ack = STAILQ_FIRST(&f->acks)) != NULL) {
        STAILQ_REMOVE_HEAD(&f->acks, link);
        ack->done(ack, rc);
    }
    /* Only now, so that who was told and comes again shares the next flush. */
    lock_take(&kv->lock);
    kv->is_flushing = false;
    journal_unlock(kv);
}
