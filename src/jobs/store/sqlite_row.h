/*
 * F2. A job as a row: which columns there are, in which order, and how a record goes in and comes out.
 */
#ifndef JOBS_STORE_SQLITE_ROW_H
#define JOBS_STORE_SQLITE_ROW_H

#include "jobs/record.h"
#include "jobs/store/sqlite_query.h"

#define ROW_FIXED_COLUMNS                                                                          \
    "seq, id, kernel, client, priority, chunks_wanted, timeout_us, payload_bytes, "                \
    "attempts_max, created_us"
#define ROW_FIXED_MARKS "?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

#define ROW_CHANGING_COLUMNS                                                                       \
    "state, deadline_us, attempts, lease, run_at_us, started_us, finished_us, outcome, "           \
    "wait_status, was_oom, "                                                                       \
    "text, wait_ns, run_ns, cpu_ns, max_rss_kb, chunks, retries, workers, media_type, result, "    \
    "result_bytes, payload, files"
#define ROW_CHANGING_MARKS "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

#define ROW_COLUMNS ROW_FIXED_COLUMNS ", " ROW_CHANGING_COLUMNS
#define ROW_MARKS   ROW_FIXED_MARKS ", " ROW_CHANGING_MARKS

enum { ROW_ID_BYTES = 16 };

/* The numbers are in databases. */
enum payload_kept {
    PAYLOAD_TRIMMED, /* small parameters at most, for people to read */
    PAYLOAD_SMALL,   /* whole, and may stay for as long as the record */
    PAYLOAD_LARGE,   /* whole, and goes when it is not needed any more */
    PAYLOAD_KEPT_COUNT
};

struct row {
    struct record record;
    enum payload_kept payload;
    unsigned files; /* enum files_kind */
};

/* An id as its 16 bytes. False: it is none. */
bool row_id_pack(const char *text, unsigned char out[ROW_ID_BYTES]);

void row_bind_fixed(struct query *q, const struct row *row,
                    const unsigned char packed[ROW_ID_BYTES]);
void row_bind_changing(struct query *q, const struct row *row);

/* Reads ROW_COLUMNS. -EIO: a value is none that was ever written. */
int row_read(struct query *q, struct row *ret);

void attempt_bind(struct query *q, uint64_t seq, const struct record_attempt *attempt);
int attempt_read(struct query *q, struct record_attempt *ret);

#endif
