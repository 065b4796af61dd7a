#include "jobs/store/sqlite_row.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

static unsigned digit_value(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a') + 10;
}

bool row_id_pack(const char *text, unsigned char out[ROW_ID_BYTES])
{
    size_t n = 0;

    if (!id_is_valid(text))
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '-')
            continue;
        out[n / 2] =
            (unsigned char)(n % 2 == 0 ? digit_value(*p) << 4 : out[n / 2] | digit_value(*p));
        n++;
    }
    CHECK(n == 2 * ROW_ID_BYTES);
    return true;
}

static struct id id_unpack(const unsigned char *packed)
{
    struct id id = {.text = ""};
    char *out = id.text;

    for (size_t i = 0; i < ROW_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = "0123456789abcdef"[packed[i] >> 4];
        *out++ = "0123456789abcdef"[packed[i] & 15];
    }
    return id;
}

void row_bind_fixed(struct query *q, const struct row *row,
                    const unsigned char packed[ROW_ID_BYTES])
{
    const struct record *r = &row->record;

    bind_number(q, r->seq);
    bind_blob(q, packed, ROW_ID_BYTES);
    bind_text(q, r->kernel);
    bind_text(q, r->client);
    bind_number(q, r->priority);
    bind_number(q, r->chunks_wanted);
    bind_number(q, r->timeout_us);
    bind_number(q, r->payload_bytes);
    bind_number(q, r->attempts_max);
    bind_number(q, r->created_us);
}

static void read_fixed(struct query *q, struct row *row, const unsigned char **ret_packed)
{
    struct record *r = &row->record;

    r->seq = column_number(q);
    *ret_packed = column_blob(q, ROW_ID_BYTES);
    column_text(q, r->kernel, sizeof(r->kernel));
    column_text(q, r->client, sizeof(r->client));
    r->priority = (unsigned)column_number(q);
    r->chunks_wanted = column_number(q);
    r->timeout_us = column_number(q);
    r->payload_bytes = column_number(q);
    r->attempts_max = (unsigned)column_number(q);
    r->created_us = column_number(q);
}

static void bind_end(struct query *q, const struct record_end *end)
{
    bind_number(q, end->outcome);
    bind_number(q, (uint64_t)(int64_t)end->wait_status);
    bind_number(q, end->was_oom);
    bind_text(q, end->text);
}

static void read_end(struct query *q, struct record_end *end)
{
    end->outcome = (enum job_outcome)column_number(q);
    end->wait_status = (int)(int64_t)column_number(q);
    end->was_oom = column_number(q) != 0;
    column_text(q, end->text, sizeof(end->text));
}

static void bind_receipt(struct query *q, const struct job_receipt *receipt)
{
    bind_number(q, receipt->wait_ns);
    bind_number(q, receipt->run_ns);
    bind_number(q, receipt->cpu_ns);
    bind_number(q, receipt->max_rss_kb);
    bind_number(q, receipt->chunks);
    bind_number(q, receipt->retries);
    bind_number(q, receipt->workers);
}

static void read_receipt(struct query *q, struct job_receipt *receipt)
{
    *receipt = (struct job_receipt) {0}; /* what is not kept is none: no kept answer lacks a part */
    receipt->wait_ns = column_number(q);
    receipt->run_ns = column_number(q);
    receipt->cpu_ns = column_number(q);
    receipt->max_rss_kb = (uint32_t)column_number(q);
    receipt->chunks = (uint32_t)column_number(q);
    receipt->retries = (uint32_t)column_number(q);
    receipt->workers = (uint32_t)column_number(q);
}

void row_bind_changing(struct query *q, const struct row *row)
{
    const struct record *r = &row->record;

    bind_number(q, r->state);
    bind_number_or_null(q, r->deadline_us);
    bind_number(q, r->attempts);
    bind_number(q, r->lease);
    bind_number_or_null(q, r->run_at_us);
    bind_number(q, r->started_us);
    bind_number_or_null(q, r->finished_us);
    bind_end(q, &r->end);
    bind_receipt(q, &r->receipt);
    bind_text(q, r->media_type);
    bind_number(q, r->result);
    bind_number(q, r->result_bytes);
    bind_number(q, row->payload);
    bind_number(q, row->files);
}

static void read_changing(struct query *q, struct row *row)
{
    struct record *r = &row->record;

    r->state = (enum record_state)column_number(q);
    r->deadline_us = column_number(q);
    r->attempts = (unsigned)column_number(q);
    r->lease = column_number(q);
    r->run_at_us = column_number(q);
    r->started_us = column_number(q);
    r->finished_us = column_number(q);
    read_end(q, &r->end);
    read_receipt(q, &r->receipt);
    column_text(q, r->media_type, sizeof(r->media_type));
    r->result = (enum record_result)column_number(q);
    r->result_bytes = column_number(q);
    row->payload = (enum payload_kept)column_number(q);
    row->files = (unsigned)column_number(q);
}

int row_read(struct query *q, struct row *ret)
{
    const struct record *r = &ret->record;
    const unsigned char *packed;

    read_fixed(q, ret, &packed);
    if (packed != NULL)
        ret->record.id = id_unpack(packed);
    read_changing(q, ret);
    if (packed == NULL || r->state >= RECORD_STATE_COUNT || r->priority >= RECORD_PRIORITY_COUNT ||
        r->end.outcome >= JOB_OUTCOME_COUNT || r->result >= RECORD_RESULT_COUNT ||
        ret->payload >= PAYLOAD_KEPT_COUNT) {
        log_error("the store's database has a job that cannot be: number %llu",
                  (unsigned long long)r->seq);
        return -EIO;
    }
    return 0;
}

void attempt_bind(struct query *q, uint64_t seq, const struct record_attempt *attempt)
{
    bind_number(q, seq);
    bind_number(q, attempt->number);
    bind_number(q, attempt->started_us);
    bind_number(q, attempt->finished_us);
    bind_end(q, &attempt->end);
}

int attempt_read(struct query *q, struct record_attempt *ret)
{
    ret->number = (unsigned)column_number(q);
    ret->started_us = column_number(q);
    ret->finished_us = column_number(q);
    read_end(q, &ret->end);
    return ret->end.outcome < JOB_OUTCOME_COUNT ? 0 : -EIO;
}
