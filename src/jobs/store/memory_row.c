#include "jobs/store/memory.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

/* ---- blobs ---- */

struct blob *blob_new(const void *data, size_t bytes)
{
    struct blob *b = bytes > SIZE_MAX - sizeof(*b) - 1 ? NULL : malloc(sizeof(*b) + bytes + 1);

    if (b == NULL)
        return NULL;
    atomic_init(&b->holds, 1);
    b->bytes = bytes;
    if (bytes > 0)
        memcpy(b->data, data, bytes);
    b->data[bytes] = '\0';
    return b;
}

struct blob *blob_hold(struct blob *b)
{
    if (b != NULL)
        (void)atomic_fetch_add(&b->holds, 1);
    return b;
}

struct blob *blob_let_go(struct blob *b)
{
    if (b != NULL && atomic_fetch_sub(&b->holds, 1) == 1)
        free(b);
    return NULL;
}

int blob_copy(struct blob *b, void **ret)
{
    void *copy = malloc(b->bytes + 1);

    if (copy != NULL)
        memcpy(copy, b->data, b->bytes + 1);
    (void)blob_let_go(b);
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

void row_read(const struct row *row, struct record *ret)
{
    CHECK(row->now.record != NULL);
    unpack(row->now.record, ret);
}

/* ---- versions of a row ---- */

static void touch(struct memory *m, struct row *row)
{
    CHECK(lock_is_held(&m->lock));
    if (row->is_touched)
        return;
    row->is_touched = true;
    row->before = row->now;
    SLIST_INSERT_HEAD(&m->touched, row, touched);
}

void row_set_blob(struct memory *m, struct row *row, enum memory_blob which, struct blob *b)
{
    touch(m, row);
    if (row->now.blobs[which] != row->before.blobs[which])
        (void)blob_let_go(row->now.blobs[which]);
    row->now.blobs[which] = b;
}

void row_set_whole(struct memory *m, struct row *row, bool is_whole)
{
    touch(m, row);
    row->now.is_whole = is_whole;
}

int row_add_attempt(struct memory *m, struct row *row, const struct record_attempt *attempt)
{
    size_t bytes = strnlen(attempt->end.text, sizeof(attempt->end.text) - 1);
    struct attempt *a = malloc(sizeof(*a) + bytes + 1);

    if (a == NULL)
        return -ENOMEM;
    touch(m, row);
    *a = (struct attempt) {
        .older = row->now.attempts,
        .number = row->now.attempts == NULL ? 1 : row->now.attempts->number + 1,
        .started_us = attempt->started_us,
        .finished_us = attempt->finished_us,
        .outcome = attempt->end.outcome,
        .wait_status = attempt->end.wait_status,
        .was_oom = attempt->end.was_oom,
    };
    memcpy(a->text, attempt->end.text, bytes);
    a->text[bytes] = '\0';
    row->now.attempts = a;
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
            (void)blob_let_go(lost->blobs[i]);
    }
}

/* ---- orders ---- */

static void place(struct memory *m, struct row *row, enum memory_order which, bool is_in,
                  uint64_t major)
{
    struct order_node *node = &row->nodes[which];

    if (!is_in)
        order_remove(&m->orders[which], node);
    else if (node->count == 0 || node->key.major != major)
        order_set(&m->orders[which], node, (struct order_key) {major, row->seq});
}

static uint64_t kernel_and_state(uint32_t kernel, enum record_state state)
{
    return (uint64_t)kernel * RECORD_STATE_COUNT + state;
}

static void place_all(struct memory *m, struct row *row, const struct record *r)
{
    bool exists = r != NULL;
    bool is_queued = exists && r->state == RECORD_QUEUED;
    bool has_ended = exists && record_has_ended(r->state);

    place(m, row, BY_SEQ, exists, 0);
    place(m, row, BY_STATE, exists, exists ? r->state : 0);
    place(m, row, BY_KERNEL, exists, row->kernel);
    place(m, row, BY_KERNEL_AND_STATE, exists,
          exists ? kernel_and_state(row->kernel, r->state) : 0);
    place(m, row, BY_PRIORITY, is_queued && r->run_at_us == 0, exists ? r->priority : 0);
    place(m, row, BY_RUN_AT, is_queued && r->run_at_us != 0, exists ? r->run_at_us : 0);
    place(m, row, BY_DEADLINE, is_queued && r->deadline_us != 0, exists ? r->deadline_us : 0);
    place(m, row, BY_RESULT, has_ended && r->result == RECORD_RESULT_KEPT,
          exists ? r->finished_us : 0);
    place(m, row, BY_PAYLOAD,
          has_ended && row->now.is_whole && r->payload_bytes > STORE_PAYLOAD_SMALL_MAX,
          exists ? r->finished_us : 0);
    place(m, row, BY_END, has_ended, exists ? r->finished_us : 0);
}

int row_save(struct memory *m, struct row *row, const struct record *record)
{
    CLEANUP_FREE char *packed = record == NULL ? NULL : pack(record);
    struct record old;

    if (record != NULL && packed == NULL)
        return -ENOMEM;
    if (record != NULL && tally_move(m->tally, record, RECORD_STATE_COUNT, record->state) < 0)
        return -ENOMEM;
    if (row->now.record != NULL) {
        row_read(row, &old);
        CHECK(tally_move(m->tally, &old, old.state, RECORD_STATE_COUNT) == 0);
    }
    touch(m, row);
    if (row->now.record != row->before.record)
        free(row->now.record);
    row->now.record = take_ptr(packed);
    place_all(m, row, record);
    return 0;
}

/* ---- rows ---- */

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

struct row *row_add(struct memory *m, const struct id *id, const char *kernel)
{
    struct row *row = calloc(1, sizeof(*row));

    CHECK(table_get(m->ids, id->text) == NULL);
    if (row == NULL || ensure_kernel(m, kernel, &row->kernel) < 0 ||
        table_set(m->ids, id->text, row) < 0) {
        free(row);
        return NULL;
    }
    row->id = *id;
    row->seq = ++m->seq;
    touch(m, row);
    return row;
}

static void row_free(struct row *row)
{
    const struct version none = {.record = NULL};

    drop_version(&row->now, &none);
    free_attempts(row->now.attempts, NULL);
    free(row->key);
    free(row);
}

static struct row *row_of(struct order_node *node, enum memory_order which)
{
    return node == NULL ? NULL : CONTAINER_OF(node - which, struct row, nodes);
}

struct row *row_by_id(const struct memory *m, const char *id)
{
    return table_get(m->ids, id);
}

struct row *row_by_seq(const struct memory *m, uint64_t seq)
{
    struct row *row = row_of(order_from(&m->orders[BY_SEQ], (struct order_key) {0, seq}), BY_SEQ);

    return row != NULL && row->seq == seq ? row : NULL;
}

struct row *row_first(const struct memory *m, enum memory_order which)
{
    return row_of(order_from(&m->orders[which], (struct order_key) {0, 0}), which);
}

struct row *row_from(const struct memory *m, enum memory_order which, struct order_key key)
{
    return row_of(order_from(&m->orders[which], key), which);
}

struct row *row_below(const struct memory *m, enum memory_order which, struct order_key key)
{
    return row_of(order_below(&m->orders[which], key), which);
}

int row_filter(const struct memory *m, const struct store_filter *filter,
               enum memory_order *ret_which, uint64_t *ret_major)
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

static void settle(struct memory *m, struct row *row, bool is_kept)
{
    struct version before = row->before;
    struct record record;

    SLIST_REMOVE_HEAD(&m->touched, touched);
    row->is_touched = false;
    row->before = (struct version) {.record = NULL};
    if (is_kept) {
        drop_version(&before, &row->now);
        trim_attempts(row->now.attempts);
    } else {
        free_attempts(row->now.attempts, before.attempts);
        drop_version(&row->now, &before);
        row->now = before;
        if (row->now.record != NULL)
            row_read(row, &record);
        place_all(m, row, row->now.record == NULL ? NULL : &record);
    }
    if (row->now.record == NULL)
        row_free(row);
}

static void settle_all(struct memory *m, bool is_kept)
{
    struct row *row;

    while ((row = SLIST_FIRST(&m->touched)) != NULL)
        settle(m, row, is_kept);
}

void row_commit_all(struct memory *m)
{
    settle_all(m, true);
}

void row_rollback_all(struct memory *m)
{
    settle_all(m, false);
}

void row_free_all(struct memory *m)
{
    struct row *row;

    while ((row = row_first(m, BY_SEQ)) != NULL) {
        order_remove(&m->orders[BY_SEQ], &row->nodes[BY_SEQ]);
        row_free(row);
    }
    free(m->kernels);
}
