#include "jobs/store/memory.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

/* ---- from open to close ---- */

static void engine_close(void *e)
{
    struct memory *m = e;

    entry_free_all(m);
    (void)table_free(m->ids);
    (void)table_free(m->keys);
    (void)table_free(m->state);
    (void)tally_free(m->tally);
    lock_release(&m->lock);
    free(m);
}

static int engine_open(void **ret, const struct store_config *config, struct err *err)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return err_set(err, -ENOMEM, "There is no memory for the store.");
    lock_init(&m->lock, LOCK_STORE);
    m->limits = config->limits;
    m->tally = tally_new(&config->limits);
    m->ids = table_new(NULL);
    m->keys = table_new(NULL);
    m->state = table_new(free);
    if (m->tally == NULL || m->ids == NULL || m->keys == NULL || m->state == NULL) {
        engine_close(m);
        return err_set(err, -ENOMEM, "There is no memory for the store.");
    }
    *ret = m;
    return 0;
}

static const char *engine_name(void *e UNUSED)
{
    return "memory";
}

/* ---- transactions ---- */

static int engine_begin(void *e)
{
    struct memory *m = e;

    lock_take(&m->lock);
    m->seq_before = m->seq;
    m->state_version_before = m->state_version;
    return 0;
}

static int engine_apply(void *e, struct store_write *w)
{
    return memory_apply(e, w);
}

static int engine_commit(void *e)
{
    struct memory *m = e;

    table_commit(m->ids);
    table_commit(m->keys);
    table_commit(m->state);
    entry_commit_all(m);
    tally_commit(m->tally);
    lock_drop(&m->lock);
    return 0;
}

static void engine_rollback(void *e)
{
    struct memory *m = e;

    table_rollback(m->ids);
    table_rollback(m->keys);
    table_rollback(m->state);
    entry_rollback_all(m);
    tally_rollback(m->tally);
    m->seq = m->seq_before;
    m->state_version = m->state_version_before;
    lock_drop(&m->lock);
}

static void engine_idle(void *e UNUSED)
{
}

/* ---- reads of jobs ---- */

static int engine_find(void *e, const char *id, struct record *ret)
{
    struct memory *m = e;
    const struct entry *entry;
    LOCKED(&m->lock);

    entry = entry_by_id(m, id);
    if (entry == NULL)
        return -ENOENT;
    entry_read(entry, ret);
    return 0;
}

static int engine_list(void *e, const struct store_filter *filter, size_t max, struct record *ret)
{
    struct memory *m = e;
    const struct entry *entry;
    enum memory_ordering which;
    struct order_key key = {0, filter->before == 0 ? UINT64_MAX : filter->before};
    uint64_t major;
    size_t count = 0;
    LOCKED(&m->lock);

    if (entry_filter(m, filter, &which, &major) < 0)
        return 0;
    key.major = major;
    while (count < max && (entry = entry_below(m, which, key)) != NULL &&
           entry->nodes[which].key.major == major) {
        entry_read(entry, &ret[count++]);
        key.minor = entry->seq;
    }
    return (int)count;
}

static void read_attempt(const struct attempt *a, struct record_attempt *ret)
{
    *ret = (struct record_attempt) {
        .number = a->number,
        .started_us = a->started_us,
        .finished_us = a->finished_us,
        .end = {.outcome = a->outcome, .wait_status = a->wait_status, .was_oom = a->was_oom},
    };
    (void)snprintf(ret->end.text, sizeof(ret->end.text), "%s", a->text);
}

static int engine_attempts(void *e, uint64_t seq, struct record_attempt **ret)
{
    struct memory *m = e;
    struct record_attempt *attempts;
    const struct entry *entry;
    size_t count = 0, left;
    LOCKED(&m->lock);

    entry = entry_by_seq(m, seq);
    for (const struct attempt *a = entry == NULL ? NULL : entry->now.attempts; a != NULL;
         a = a->older)
        count++;
    attempts = calloc(count + 1, sizeof(*attempts));
    if (attempts == NULL)
        return -ENOMEM;
    left = count;
    for (const struct attempt *a = entry == NULL ? NULL : entry->now.attempts; a != NULL;
         a = a->older)
        read_attempt(a, &attempts[--left]);
    *ret = attempts;
    return (int)count;
}

/* The caller's hold of one, or NULL. */
static struct blob *hold_blob(struct memory *m, uint64_t seq, enum memory_blob which)
{
    const struct entry *entry;
    LOCKED(&m->lock);

    entry = entry_by_seq(m, seq);
    return entry == NULL ? NULL : blob_hold(entry->now.blobs[which]);
}

static int engine_params(void *e, uint64_t seq, char **ret)
{
    struct blob *params = hold_blob(e, seq, BLOB_PARAMS);

    return params == NULL ? -ENODATA : memory_copy(params, (void **)ret);
}

static int engine_result(void *e, uint64_t seq, struct store_result *ret)
{
    struct blob *result = hold_blob(e, seq, BLOB_RESULT);
    size_t bytes = result == NULL ? 0 : result->bytes;
    void *data;
    int rc = result == NULL ? -ENODATA : memory_copy(result, &data);

    if (rc == 0)
        *ret = (struct store_result) {.data = data, .fd = -1, .bytes = bytes};
    return rc;
}

/* False: it is not kept whole. */
static bool hold_payload(struct memory *m, uint64_t seq, struct blob **ret_params,
                         struct blob **ret_input, enum prong_input *ret_kind)
{
    const struct entry *entry;
    LOCKED(&m->lock);

    entry = entry_by_seq(m, seq);
    if (entry == NULL || !entry->now.is_whole)
        return false;
    *ret_params = blob_hold(entry->now.blobs[BLOB_PARAMS]);
    *ret_input = blob_hold(entry->now.blobs[BLOB_INPUT]);
    *ret_kind = entry->input_kind;
    return true;
}

static int engine_payload(void *e, uint64_t seq, struct payload *ret)
{
    struct blob *params, *input;
    struct payload payload = {.params = NULL};
    int rc, input_rc = 0;

    if (!hold_payload(e, seq, &params, &input, &payload.input_kind))
        return -ENODATA;
    payload.input_bytes = input == NULL ? 0 : input->bytes;
    rc = memory_copy(params, (void **)&payload.params);
    if (input != NULL)
        input_rc = memory_copy(input, &payload.input);
    if (rc < 0 || input_rc < 0) {
        payload_release(&payload);
        return -ENOMEM;
    }
    *ret = payload;
    return 0;
}

static int engine_position(void *e, const struct record *record, uint64_t *ret)
{
    struct memory *m = e;
    LOCKED(&m->lock);

    *ret = order_count_below(&m->orders[BY_PRIORITY],
                             (struct order_key) {record->priority, record->seq});
    return 0;
}

static void engine_count(void *e, struct store_counts *ret)
{
    const struct memory *m = e;

    tally_counts(m->tally, ret);
}

/* ---- reads of the shared state ---- */

struct telling {
    int (*each)(void *arg, const char *key, const char *value, uint64_t version);
    void *arg;
};

static int tell(void *arg, const char *name, void *thing)
{
    const struct memory_value *value = thing;
    const struct telling *t = arg;

    return t->each(t->arg, name, value->text, value->version);
}

static int engine_each_state(void *e,
                             int (*each)(void *arg, const char *key, const char *value,
                                         uint64_t version),
                             void *arg, uint64_t *ret_version)
{
    struct memory *m = e;
    struct telling t = {each, arg};
    LOCKED(&m->lock);

    *ret_version = m->state_version;
    return table_each(m->state, tell, &t);
}

static int engine_find_state(void *e, const char *key, char **ret_value, uint64_t *ret_version)
{
    struct memory *m = e;
    const struct memory_value *value;
    char *text;
    LOCKED(&m->lock);

    value = table_get(m->state, key);
    if (value == NULL)
        return -ENOENT;
    text = strdup(value->text);
    if (text == NULL)
        return -ENOMEM;
    *ret_value = text;
    *ret_version = value->version;
    return 0;
}

const struct engine engine_memory = {
    .open = engine_open,
    .close = engine_close,
    .begin = engine_begin,
    .apply = engine_apply,
    .commit = engine_commit,
    .rollback = engine_rollback,
    .idle = engine_idle,
    .find = engine_find,
    .list = engine_list,
    .attempts = engine_attempts,
    .payload = engine_payload,
    .params = engine_params,
    .result = engine_result,
    .position = engine_position,
    .count = engine_count,
    .each_state = engine_each_state,
    .find_state = engine_find_state,
    .name = engine_name,
};
