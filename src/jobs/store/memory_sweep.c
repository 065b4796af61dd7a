#include "jobs/store/memory.h"

#include <string.h>

#include "base/check.h"

void memory_trim_payload(struct memory *m, struct entry *entry)
{
    const struct blob *params = entry->now.blobs[BLOB_PARAMS];

    if (!entry->is_large || !entry->now.is_whole)
        return;
    entry_set_blob(m, entry, BLOB_INPUT, NULL);
    if (params->bytes > STORE_PARAMS_KEPT_MAX)
        entry_set_blob(m, entry, BLOB_PARAMS, NULL);
    entry_set_whole(m, entry, false);
}

int memory_remove(struct memory *m, struct entry *entry)
{
    CHECK(table_set(m->ids, entry->id.text, NULL) == 0);
    if (entry->key != NULL)
        CHECK(table_set(m->keys, entry->key, NULL) == 0);
    return entry_save(m, entry, NULL);
}

static int expire_result(struct memory *m, struct entry *entry)
{
    struct record r;

    entry_read(entry, &r);
    r.result = RECORD_RESULT_EXPIRED;
    entry_set_blob(m, entry, BLOB_RESULT, NULL);
    return entry_save(m, entry, &r);
}

static int expire_payload(struct memory *m, struct entry *entry)
{
    struct record r;

    entry_read(entry, &r);
    memory_trim_payload(m, entry);
    return entry_save(m, entry, &r);
}

static bool are_records_too_many(const struct memory *m, const struct store_counts *counts)
{
    return counts->ended > m->limits.records_max;
}

static bool are_results_too_many(const struct memory *m, const struct store_counts *counts)
{
    return counts->results_bytes > m->limits.results_bytes_max;
}

static bool are_inputs_too_many(const struct memory *m, const struct store_counts *counts)
{
    return counts->inputs_bytes > m->limits.results_bytes_max;
}

static const struct broom {
    enum memory_ordering oldest;
    size_t keep; /* where the limit is */
    bool (*are_too_many)(const struct memory *m, const struct store_counts *counts);
    int (*remove)(struct memory *m, struct entry *entry);
} brooms[] = {
    {BY_END, offsetof(struct store_limits, record_keep_us), are_records_too_many, memory_remove},
    {BY_RESULT, offsetof(struct store_limits, result_keep_us), are_results_too_many, expire_result},
    {BY_PAYLOAD, offsetof(struct store_limits, result_keep_us), are_inputs_too_many,
     expire_payload},
};

static int sweep_with(struct memory *m, const struct broom *broom, struct store_sweep *w)
{
    uint64_t keep_us, finished_us, now_us = w->write.now_us;
    struct store_counts counts;
    struct entry *entry;
    int rc = 0;

    memcpy(&keep_us, (const char *)&m->limits + broom->keep, sizeof(keep_us));
    while (rc == 0 && w->removed < STORE_SWEEP_MAX &&
           (entry = entry_first(m, broom->oldest)) != NULL) {
        tally_counts_now(m->tally, &counts);
        finished_us = entry->nodes[broom->oldest].key.major;
        if ((finished_us > now_us || now_us - finished_us < keep_us) &&
            !broom->are_too_many(m, &counts))
            return 0;
        rc = broom->remove(m, entry);
        w->removed += rc == 0 ? 1 : 0;
    }
    return rc;
}

int memory_sweep(struct memory *m, struct store_sweep *w)
{
    int rc = 0;

    w->removed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(brooms) && rc == 0; i++)
        rc = sweep_with(m, &brooms[i], w);
    return rc;
}
