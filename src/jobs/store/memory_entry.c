#include "jobs/store/memory.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

/* ---- blobs ---- */

int memory_copy(struct blob *b, void **ret)
{
    void *copy = malloc(b->bytes + 1);

    if (copy != NULL)
        memcpy(copy, b->data, b->bytes + 1);
    (void)blob_drop(b);
    if (copy == NULL)
        return -ENOMEM;
    *ret = copy;
    return 0;
}

/* ---- records ---- */

/* A record is mostly room for texts that are short or empty: it is kept as all that is not text, then the texts. */
#define HEAD_BYTES   offsetof(struct record, end.text)
#define MIDDLE_BEGIN offsetof(struct record, receipt)
#define MIDDLE_BYTES (offsetof(struct record, media_type) - MIDDLE_BEGIN)
#define TAIL_BEGIN   offsetof(struct record, result)
#define TAIL_BYTES   (sizeof(struct record) - TAIL_BEGIN)
#define FIXED_BYTES  (HEAD_BYTES + MIDDLE_BYTES + TAIL_BYTES)

static char *pack(const struct record *record)
{
    size_t text_bytes = strnlen(record->end.text, sizeof(record->end.text) - 1);
    size_t media_bytes = strnlen(record->media_type, sizeof(record->media_type) - 1);
    const char *from = (const char *)record;
    char *packed = malloc(FIXED_BYTES + text_bytes + media_bytes + 2);
    char *to = packed;

    if (packed == NULL)
        return NULL;
    to = mempcpy(to, from, HEAD_BYTES);
    to = mempcpy(to, from + MIDDLE_BEGIN, MIDDLE_BYTES);
    to = mempcpy(to, from + TAIL_BEGIN, TAIL_BYTES);
    to = mempcpy(to, record->end.text, text_bytes);
    *to++ = '\0';
    to = mempcpy(to, record->media_type, media_bytes);
    *to = '\0';
    return packed;
}

static void unpack(const char *packed, struct record *ret)
{
    const char *text = packed + FIXED_BYTES;
    char *to = (char *)ret;

    *ret = (struct record) {.seq = 0};
    memcpy(to, packed, HEAD_BYTES);
    memcpy(to + MIDDLE_BEGIN, packed + HEAD_BYTES, MIDDLE_BYTES);
    memcpy(to + TAIL_BEGIN, packed + HEAD_BYTES + MIDDLE_BYTES, TAIL_BYTES);
    (void)snprintf(ret->end.text, sizeof(ret->end.text), "%s", text);
    (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", text + strlen(text) + 1);
}

void entry_read(const struct entry *entry, struct record *ret)
{
    CHECK(entry->now.record != NULL);
    unpack(entry->now.record, ret);
}

/* ---- versions of a entry ---- */

static void touch(struct memory *m, struct entry *entry)
{
    CHECK(lock_is_held(&m->lock));
    if (entry->is_touched)
        return;
    entry->is_touched = true;
    entry->before = entry->now;
    SLIST_INSERT_HEAD(&m->touched, entry, touched);
}

void entry_set_blob(struct memory *m, struct entry *entry, enum memory_blob which, struct blob *b)
{
    touch(m, entry);
    if (entry->now.blobs[which] != entry->before.blobs[which])
        (void)blob_drop(entry->now.blobs[which]);
    entry->now.blobs[which] = b;
}

void entry_set_whole(struct memory *m, struct entry *entry, bool is_whole)
{
    touch(m, entry);
    entry->now.is_whole = is_whole;
}

int entry_add_attempt(struct memory *m, struct entry *entry, const struct record_attempt *attempt)
{
    size_t bytes = strnlen(attempt->end.text, sizeof(attempt->end.text) - 1);
    struct attempt *a = malloc(sizeof(*a) + bytes + 1);

    if (a == NULL)
        return -ENOMEM;
    touch(m, entry);
    *a = (struct attempt) {
        .older = entry->now.attempts,
        .number = entry->now.attempts == NULL ? 1 : entry->now.attempts->number + 1,
        .started_us = attempt->started_us,
        .finished_us = attempt->finished_us,
        .outcome = attempt->end.outcome,
        .wait_status = attempt->end.wait_status,
        .was_oom = attempt->end.was_oom,
    };
    memcpy(a->text, attempt->end.text, bytes);
    a->text[bytes] = '\0';
    entry->now.attempts = a;
    return 0;
}

static void free_attempts(struct attempt *a, const struct attempt *until)
{
    while (a != until) {
        struct attempt *older = a->older;
        free(a);
        a = older;
    }
}

static void trim_attempts(struct attempt *a)
{
    for (unsigned i = 1; a != NULL && i < RECORD_ATTEMPTS_MAX; i++)
        a = a->older;
    if (a != NULL) {
        free_attempts(a->older, NULL);
        a->older = NULL;
    }
}

/* Frees what `lost` has and `kept` has not. */
static void drop_version(const struct version *lost, const struct version *kept)
{
    if (lost->record != kept->record)
        free(lost->record);
    for (int i = 0; i < MEMORY_BLOB_COUNT; i++) {
        if (lost->blobs[i] != kept->blobs[i])
            (void)blob_drop(lost->blobs[i]);
    }
}

/* ---- orders ---- */

static void place(struct memory *m, struct entry *entry, enum memory_ordering which, bool is_in,
                  uint64_t major)
{
    struct order_node *node = &entry->nodes[which];

    if (!is_in)
        order_remove(&m->orders[which], node);
    else if (node->count == 0 || node->key.major != major)
        order_set(&m->orders[which], node, (struct order_key) {major, entry->seq});
}

static uint64_t kernel_and_state(uint32_t kernel, enum record_state state)
{
    return (uint64_t)kernel * RECORD_STATE_COUNT + state;
}

static void place_all(struct memory *m, struct entry *entry, const struct record *r)
{
    bool exists = r != NULL;
    bool is_queued = exists && r->state == RECORD_QUEUED;
    bool has_ended = exists && record_has_ended(r->state);

    place(m, entry, BY_SEQ, exists, 0);
    place(m, entry, BY_STATE, exists, exists ? r->state : 0);
    place(m, entry, BY_KERNEL, exists, entry->kernel);
    place(m, entry, BY_KERNEL_AND_STATE, exists,
          exists ? kernel_and_state(entry->kernel, r->state) : 0);
    place(m, entry, BY_PRIORITY, is_queued && r->run_at_us == 0, exists ? r->priority : 0);
    place(m, entry, BY_RUN_AT, is_queued && r->run_at_us != 0, exists ? r->run_at_us : 0);
    place(m, entry, BY_DEADLINE, is_queued && r->deadline_us != 0, exists ? r->deadline_us : 0);
    place(m, entry, BY_RESULT, has_ended && r->result == RECORD_RESULT_KEPT,
          exists ? r->finished_us : 0);
    place(m, entry, BY_PAYLOAD, has_ended && entry->is_large && entry->now.is_whole,
          exists ? r->finished_us : 0);
    place(m, entry, BY_END, has_ended, exists ? r->finished_us : 0);
}

/* What is kept of it so that it can be retried, as it was saved. */
static int64_t input_bytes(const struct entry *entry)
{
    struct record r;

    if (entry->nodes[BY_PAYLOAD].count == 0)
        return 0;
    entry_read(entry, &r);
    return (int64_t)r.payload_bytes;
}

int entry_save(struct memory *m, struct entry *entry, const struct record *record)
{
    CLEANUP_FREE char *packed = record == NULL ? NULL : pack(record);
    struct record old;
    int64_t had_input = input_bytes(entry);

    if (record != NULL && packed == NULL)
        return -ENOMEM;
    if (record != NULL && tally_move(m->tally, record, RECORD_STATE_COUNT, record->state) < 0)
        return -ENOMEM;
    if (entry->now.record != NULL) {
        entry_read(entry, &old);
        CHECK(tally_move(m->tally, &old, old.state, RECORD_STATE_COUNT) == 0);
    }
    touch(m, entry);
    if (entry->now.record != entry->before.record)
        free(entry->now.record);
    entry->now.record = take_ptr(packed);
    place_all(m, entry, record);
    tally_input(m->tally, input_bytes(entry) - had_input);
    return 0;
}

/* ---- entries ---- */

static bool find_kernel(const struct memory *m, const char *kernel, uint32_t *ret)
{
    for (uint32_t i = 0; i < m->kernel_count; i++) {
        if (strcmp(m->kernels[i], kernel) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

/* There are as many as the server has loaded, so looking at each is no trouble. */
static int ensure_kernel(struct memory *m, const char *kernel, uint32_t *ret)
{
    void *more;

    if (find_kernel(m, kernel, ret))
        return 0;
    more = reallocarray(m->kernels, m->kernel_count + 1, sizeof(m->kernels[0]));
    if (more == NULL)
        return -ENOMEM;
    m->kernels = more;
    (void)snprintf(m->kernels[m->kernel_count], sizeof(m->kernels[0]), "%s", kernel);
    *ret = m->kernel_count++;
    return 0;
}

struct entry *entry_add(struct memory *m, const struct id *id, const char *kernel)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    CHECK(table_get(m->ids, id->text) == NULL);
    if (entry == NULL || ensure_kernel(m, kernel, &entry->kernel) < 0 ||
        table_set(m->ids, id->text, entry) < 0) {
        free(entry);
        return NULL;
    }
    entry->id = *id;
    entry->seq = ++m->seq;
    touch(m, entry);
    return entry;
}

static void entry_free(struct entry *entry)
{
    const struct version none = {.record = NULL};

    drop_version(&entry->now, &none);
    free_attempts(entry->now.attempts, NULL);
    free(entry->key);
    free(entry);
}

static struct entry *entry_of(struct order_node *node, enum memory_ordering which)
{
    return node == NULL ? NULL : CONTAINER_OF(node - which, struct entry, nodes);
}

struct entry *entry_by_id(const struct memory *m, const char *id)
{
    return table_get(m->ids, id);
}

struct entry *entry_by_seq(const struct memory *m, uint64_t seq)
{
    struct entry *entry =
        entry_of(order_from(&m->orders[BY_SEQ], (struct order_key) {0, seq}), BY_SEQ);

    return entry != NULL && entry->seq == seq ? entry : NULL;
}

struct entry *entry_first(const struct memory *m, enum memory_ordering which)
{
    return entry_of(order_from(&m->orders[which], (struct order_key) {0, 0}), which);
}

struct entry *entry_from(const struct memory *m, enum memory_ordering which, struct order_key key)
{
    return entry_of(order_from(&m->orders[which], key), which);
}

struct entry *entry_below(const struct memory *m, enum memory_ordering which, struct order_key key)
{
    return entry_of(order_below(&m->orders[which], key), which);
}

int entry_filter(const struct memory *m, const struct store_filter *filter,
                 enum memory_ordering *ret_which, uint64_t *ret_major)
{
    uint32_t kernel = 0;

    if (filter->kernel != NULL && !find_kernel(m, filter->kernel, &kernel))
        return -ENOENT;
    if (filter->state < 0) {
        *ret_which = filter->kernel == NULL ? BY_SEQ : BY_KERNEL;
        *ret_major = kernel;
    } else if (filter->kernel == NULL) {
        *ret_which = BY_STATE;
        *ret_major = (uint64_t)filter->state;
    } else {
        *ret_which = BY_KERNEL_AND_STATE;
        *ret_major = kernel_and_state(kernel, (enum record_state)filter->state);
    }
    return 0;
}

/* ---- the end of a transaction ---- */

static void settle(struct memory *m, struct entry *entry, bool is_kept)
{
    struct version before = entry->before;
    struct record record;

    SLIST_REMOVE_HEAD(&m->touched, touched);
    entry->is_touched = false;
    entry->before = (struct version) {.record = NULL};
    if (is_kept) {
        drop_version(&before, &entry->now);
        trim_attempts(entry->now.attempts);
    } else {
        free_attempts(entry->now.attempts, before.attempts);
        drop_version(&entry->now, &before);
        entry->now = before;
        if (entry->now.record != NULL)
            entry_read(entry, &record);
        place_all(m, entry, entry->now.record == NULL ? NULL : &record);
    }
    if (entry->now.record == NULL)
        entry_free(entry);
}

static void settle_all(struct memory *m, bool is_kept)
{
    struct entry *entry;

    while ((entry = SLIST_FIRST(&m->touched)) != NULL)
        settle(m, entry, is_kept);
}

void entry_commit_all(struct memory *m)
{
    settle_all(m, true);
}

void entry_rollback_all(struct memory *m)
{
    settle_all(m, false);
}

void entry_free_all(struct memory *m)
{
    struct entry *entry;

    while ((entry = entry_first(m, BY_SEQ)) != NULL) {
        order_remove(&m->orders[BY_SEQ], &entry->nodes[BY_SEQ]);
        entry_free(entry);
    }
    free(m->kernels);
}
