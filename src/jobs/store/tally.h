/*
 * F2. Who has how much in the queue, kept in step with a transaction: for admission without counting rows.
 *
 * The engine's thread changes it; the totals may be read by any. What a transaction changed is undone by tally_rollback.
 */
#ifndef JOBS_STORE_TALLY_H
#define JOBS_STORE_TALLY_H

#include "jobs/store/store.h"

struct tally;

struct tally *tally_new(const struct store_limits *limits);
struct tally *tally_free(struct tally *t);

/* 0, or why such a job may not be queued now: -EBUSY, -EFBIG, -EDQUOT. */
int tally_admit(const struct tally *t, const char *client, uint64_t payload_bytes);

/* A job is there now (also while loading), has changed its state, or is forgotten; RECORD_STATE_COUNT stands for
 * "not there". Of the record, client, priority, payload_bytes, result and result_bytes are read: as they are for as long
 * as it is in `from` or `to`. -ENOMEM changes nothing. */
int tally_move(struct tally *t, const struct record *record, enum record_state from,
               enum record_state to);

/* `bytes` of a result are kept from now on; negative: no more. */
void tally_result(struct tally *t, int64_t bytes);

/* The same of the large payload of an ended job. */
void tally_input(struct tally *t, int64_t bytes);

/* While loading: so many ended jobs are there besides, so that nobody has to look at each. */
void tally_load_ended(struct tally *t, uint64_t count);

/* The engine's thread: with what this transaction has changed. */
void tally_counts_now(const struct tally *t, struct store_counts *ret);

void tally_commit(struct tally *t);
void tally_rollback(struct tally *t);

/* Any thread. As of the last commit. */
void tally_counts(struct tally *t, struct store_counts *ret);

#endif
