#include "jobs/store/memory.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "jobs/store/step.h"

/* There is no other server before or after this one. */
#define EPOCH UINT64_C(1)

/* ---- submit ---- */

static int set_key(struct memory *m, struct entry *entry, const struct store_submit *w)
{
    entry->fingerprint = w->fingerprint;
    if (w->key == NULL)
        return 0;
    entry->key = strdup(w->key);
    return entry->key == NULL ? -ENOMEM : table_set(m->keys, entry->key, entry);
}

static int set_payload(struct memory *m, struct entry *entry, const struct store_submit *w)
{
    struct blob *params = blob_copy(w->params, strlen(w->params));
    bool has_input = w->input_kind != PRONG_INPUT_NONE;
    struct blob *input = has_input ? blob_copy(w->input, w->input_bytes) : NULL;

    entry->input_kind = w->input_kind;
    entry->is_large = engine_payload_is_large(w);
    entry_set_blob(m, entry, BLOB_PARAMS, params);
    entry_set_blob(m, entry, BLOB_INPUT, input);
    entry_set_whole(m, entry, true);
    return params == NULL || (has_input && input == NULL) ? -ENOMEM : 0;
}

static int add_job(struct memory *m, struct store_submit *w, struct record *r)
{
    struct entry *entry = entry_add(m, &w->record.id, w->record.kernel);
    int rc = entry == NULL ? -ENOMEM : set_key(m, entry, w);

    if (rc == 0)
        rc = set_payload(m, entry, w);
    if (rc == 0)
        rc = entry_save(m, entry, r);
    if (rc == 0)
        w->record = *r;
    return rc;
}

static int apply_submit(struct memory *m, struct store_submit *w)
{
    const struct entry *same = w->key == NULL ? NULL : table_get(m->keys, w->key);
    struct record r;
    int rc;

    if (same != NULL && same->fingerprint != w->fingerprint)
        return -EEXIST;
    if (same != NULL) {
        entry_read(same, &w->record);
        return 1;
    }
    r = step_submit(w, m->seq + 1);
    rc = tally_admit(m->tally, r.client, r.payload_bytes);
    return rc < 0 ? rc : add_job(m, w, &r);
}

/* ---- claim ---- */

static int promote_due(struct memory *m, uint64_t now_us)
{
    struct record r;
    struct entry *entry;
    int rc = 0;

    while (rc == 0 && (entry = entry_first(m, BY_RUN_AT)) != NULL &&
           entry->nodes[BY_RUN_AT].key.major <= now_us) {
        entry_read(entry, &r);
        r.run_at_us = 0;
        rc = entry_save(m, entry, &r);
    }
    return rc;
}

static int fail_late(struct memory *m, struct store_claim *w)
{
    uint64_t now_us = w->write.now_us;
    struct record r;
    struct entry *entry;
    int rc = 0;

    while (rc == 0 && w->late_count < STORE_CLAIM_MAX &&
           (entry = entry_first(m, BY_DEADLINE)) != NULL &&
           entry->nodes[BY_DEADLINE].key.major <= now_us) {
        entry_read(entry, &r);
        step_late(&r, now_us);
        w->late[w->late_count++] = r.id;
        rc = entry_save(m, entry, &r);
    }
    return rc;
}

static int claim_one(struct memory *m, struct entry *entry, struct store_claim *w)
{
    struct record *r = &w->records[w->count++];

    entry_read(entry, r);
    step_claim(r, EPOCH, w->write.now_us);
    return entry_save(m, entry, r);
}

/* More than STORE_CLAIM_MAX may be late: what is left of them is passed over. */
static int claim_ready(struct memory *m, struct store_claim *w)
{
    unsigned want = MIN(w->want, (unsigned)STORE_CLAIM_MAX);
    struct entry *entry = entry_first(m, BY_PRIORITY);
    int rc = 0;

    while (rc == 0 && entry != NULL && w->count < want) {
        const struct order_node *deadline = &entry->nodes[BY_DEADLINE];
        struct order_key next = entry->nodes[BY_PRIORITY].key;
        if (deadline->count == 0 || deadline->key.major > w->write.now_us)
            rc = claim_one(m, entry, w);
        next.minor++;
        entry = entry_from(m, BY_PRIORITY, next);
    }
    return rc;
}

static void find_next(const struct memory *m, enum memory_ordering which, uint64_t *next_us)
{
    const struct entry *entry = entry_first(m, which);
    uint64_t due_us = entry == NULL ? 0 : entry->nodes[which].key.major;

    if (entry != NULL && (*next_us == 0 || due_us < *next_us))
        *next_us = due_us;
}

static int apply_claim(struct memory *m, struct store_claim *w)
{
    int rc = promote_due(m, w->write.now_us);

    w->count = w->late_count = 0;
    w->next_us = 0;
    if (rc == 0)
        rc = fail_late(m, w);
    if (rc == 0)
        rc = claim_ready(m, w);
    find_next(m, BY_RUN_AT, &w->next_us);
    find_next(m, BY_DEADLINE, &w->next_us);
    return rc;
}

/* ---- end ---- */

static int set_result(struct memory *m, struct entry *entry, struct record *r,
                      const struct store_end *w)
{
    struct blob *result = blob_copy(w->result, w->result_bytes);

    if (result == NULL)
        return -ENOMEM;
    entry_set_blob(m, entry, BLOB_RESULT, result);
    step_result(r, w);
    return 0;
}

static int apply_end(struct memory *m, struct store_end *w)
{
    struct entry *entry = entry_by_id(m, w->id.text);
    struct record r;
    int rc;

    if (entry == NULL)
        return -ESTALE;
    entry_read(entry, &r);
    rc = step_end(&r, w);
    if (rc < 0)
        return rc;
    w->seq = r.seq;
    rc = store_end_is_recorded(w) ? entry_add_attempt(m, entry, &w->attempt) : 0;
    if (rc == 0 && w->state == RECORD_SUCCEEDED)
        rc = set_result(m, entry, &r, w);
    if (w->state == RECORD_SUCCEEDED || w->state == RECORD_CANCELLED)
        memory_trim_payload(m, entry);
    return rc < 0 ? rc : entry_save(m, entry, &r);
}

/* ---- changes by a client ---- */

static int apply_cancel(struct memory *m, struct entry *entry, struct store_change *w)
{
    struct record_attempt attempt;
    int rc = step_cancel(&w->record, w->write.now_us, &attempt);

    w->was_running = rc == 1;
    if (rc == 1)
        rc = entry_add_attempt(m, entry, &attempt);
    if (rc < 0)
        return rc;
    memory_trim_payload(m, entry);
    return entry_save(m, entry, &w->record);
}

static int apply_retry(struct memory *m, struct entry *entry, struct store_change *w)
{
    struct record queued = w->record;
    int rc = step_retry(&queued);

    if (rc == 0 && !entry->now.is_whole)
        rc = -ENODATA;
    if (rc == 0)
        rc = tally_admit(m->tally, queued.client, queued.payload_bytes);
    if (rc < 0)
        return rc == -EDQUOT ? -EBUSY : rc;
    w->record = queued;
    return entry_save(m, entry, &w->record);
}

static int apply_forget(struct memory *m, struct entry *entry, struct store_change *w)
{
    return record_has_ended(w->record.state) ? memory_remove(m, entry) : -EBUSY;
}

static int apply_change(struct memory *m, struct store_change *w,
                        int (*change)(struct memory *m, struct entry *entry,
                                      struct store_change *w))
{
    struct entry *entry = entry_by_id(m, w->id.text);

    if (entry == NULL)
        return -ENOENT;
    entry_read(entry, &w->record);
    return change(m, entry, w);
}

/* ---- the shared state ---- */

static int save_key(struct memory *m, const char *key, const char *text, uint64_t version)
{
    size_t bytes = text == NULL ? 0 : strlen(text) + 1;
    struct memory_value *value;
    int rc;

    if (text == NULL)
        return table_set(m->state, key, NULL);
    value = malloc(sizeof(*value) + bytes);
    if (value == NULL)
        return -ENOMEM;
    value->version = version;
    memcpy(value->text, text, bytes);
    rc = table_set(m->state, key, value);
    if (rc < 0)
        free(value);
    return rc;
}

static int apply_state(struct memory *m, struct store_state *w)
{
    const char *key, *value;
    uint64_t version;
    int rc = 0;

    for (bool rewind = true; rc == 0 && w->next(w, rewind, &key, &value, &version); rewind = false)
        rc = save_key(m, key, value, version);
    m->state_version = MAX(m->state_version, w->version);
    return rc;
}

int memory_apply(struct memory *m, struct store_write *w)
{
    switch (w->kind) {
    case STORE_SUBMIT:
        return apply_submit(m, CONTAINER_OF(w, struct store_submit, write));
    case STORE_CLAIM:
        return apply_claim(m, CONTAINER_OF(w, struct store_claim, write));
    case STORE_END:
        return apply_end(m, CONTAINER_OF(w, struct store_end, write));
    case STORE_CANCEL:
        return apply_change(m, CONTAINER_OF(w, struct store_change, write), apply_cancel);
    case STORE_RETRY:
        return apply_change(m, CONTAINER_OF(w, struct store_change, write), apply_retry);
    case STORE_FORGET:
        return apply_change(m, CONTAINER_OF(w, struct store_change, write), apply_forget);
    case STORE_SWEEP:
        return memory_sweep(m, CONTAINER_OF(w, struct store_sweep, write));
    case STORE_STATE:
        return apply_state(m, CONTAINER_OF(w, struct store_state, write));
    case STORE_KIND_COUNT:
        break;
    }
    CHECK(false);
    return -EINVAL;
}
