#include "jobs/store/sqlite.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "jobs/store/step.h"

static int read_one(struct query *q, struct row *ret)
{
    int rc = query_step(q);

    if (rc <= 0)
        return rc < 0 ? rc : -ENOENT;
    return row_read(q, ret);
}

int sqlite_find_row(struct connection *c, const char *id, struct row *ret)
{
    unsigned char packed[ROW_ID_BYTES];
    QUERY q = query_begin(c, STATEMENT_JOB_BY_ID);

    if (!row_id_pack(id, packed))
        return -ENOENT;
    bind_blob(&q, packed, sizeof(packed));
    return read_one(&q, ret);
}

int sqlite_save_row(struct sqlite *s, const struct row *row)
{
    QUERY q = query_begin(&s->writer, STATEMENT_JOB_SAVE);

    row_bind_changing(&q, row);
    bind_number(&q, row->record.seq);
    return query_run(&q);
}

static int64_t input_bytes(const struct row *row, enum record_state state)
{
    bool is_kept = state < RECORD_STATE_COUNT && record_has_ended(state);

    return is_kept && row->payload == PAYLOAD_LARGE ? (int64_t)row->record.payload_bytes : 0;
}

int sqlite_tally_row(struct sqlite *s, const struct row *row, enum record_state from,
                     enum record_state to)
{
    int rc = tally_move(s->tally, &row->record, from, to);

    if (rc == 0)
        tally_input(s->tally, input_bytes(row, to) - input_bytes(row, from));
    return rc;
}

static int last_attempt(struct sqlite *s, uint64_t seq, unsigned *ret)
{
    QUERY q = query_begin(&s->writer, STATEMENT_ATTEMPT_LAST);
    int rc;

    bind_number(&q, seq);
    rc = query_step(&q);
    *ret = rc > 0 ? (unsigned)column_number(&q) : 0;
    return MIN(rc, 0);
}

static int trim_attempts(struct sqlite *s, uint64_t seq, unsigned newest)
{
    QUERY q = query_begin(&s->writer, STATEMENT_ATTEMPT_TRIM);

    if (newest <= RECORD_ATTEMPTS_MAX)
        return 0;
    bind_number(&q, seq);
    bind_number(&q, newest - RECORD_ATTEMPTS_MAX);
    return query_run(&q);
}

int sqlite_add_attempt(struct sqlite *s, uint64_t seq, const struct record_attempt *attempt)
{
    QUERY q = query_begin(&s->writer, STATEMENT_ATTEMPT_ADD);
    struct record_attempt numbered = *attempt;
    int rc = last_attempt(s, seq, &numbered.number);

    if (rc < 0)
        return rc;
    numbered.number++;
    attempt_bind(&q, seq, &numbered);
    rc = query_run(&q);
    return rc < 0 ? rc : trim_attempts(s, seq, numbered.number);
}

int sqlite_trim_payload(struct sqlite *s, struct row *row)
{
    int rc = 0;

    if (row->payload != PAYLOAD_LARGE)
        return 0;
    if ((row->files & FILES_INPUT) != 0)
        rc = files_forget(s->files, FILES_INPUT, row->record.seq);
    if (rc < 0)
        return rc;
    QUERY q = query_begin(&s->writer, STATEMENT_PAYLOAD_TRIM);
    bind_number(&q, STORE_PARAMS_KEPT_MAX);
    bind_number(&q, row->record.seq);
    row->files &= ~(unsigned)FILES_INPUT;
    row->payload = PAYLOAD_TRIMMED;
    return query_run(&q);
}

/* ---- submit ---- */

/* 0: the key is free. Else the rc of the submission. */
static int find_key(struct sqlite *s, struct store_submit *w)
{
    QUERY q = query_begin(&s->writer, STATEMENT_JOB_BY_KEY);
    struct row row;
    int rc;

    if (w->key == NULL)
        return 0;
    bind_text(&q, w->key);
    rc = read_one(&q, &row);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (column_number(&q) != w->fingerprint)
        return -EEXIST;
    w->record = row.record;
    return 1;
}

static struct row new_row(struct sqlite *s, const struct store_submit *w)
{
    return (struct row) {
        .record = step_submit(w, s->meta[META_SEQ] + 1),
        .payload = engine_payload_is_large(w) ? PAYLOAD_LARGE : PAYLOAD_SMALL,
        .files = w->input_bytes > STORE_FILE_BYTES_MIN ? FILES_INPUT : 0,
    };
}

static int add_payload(struct sqlite *s, const struct row *row, const struct store_submit *w)
{
    QUERY q = query_begin(&s->writer, STATEMENT_PAYLOAD_ADD);

    bind_number(&q, row->record.seq);
    bind_text(&q, w->params);
    bind_number(&q, w->input_kind);
    bind_number(&q, w->input_bytes);
    if (row->files != 0 || w->input_kind == PRONG_INPUT_NONE)
        bind_null(&q);
    else
        bind_blob(&q, w->input, w->input_bytes);
    return query_run(&q);
}

static int add_row(struct sqlite *s, const struct row *row, const struct store_submit *w)
{
    unsigned char packed[ROW_ID_BYTES];
    QUERY q = query_begin(&s->writer, STATEMENT_JOB_ADD);

    CHECK(row_id_pack(row->record.id.text, packed));
    row_bind_fixed(&q, row, packed);
    row_bind_changing(&q, row);
    bind_text(&q, w->key);
    bind_number(&q, w->fingerprint);
    return query_run(&q);
}

static int apply_submit(struct sqlite *s, struct store_submit *w)
{
    struct row row = new_row(s, w);
    int rc = find_key(s, w);

    if (rc == 0)
        rc = tally_admit(s->tally, row.record.client, row.record.payload_bytes);
    if (rc != 0)
        return rc;
    rc = add_row(s, &row, w);
    if (rc == 0)
        rc = add_payload(s, &row, w);
    if (rc == 0 && row.files != 0)
        rc = files_write(s->files, FILES_INPUT, row.record.seq, w->input, w->input_bytes);
    if (rc == 0)
        rc = tally_move(s->tally, &row.record, RECORD_STATE_COUNT, RECORD_QUEUED);
    if (rc < 0)
        return rc;
    s->meta[META_SEQ] = row.record.seq;
    w->record = row.record;
    return 0;
}

/* ---- claim ---- */

static int promote(struct sqlite *s, enum statement which, uint64_t border_us)
{
    QUERY q = query_begin(&s->writer, which);

    bind_number(&q, border_us);
    bind_number(&q, SQLITE_PROMOTE_MAX);
    return query_run(&q);
}

static int next_late(struct sqlite *s, uint64_t now_us, struct row *ret)
{
    QUERY q = query_begin(&s->writer, STATEMENT_QUEUE_LATE);

    bind_number(&q, now_us);
    return read_one(&q, ret);
}

static int fail_late(struct sqlite *s, struct store_claim *w)
{
    struct row row;
    int rc = 0;

    while (rc == 0 && w->late_count < STORE_CLAIM_MAX) {
        struct record *r = &row.record;
        rc = next_late(s, w->write.now_us, &row);
        if (rc < 0)
            return rc == -ENOENT ? 0 : rc;
        step_late(r, w->write.now_us);
        w->late[w->late_count++] = r->id;
        rc = sqlite_save_row(s, &row);
        if (rc == 0)
            rc = sqlite_tally_row(s, &row, RECORD_QUEUED, RECORD_FAILED);
    }
    return rc;
}

/* All are read before the first is changed, since the change would move the reader's place. */
static int find_ready(struct sqlite *s, struct store_claim *w)
{
    QUERY q = query_begin(&s->writer, STATEMENT_QUEUE_READY);
    struct row row;
    int rc = 0;

    bind_number(&q, w->write.now_us);
    bind_number(&q, MIN(w->want, (unsigned)STORE_CLAIM_MAX));
    while (rc == 0 && (rc = query_step(&q)) > 0) {
        rc = row_read(&q, &row);
        if (rc == 0)
            w->records[w->count++] = row.record;
    }
    return rc;
}

static int claim_one(struct sqlite *s, struct record *r, uint64_t now_us)
{
    QUERY q = query_begin(&s->writer, STATEMENT_QUEUE_CLAIM);
    int rc;

    step_claim(r, s->meta[META_EPOCH], now_us);
    bind_number(&q, r->attempts);
    bind_number(&q, r->lease);
    bind_number(&q, r->started_us);
    bind_number(&q, r->seq);
    rc = query_run(&q);
    return rc < 0 ? rc : tally_move(s->tally, r, RECORD_QUEUED, RECORD_RUNNING);
}

static int find_next(struct sqlite *s, enum statement which, uint64_t *next_us)
{
    QUERY q = query_begin(&s->writer, which);
    int rc = query_step(&q);
    uint64_t due_us = rc > 0 ? column_number(&q) : 0;

    if (rc > 0 && (*next_us == 0 || due_us < *next_us))
        *next_us = due_us;
    return MIN(rc, 0);
}

static int apply_claim(struct sqlite *s, struct store_claim *w)
{
    uint64_t now_us = w->write.now_us;
    int rc = promote(s, STATEMENT_QUEUE_PROMOTE_DUE, now_us);

    w->count = w->late_count = 0;
    w->next_us = 0;
    if (rc == 0)
        rc = promote(s, STATEMENT_QUEUE_PROMOTE_FAR, now_us + STORE_RUN_AHEAD_US);
    if (rc == 0)
        rc = fail_late(s, w);
    if (rc == 0 && w->want > 0)
        rc = find_ready(s, w);
    for (unsigned i = 0; i < w->count && rc == 0; i++)
        rc = claim_one(s, &w->records[i], now_us);
    if (rc == 0)
        rc = find_next(s, STATEMENT_QUEUE_NEXT_DUE, &w->next_us);
    if (rc == 0)
        rc = find_next(s, STATEMENT_QUEUE_NEXT_LATE, &w->next_us);
    return rc;
}

/* ---- end ---- */

static int add_result(struct sqlite *s, struct row *row, const struct store_end *w)
{
    bool is_file = w->result_bytes > STORE_FILE_BYTES_MIN;
    QUERY q = query_begin(&s->writer, STATEMENT_RESULT_ADD);
    int rc = is_file
                 ? files_write(s->files, FILES_RESULT, row->record.seq, w->result, w->result_bytes)
                 : 0;

    if (rc < 0)
        return rc;
    bind_number(&q, row->record.seq);
    if (is_file)
        bind_null(&q);
    else
        bind_blob(&q, w->result, w->result_bytes);
    row->files |= is_file ? FILES_RESULT : 0;
    step_result(&row->record, w);
    return query_run(&q);
}

static int apply_end(struct sqlite *s, struct store_end *w)
{
    struct row row;
    int rc = sqlite_find_row(&s->writer, w->id.text, &row);

    if (rc == 0)
        rc = step_end(&row.record, w);
    if (rc < 0)
        return rc == -ENOENT ? -ESTALE : rc;
    w->seq = row.record.seq;
    rc = store_end_is_recorded(w) ? sqlite_add_attempt(s, row.record.seq, &w->attempt) : 0;
    if (rc == 0 && w->state == RECORD_SUCCEEDED)
        rc = add_result(s, &row, w);
    if (rc == 0 && (w->state == RECORD_SUCCEEDED || w->state == RECORD_CANCELLED))
        rc = sqlite_trim_payload(s, &row);
    if (rc == 0)
        rc = sqlite_save_row(s, &row);
    return rc < 0 ? rc : sqlite_tally_row(s, &row, RECORD_RUNNING, w->state);
}

/* ---- changes by a client ---- */

static int apply_cancel(struct sqlite *s, struct store_change *w)
{
    struct record_attempt attempt;
    struct row row;
    int rc = sqlite_find_row(&s->writer, w->id.text, &row);

    if (rc < 0)
        return rc;
    rc = step_cancel(&row.record, w->write.now_us, &attempt);
    w->was_running = rc == 1;
    w->record = row.record;
    if (rc == 1)
        rc = sqlite_add_attempt(s, row.record.seq, &attempt);
    if (rc == 0)
        rc = sqlite_trim_payload(s, &row);
    if (rc == 0)
        rc = sqlite_save_row(s, &row);
    if (rc < 0)
        return rc;
    return sqlite_tally_row(s, &row, w->was_running ? RECORD_RUNNING : RECORD_QUEUED,
                            RECORD_CANCELLED);
}

static int apply_retry(struct sqlite *s, struct store_change *w)
{
    struct row row;
    int rc = sqlite_find_row(&s->writer, w->id.text, &row);
    enum record_state before;

    if (rc < 0)
        return rc;
    before = row.record.state;
    w->record = row.record;
    rc = step_retry(&row.record);
    if (rc == 0 && row.payload == PAYLOAD_TRIMMED)
        rc = -ENODATA;
    if (rc == 0)
        rc = tally_admit(s->tally, row.record.client, row.record.payload_bytes);
    if (rc < 0)
        return rc == -EDQUOT ? -EBUSY : rc;
    w->record = row.record;
    rc = sqlite_save_row(s, &row);
    return rc < 0 ? rc : sqlite_tally_row(s, &row, before, RECORD_QUEUED);
}

static int apply_forget(struct sqlite *s, struct store_change *w)
{
    struct row row;
    int rc = sqlite_find_row(&s->writer, w->id.text, &row);

    if (rc < 0)
        return rc;
    w->record = row.record;
    return record_has_ended(row.record.state) ? sqlite_remove_row(s, &row) : -EBUSY;
}

/* ---- the shared state ---- */

static int save_key(struct sqlite *s, const char *key, const char *value, uint64_t version)
{
    QUERY q =
        query_begin(&s->writer, value == NULL ? STATEMENT_STATE_REMOVE : STATEMENT_STATE_SAVE);

    bind_text(&q, key);
    if (value != NULL) {
        bind_text(&q, value);
        bind_number(&q, version);
    }
    return query_run(&q);
}

static int apply_state(struct sqlite *s, struct store_state *w)
{
    const char *key, *value;
    uint64_t version;
    int rc = 0;

    for (bool rewind = true; rc == 0 && w->next(w, rewind, &key, &value, &version); rewind = false)
        rc = save_key(s, key, value, version);
    s->meta[META_STATE_VERSION] = MAX(s->meta[META_STATE_VERSION], w->version);
    return rc;
}

int sqlite_apply(struct sqlite *s, struct store_write *w)
{
    switch (w->kind) {
    case STORE_SUBMIT:
        return apply_submit(s, CONTAINER_OF(w, struct store_submit, write));
    case STORE_CLAIM:
        return apply_claim(s, CONTAINER_OF(w, struct store_claim, write));
    case STORE_END:
        return apply_end(s, CONTAINER_OF(w, struct store_end, write));
    case STORE_CANCEL:
        return apply_cancel(s, CONTAINER_OF(w, struct store_change, write));
    case STORE_RETRY:
        return apply_retry(s, CONTAINER_OF(w, struct store_change, write));
    case STORE_FORGET:
        return apply_forget(s, CONTAINER_OF(w, struct store_change, write));
    case STORE_SWEEP:
        return sqlite_sweep(s, CONTAINER_OF(w, struct store_sweep, write));
    case STORE_STATE:
        return apply_state(s, CONTAINER_OF(w, struct store_state, write));
    case STORE_KIND_COUNT:
        break;
    }
    CHECK(false);
    return -EINVAL;
}
