#include "jobs/store/sqlite.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "jobs/store/turn.h"

static int count_queued(struct sqlite *s)
{
    QUERY q = query_begin(&s->writer, STATEMENT_JOB_QUEUED);
    int rc;

    while ((rc = query_step(&q)) > 0) {
        struct record record;
        memset(&record, 0, offsetof(struct record, end));
        record.result = RECORD_RESULT_NONE;
        column_text(&q, record.client, sizeof(record.client));
        record.priority = (unsigned)column_number(&q);
        record.payload_bytes = column_number(&q);
        if (record.priority >= RECORD_PRIORITY_COUNT)
            return -EIO;
        rc = tally_move(s->tally, &record, RECORD_STATE_COUNT, RECORD_QUEUED);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int count_inputs(struct sqlite *s)
{
    QUERY q = query_begin(&s->writer, STATEMENT_PAYLOAD_BYTES);
    int rc = query_step(&q);

    if (rc > 0)
        tally_input(s->tally, (int64_t)column_number(&q));
    return MIN(rc, 0);
}

static int next_running(struct sqlite *s, struct row *ret)
{
    QUERY q = query_begin(&s->writer, STATEMENT_JOB_RUNNING);
    int rc = query_step(&q);

    if (rc <= 0)
        return rc;
    rc = row_read(&q, ret);
    return rc < 0 ? rc : 1;
}

/* It was not the job's fault, so the attempt does not count. */
static int queue_again(struct sqlite *s, struct row *row, uint64_t now_us)
{
    struct record *r = &row->record;
    struct record_attempt attempt = turn_attempt_cut_off(r, now_us);
    int rc = sqlite_add_attempt(s, r->seq, &attempt);

    if (rc < 0)
        return rc;
    turn_cut_off(r);
    rc = sqlite_save_row(s, row);
    return rc < 0 ? rc : tally_move(s->tally, r, RECORD_STATE_COUNT, RECORD_QUEUED);
}

int sqlite_recover(struct sqlite *s)
{
    uint64_t now_us = clock_wall_ns() / CLOCK_NS_PER_US;
    unsigned cut_off = 0;
    struct row row;
    int rc;

    s->meta[META_EPOCH]++;
    tally_load_ended(s->tally, s->meta[META_ENDED]);
    tally_result(s->tally, (int64_t)s->meta[META_RESULTS_BYTES]);
    rc = count_queued(s);
    if (rc == 0)
        rc = count_inputs(s);
    if (rc < 0)
        return rc;
    while ((rc = next_running(s, &row)) > 0) {
        rc = queue_again(s, &row, now_us);
        if (rc < 0)
            return rc;
        cut_off++;
    }
    if (rc == 0 && cut_off > 0)
        log_info("jobs that ran when the server ended, and are queued again: %u", cut_off);
    return rc;
}

static int is_known(void *arg, enum files_kind kind, uint64_t seq)
{
    struct sqlite *s = arg;
    QUERY q = query_begin(&s->writer, STATEMENT_JOB_FILES);
    int rc;

    bind_number(&q, seq);
    rc = query_step(&q);
    return rc <= 0 ? rc : (column_number(&q) & kind) != 0;
}

int sqlite_sweep_files(struct sqlite *s)
{
    int gone = files_sweep(s->files, is_known, s);

    if (gone > 0)
        log_info("files that no job knows any more, and that were removed: %d", gone);
    return gone;
}
