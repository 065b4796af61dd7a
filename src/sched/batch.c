#include "sched/internal.h"

/*
 * Small calls of a kernel that has `batch` are handed out together. The first goes at once; those that come while one of the
 * same kernel is out wait for its end, for enough of them, or for BATCH_WAIT_US, whatever is first. So who asks alone never
 * waits, and the more ask at once the more go together. Then they are in the queue like all others, for when no worker has
 * time, and whoever is next there takes the others along, each paid by its own client.
 *
 * Calls are small when little was sent with them and several are predicted to fit in BATCH_WORK_NS. What a batch has taken is
 * shared among its calls, so a kernel that gains by it is soon given more at once.
 *
 * A worker dies of one call, and it is not known which: each is then tried alone, if it may be tried again.
 */

enum {
    BATCH_WAIT_US = 1000, /* the collector counts in whole milliseconds, so at most two */
    BATCH_WORK_NS = 5 * 1000 * 1000,
    BATCH_CALL_BYTES_MAX = 2048, /* parameters and input of one */
};

static bool is_small(const struct run *run)
{
    const struct description *about = run->kernel->about;

    return about->has_batch && !about->has_plan && !about->has_finish && run->state == RUN_NEW &&
           !run->goes_alone && !run->wants_parts && !run->wants_progress && !run->wants_retries &&
           run->chunks_wanted == 0 && run->slab == NULL &&
           run->params_bytes + run->input_bytes <= BATCH_CALL_BYTES_MAX;
}

static void join(struct kernel_record *record, struct run *run)
{
    if (run->is_peer)
        return;
    TAILQ_INSERT_TAIL(&record->peers, run, peer);
    record->peer_count++;
    run->is_peer = true;
}

/* How many are predicted to take no longer than a batch should. */
static size_t calls_max(const struct kernel_record *record)
{
    uint64_t each_ns = MAX(cost_start_ns(&record->cost), (uint64_t)1);

    return MIN(MAX(BATCH_WORK_NS / each_ns, (uint64_t)1), (uint64_t)PROTO_BATCH_MAX);
}

static void stop_holding(struct sched *s, struct kernel_record *record)
{
    if (record->is_holding)
        TAILQ_REMOVE(&s->holding, record, holding);
    record->is_holding = false;
}

bool batch_hold(struct sched *s, struct run *run)
{
    struct kernel_record *record = record_of(s, run->kernel);

    if (!is_small(run))
        return false;
    join(record, run);
    if (record->out == 0 || record->peer_count >= calls_max(record))
        return false;
    if (!record->is_holding) {
        record->is_holding = true;
        record->hold_until_ns = clock_now_ns() + BATCH_WAIT_US * CLOCK_NS_PER_US;
        TAILQ_INSERT_TAIL(&s->holding, record, holding);
    }
    return true;
}

static void push_peers(struct sched *s, struct kernel_record *record)
{
    struct run *run, *next;

    stop_holding(s, record);
    for (run = TAILQ_FIRST(&record->peers); run != NULL; run = next) {
        next = TAILQ_NEXT(run, peer);
        if (!run->is_queued)
            dispatch_push(s, run);
    }
}

void batch_release(struct sched *s, uint64_t now_ns)
{
    struct kernel_record *record, *next;

    for (record = TAILQ_FIRST(&s->holding); record != NULL; record = next) {
        next = TAILQ_NEXT(record, holding);
        if (record->out == 0 || record->hold_until_ns <= now_ns ||
            record->peer_count >= calls_max(record))
            push_peers(s, record);
    }
}

uint64_t batch_wake_ns(const struct sched *s)
{
    const struct kernel_record *first = TAILQ_FIRST(&s->holding);

    return first == NULL ? CLOCK_NEVER : first->hold_until_ns;
}

void batch_leave(struct sched *s, struct run *run)
{
    struct kernel_record *record = record_of(s, run->kernel);

    if (!run->is_peer)
        return;
    TAILQ_REMOVE(&record->peers, run, peer);
    run->is_peer = false;
    if (--record->peer_count == 0)
        stop_holding(s, record);
}

/* As if the queue had given it. */
static void take_along(struct sched *s, struct run *run)
{
    batch_leave(s, run);
    if (run->is_queued)
        queue_remove(run->side->queue, &run->entry);
    else
        run->entry.cost_ns = cost_start_ns(&record_of(s, run->kernel)->cost);
    run->is_queued = false;
    queue_charge(run->side->queue, run->class, run->client, (int64_t)run->entry.cost_ns);
}

static size_t bytes_of(const struct run *run)
{
    return pool_small_bytes(run->input_bytes, run->params_bytes);
}

size_t batch_gather(struct sched *s, struct run *leader, struct run *ret[PROTO_BATCH_MAX])
{
    struct kernel_record *record = record_of(s, leader->kernel);
    size_t max = MIN(calls_max(record), PROTO_INFLIGHT_MAX - s->inflight);
    size_t left = POOL_BATCH_BYTES - bytes_of(leader);
    size_t count = 1;
    struct run *run, *next;

    batch_leave(s, leader);
    ret[0] = leader;
    if (pool_kernel_index(s->pool, leader->side->lane, leader->kernel) < 0)
        return 1;
    for (run = TAILQ_FIRST(&record->peers); run != NULL && count < max; run = next) {
        next = TAILQ_NEXT(run, peer);
        if (run->side != leader->side)
            continue;
        if (bytes_of(run) > left)
            break;
        left -= bytes_of(run);
        take_along(s, run);
        ret[count++] = run;
    }
    return count;
}

/* ---- what is out ---- */

/* There is a place: each that is taken has a task in flight, and this one's first has none yet. */
struct batch *batch_new(struct sched *s, uint64_t id)
{
    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        if (s->batches[i].left > 0)
            continue;
        s->batches[i] = (struct batch) {.id = id};
        return &s->batches[i];
    }
    CHECK(false);
    return NULL;
}

void batch_add(struct batch *b, struct task *t)
{
    t->batch = b;
    b->wanted++;
    /* Together they keep one worker busy. */
    if (b->left++ > 0)
        t->side->out[t->kind]--;
}

void batch_remove(struct task *t)
{
    struct batch *b = t->batch;

    t->batch = NULL;
    /* task_end has counted it as if it had gone alone. */
    if (b != NULL && --b->left > 0)
        t->side->out[t->kind]++;
}
