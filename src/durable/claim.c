#include "base/log.h"
#include "durable/internal.h"

enum { TROUBLE_RETRY_MS = 1000 };

/* How many jobs the scheduler should have: always one ahead, and of short ones as many as keep the workers busy while
 * the next are being claimed. Not more, so that order and cancelling stay the store's. */
static size_t wanted(const struct durable *d)
{
    double ahead_ns = (double)DURABLE_AHEAD_MS * (double)CLOCK_NS_PER_MS * d->config.workers;
    size_t least = d->config.workers + 1;

    if (d->run_ns <= 0 || ahead_ns / d->run_ns < (double)least)
        return MIN(least, (size_t)DURABLE_RUNNING_MAX);
    return (size_t)MIN(ahead_ns / d->run_ns, (double)DURABLE_RUNNING_MAX);
}

static void claim_written(struct store_write *w)
{
    struct durable *d = w->owner;

    durable_post(d, &d->claimed, LETTER_CLAIMED);
}

/* What there was to claim is still there; but not at once again. */
static void rest(struct durable *d, uint64_t now_ns)
{
    d->may_have_more = true;
    d->claim_at_ns = d->rest_until_ns = now_ns + TROUBLE_RETRY_MS * CLOCK_NS_PER_MS;
}

/* Also without room, when a deadline may have passed or must be known. */
void claim_more(struct durable *d, uint64_t now_ns)
{
    size_t want = wanted(d), room = want > d->running ? want - d->running : 0;
    bool is_due = now_ns >= d->claim_at_ns || atomic_load(&d->has_deadline);

    if (d->is_claiming || now_ns < d->rest_until_ns || atomic_load(&d->is_draining) ||
        !(is_due || (d->may_have_more && room > 0)))
        return;
    d->may_have_more = d->may_have_more && room == 0;
    atomic_store(&d->has_deadline, false);
    d->claim_at_ns = CLOCK_NEVER;
    d->claim = (struct store_claim) {.write = {.kind = STORE_CLAIM,
                                               .done = claim_written,
                                               .owner = d,
                                               .now_us = durable_now_us(d)},
                                     .want = (unsigned)MIN(room, (size_t)STORE_CLAIM_MAX),
                                     .records = d->claim_records};
    if (store_post(d->config.store, &d->claim.write) < 0)
        rest(d, now_ns);
    else
        d->is_claiming = true;
}

void claim_done(struct durable *d)
{
    struct store_claim *c = &d->claim;

    d->is_claiming = false;
    if (c->write.rc < 0) {
        rest(d, clock_now_ns());
        return;
    }
    /* Also when none was wanted: what has become due meanwhile waits for room. */
    if (c->count == c->want || c->late_count == STORE_CLAIM_MAX)
        d->may_have_more = true;
    durable_due(d, c->next_us);
    for (unsigned i = 0; i < c->late_count; i++) {
        durable_count_end(RECORD_FAILED);
        watch_tell_stored(d, c->late[i].text);
    }
    for (unsigned i = 0; i < c->count; i++)
        run_start(d, &c->records[i]);
}
