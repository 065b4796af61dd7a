#include "jobs/store/sqlite.h"

#include <errno.h>

#include "base/check.h"

static int run_for(struct sqlite *s, enum statement which, uint64_t seq)
{
    QUERY q = query_begin(&s->writer, which);

    bind_number(&q, seq);
    return query_run(&q);
}

static int forget_files(struct sqlite *s, struct row *row, unsigned which)
{
    int rc = 0;

    if ((row->files & which & FILES_INPUT) != 0)
        rc = files_forget(s->files, FILES_INPUT, row->record.seq);
    if (rc == 0 && (row->files & which & FILES_RESULT) != 0)
        rc = files_forget(s->files, FILES_RESULT, row->record.seq);
    row->files &= ~which;
    return rc;
}

/* What belongs to the job goes with it: ON DELETE CASCADE. */
int sqlite_remove_row(struct sqlite *s, struct row *row)
{
    int rc = forget_files(s, row, FILES_INPUT | FILES_RESULT);

    if (rc == 0)
        rc = run_for(s, STATEMENT_JOB_REMOVE, row->record.seq);
    return rc < 0 ? rc : sqlite_tally_row(s, row, row->record.state, RECORD_STATE_COUNT);
}

static int expire_result(struct sqlite *s, struct row *row)
{
    int rc = forget_files(s, row, FILES_RESULT);

    if (rc == 0)
        rc = run_for(s, STATEMENT_RESULT_REMOVE, row->record.seq);
    row->record.result = RECORD_RESULT_EXPIRED;
    if (rc == 0)
        rc = sqlite_save_row(s, row);
    if (rc == 0)
        tally_result(s->tally, -(int64_t)row->record.result_bytes);
    return rc;
}

static int expire_payload(struct sqlite *s, struct row *row)
{
    int rc = sqlite_trim_payload(s, row);

    if (rc == 0)
        rc = sqlite_save_row(s, row);
    if (rc == 0)
        tally_input(s->tally, -(int64_t)row->record.payload_bytes);
    return rc;
}

static bool is_too_old(const struct row *row, uint64_t now_us, uint64_t keep_us)
{
    return row->record.finished_us <= now_us && now_us - row->record.finished_us >= keep_us;
}

static bool result_must_go(struct sqlite *s, const struct row *row, uint64_t now_us)
{
    struct store_counts counts;

    tally_counts_now(s->tally, &counts);
    return counts.results_bytes > s->limits.results_bytes_max ||
           is_too_old(row, now_us, s->limits.result_keep_us);
}

static bool payload_must_go(struct sqlite *s, const struct row *row, uint64_t now_us)
{
    struct store_counts counts;

    tally_counts_now(s->tally, &counts);
    return counts.inputs_bytes > s->limits.results_bytes_max ||
           is_too_old(row, now_us, s->limits.result_keep_us);
}

static bool record_must_go(struct sqlite *s, const struct row *row, uint64_t now_us)
{
    struct store_counts counts;

    tally_counts_now(s->tally, &counts);
    return counts.ended > s->limits.records_max ||
           is_too_old(row, now_us, s->limits.record_keep_us);
}

static const struct broom {
    enum statement oldest;
    bool (*must_go)(struct sqlite *s, const struct row *row, uint64_t now_us);
    int (*remove)(struct sqlite *s, struct row *row);
} brooms[] = {
    {STATEMENT_OLD_RECORD, record_must_go, sqlite_remove_row},
    {STATEMENT_OLD_RESULT, result_must_go, expire_result},
    {STATEMENT_OLD_PAYLOAD, payload_must_go, expire_payload},
};

static int oldest(struct sqlite *s, enum statement which, struct row *ret)
{
    QUERY q = query_begin(&s->writer, which);
    int rc = query_step(&q);

    if (rc <= 0)
        return rc < 0 ? rc : -ENOENT;
    return row_read(&q, ret);
}

static int sweep_with(struct sqlite *s, const struct broom *broom, struct store_sweep *w)
{
    struct row row;
    int rc = 0;

    while (rc == 0 && w->removed < STORE_SWEEP_MAX) {
        rc = oldest(s, broom->oldest, &row);
        if (rc == -ENOENT || (rc == 0 && !broom->must_go(s, &row, w->write.now_us)))
            return 0;
        if (rc == 0)
            rc = broom->remove(s, &row);
        w->removed += rc == 0 ? 1 : 0;
    }
    return rc;
}

int sqlite_sweep(struct sqlite *s, struct store_sweep *w)
{
    int rc = 0;

    w->removed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(brooms) && rc == 0; i++)
        rc = sweep_with(s, &brooms[i], w);
    return rc;
}
