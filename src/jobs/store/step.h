/*
 * F2, pure: how a record changes by a write. The same for every engine: an engine finds the record, lets it take the step,
 * and keeps what it is then. A step that is refused (the errors of store.h) changes nothing.
 */
#ifndef JOBS_STORE_STEP_H
#define JOBS_STORE_STEP_H

#include "jobs/store/store.h"

/* What is asked, as a queued job of this number. */
struct record step_submit(const struct store_submit *w, uint64_t seq);

/* Its deadline has passed while it waited. */
void step_late(struct record *r, uint64_t now_us);

/* It runs from now on. `epoch` is the server's. */
void step_claim(struct record *r, uint64_t epoch, uint64_t now_us);

/* An attempt has ended. -ESTALE. */
int step_end(struct record *r, const struct store_end *w);

/* The result that an attempt has brought is kept with it. */
void step_result(struct record *r, const struct store_end *w);

/* -EALREADY. 1: it was running, and the attempt that was cut short is *ret_attempt. */
int step_cancel(struct record *r, uint64_t now_us, struct record_attempt *ret_attempt);

/* -EALREADY. */
int step_retry(struct record *r);

/* Its server has ended while it ran, which was not the job's fault. */
void step_cut_off(struct record *r, uint64_t now_us, struct record_attempt *ret_attempt);

#endif
