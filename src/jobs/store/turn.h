/*
 * F2, pure. What a record becomes by each write, the same whichever engine keeps it.
 */
#ifndef JOBS_STORE_TURN_H
#define JOBS_STORE_TURN_H

#include "jobs/store/store.h"

/* Its deadline has passed in the queue. */
void turn_late(struct record *r, uint64_t now_us);

/* Claimed. Leases of a later `epoch` are above all of an earlier one. */
void turn_running(struct record *r, uint64_t epoch, uint64_t now_us);

/* Whether `w` shows the lease under which the record runs; then it may end the attempt. */
bool turn_may_end(const struct record *r, const struct store_end *w);
void turn_ended(struct record *r, const struct store_end *w);

void turn_cancelled(struct record *r, uint64_t now_us);

/* Queued again by a client. */
void turn_retried(struct record *r);

/* The server ended while it ran: queued again, and the attempt not counted. */
void turn_cut_off(struct record *r);

/* The attempt of a running record that ends by what its client or the server did, as it goes into its history. Before the
 * record's turn. */
struct record_attempt turn_attempt_cancelled(const struct record *r, uint64_t now_us);
struct record_attempt turn_attempt_cut_off(const struct record *r, uint64_t now_us);

#endif
