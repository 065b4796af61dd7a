#include "jobs/store/memory.h"

#include <string.h>

#include "base/check.h"

void memory_trim_payload(struct memory *m, struct row *row, const struct record *r)
{
    const struct blob *params = row->now.blobs[BLOB_PARAMS];

    if (!row->now.is_whole || r->payload_bytes <= STORE_PAYLOAD_SMALL_MAX)
        return;
    row_set_blob(m, row, BLOB_INPUT, NULL);
    if (params->bytes > STORE_PARAMS_KEPT_MAX)
        row_set_blob(m, row, BLOB_PARAMS, NULL);
    row_set_whole(m, row, false);
}

int memory_remove_row(struct memory *m, struct row *row)
{
    CHECK(table_set(m->ids, row->id.text, NULL) == 0);
    if (row->key != NULL)
        CHECK(table_set(m->keys, row->key, NULL) == 0);
    return row_save(m, row, NULL);
}

static int expire_result(struct memory *m, struct row *row)
{
    struct record r;

    row_read(row, &r);
    r.result = RECORD_RESULT_EXPIRED;
    row_set_blob(m, row, BLOB_RESULT, NULL);
    return row_save(m, row, &r);
}

static int expire_payload(struct memory *m, struct row *row)
{
    struct record r;

    row_read(row, &r);
    memory_trim_payload(m, row, &r);
    return row_save(m, row, &r);
}

static bool is_never_too_many(const struct memory *m UNUSED, const struct store_counts *c UNUSED)
{
    return false;
}

static bool are_records_too_many(const struct memory *m, const struct store_counts *counts)
{
    return counts->ended > m->limits.records_max;
}

static bool are_results_too_many(const struct memory *m, const struct store_counts *counts)
{
    return counts->results_bytes > m->limits.results_bytes_max;
}

static const struct broom {
    enum memory_order oldest;
    size_t keep; /* where the limit is */
    bool (*are_too_many)(const struct memory *m, const struct store_counts *counts);
    int (*remove)(struct memory *m, struct row *row);
} brooms[] = {
    {BY_END, offsetof(struct store_limits, record_keep_us), are_records_too_many,
     memory_remove_row},
    {BY_RESULT, offsetof(struct store_limits, result_keep_us), are_results_too_many, expire_result},
    {BY_PAYLOAD, offsetof(struct store_limits, result_keep_us), is_never_too_many, expire_payload},
};

static int sweep_with(struct memory *m, const struct broom *broom, struct store_sweep *w)
{
    uint64_t keep_us, finished_us, now_us = w->write.now_us;
    struct store_counts counts;
    struct row *row;
    int rc = 0;

    memcpy(&keep_us, (const char *)&m->limits + broom->keep, sizeof(keep_us));
    while (rc == 0 && w->removed < STORE_SWEEP_MAX && (row = row_first(m, broom->oldest)) != NULL) {
        tally_counts_now(m->tally, &counts);
        finished_us = row->nodes[broom->oldest].key.major;
        if ((finished_us > now_us || now_us - finished_us < keep_us) &&
            !broom->are_too_many(m, &counts))
            return 0;
        rc = broom->remove(m, row);
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
