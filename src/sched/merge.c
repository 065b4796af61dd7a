#include "sched/internal.h"

/*
 * Equal jobs that run at the same time are one run. Which are equal is said by their keys, which only jobs without
 * listeners have, and only of kernels that are pure. For one key there is at most one run that others may join: the
 * newest, whose deadline is mostly the latest.
 *
 * A task carries the deadline that its run had when it was sent. If somebody joins with a later one, a worker may stop at
 * the first, and the task is sent again (answer.c). Chunks are short, so that costs little; but for work that is not
 * split, or as its client wanted it, the newcomer would have been better off alone. So such a run is joined only while it has at least half of the
 * newcomer's time: when that is not enough, the newcomer's own would hardly have been.
 */

/* When a worker would give up all that has been done so far. */
static uint64_t stops_at_ns(const struct run *run)
{
    const struct task *t = TAILQ_FIRST(&run->tasks);

    bool is_cut_small = run->has_plan && run->chunks_wanted == 0;

    return t == NULL || is_cut_small ? UINT64_MAX : t->deadline_ns;
}

static bool is_worth_joining(const struct run *run, const struct job *job)
{
    uint64_t stops_ns = stops_at_ns(run);
    uint64_t now_ns = clock_now_ns();

    if (job->deadline_ns <= stops_ns)
        return true;
    return stops_ns > now_ns && job->deadline_ns - stops_ns <= stops_ns - now_ns;
}

struct run *merge_find(struct sched *s, const struct job *job)
{
    const struct key *key = job->key;
    struct run *run = NULL;

    if (key == NULL || job->is_fresh)
        return NULL;
    HASH_FIND_BYHASHVALUE(hh, s->open_runs, key->data, key->bytes, (unsigned)key->hash, run);
    /* In a class that is served later than its own it would wait longer than alone. */
    if (run == NULL || (unsigned)run->class > job->priority || !is_worth_joining(run, job))
        return NULL;
    return run;
}

void merge_open(struct sched *s, struct run *run)
{
    const struct key *key = run->shared.key;
    struct run *older = NULL;

    if (key == NULL || run->wants_parts || run->wants_progress || run->wants_retries)
        return;
    HASH_FIND_BYHASHVALUE(hh, s->open_runs, key->data, key->bytes, (unsigned)key->hash, older);
    if (older != NULL)
        merge_close(s, older);
    run->is_open = true;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->open_runs, key->data, key->bytes, (unsigned)key->hash, run);
}

void merge_close(struct sched *s, struct run *run)
{
    if (run->is_open)
        HASH_DELETE(hh, s->open_runs, run);
    run->is_open = false;
}
