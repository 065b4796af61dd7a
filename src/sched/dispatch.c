#include <errno.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

enum {
    LONG_CHUNKS = 4,                   /* times as long as it should be: hand the rest back */
    OVERLAP_NS_MAX = 1000 * 1000,      /* only shorter tasks may wait inside an intake */
    PREFETCH_NS_MAX = 5 * 1000 * 1000, /* … or a chunk this short, while nobody else waits */
};

static bool has_map_to_send(const struct run *run)
{
    return run->plan.gaps.count > 0 && run->out < 2 * MAX(run->side->live[POOL_ORDINARY], 1U);
}

static bool has_something_to_send(const struct run *run)
{
    switch (run->state) {
    case RUN_NEW:
        return true;
    case RUN_STARTING:
        return false;
    case RUN_MAPPING:
        return run->combine_count > 0 || has_map_to_send(run);
    case RUN_FINISHING:
        return run->out == 0;
    }
    return false;
}

static uint64_t predict(struct sched *s, const struct run *run)
{
    const struct cost *cost = &record_of(s, run->kernel)->cost;
    uint64_t units, ns;

    if (run->state == RUN_NEW)
        return cost_start_ns(cost);
    if (run->state == RUN_FINISHING || run->combine_count > 0)
        return CLOCK_NS_PER_MS;
    units = run->plan.units - run->plan.units_out - run->plan.units_done;
    ns = plan_predict_ns(&run->plan,
                         units / (2 * (uint64_t)MAX(run->side->live[POOL_ORDINARY], 1U)));
    return ns == 0 ? COST_UNKNOWN_NS : MIN(ns, (uint64_t)PLAN_CHUNK_NS);
}

/* A kernel that has never run may try once: if it is not short it is soon moved over, and known. Not one of a
 * program, of which the express worker would need a copy more, and which is not stopped within STOP_MS. */
static bool may_go_express(struct sched *s, const struct run *run)
{
    const struct kernel_record *record = record_of(s, run->kernel);

    if ((run->kernel->about->flags & DESCRIPTION_PROGRAM) != 0)
        return false;
    return run->state == RUN_NEW && (run->kernel->about->flags & PRONG_IDEMPOTENT) != 0 &&
           (cost_is_short(&record->cost) || (record->cost.starts == 0 && !record->has_tried));
}

void dispatch_queue(struct sched *s, struct run *run)
{
    if (!run->is_queued && has_something_to_send(run) && !batch_hold(s, run))
        dispatch_push(s, run);
}

void dispatch_push(struct sched *s, struct run *run)
{
    if (queue_push(run->side->queue, &run->entry, run->class, run->client, predict(s, run),
                   may_go_express(s, run)) < 0) {
        run_fail(s, run, "The server has no memory left to queue this.");
        return;
    }
    run->is_queued = true;
}

/* ---- what goes into the task ---- */

static void order_start(struct sched *s, struct run *run, struct pool_task *order)
{
    const struct cost *cost = &record_of(s, run->kernel)->cost;

    order->op = PROTO_OP_START;
    order->split_ns = run->side->out[POOL_ORDINARY] < run->side->live[POOL_ORDINARY]
                          ? SCHED_SPLIT_IDLE_US * CLOCK_NS_PER_US
                          : SCHED_SPLIT_BUSY_US * CLOCK_NS_PER_US;
    if (run->chunks_wanted == 0)
        order->ns_per_cost = cost->ns_per_cost;
}

static int order_parts(struct pool_task *order, const struct plan_part *first, size_t count)
{
    struct pool_part *parts = calloc(MAX(count, (size_t)1), sizeof(*parts));

    if (parts == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++, first = TAILQ_NEXT(first, link))
        parts[i] = (struct pool_part) {.data = first->data, .bytes = first->bytes};
    order->parts = parts;
    order->part_count = count;
    return 0;
}

static int order_map(struct run *run, struct task *t, struct pool_task *order)
{
    struct range range;

    if (!plan_next(&run->plan, &range))
        return -ENODATA;
    order->op = PROTO_OP_MAP;
    order->lo = t->lo = range.lo;
    order->hi = t->hi = range.hi;
    run->receipt.chunks++;
    return 0;
}

static int order_combine(struct run *run, struct task *t, struct pool_task *order)
{
    order->op = PROTO_OP_COMBINE;
    t->first = run->combine_first;
    t->count = run->combine_count;
    run->combine_first = NULL;
    run->combine_count = 0;
    return order_parts(order, t->first, t->count);
}

static int make_order(struct sched *s, struct run *run, struct task *t, struct pool_task *order)
{
    const struct job *first = TAILQ_FIRST(&run->jobs);

    t->deadline_ns = run->deadline_ns;
    *order = (struct pool_task) {
        .task = t->id,
        .inflight = (unsigned)(t->id & 0xff),
        .lane = run->side->lane,
        .kernel = pool_kernel_index(s->pool, run->side->lane, run->kernel),
        .deadline_ns = run->deadline_ns,
        .wants_parts = run->wants_parts,
        .input_kind = run->input_kind,
        .job = &first->id,
        .trace_id = first->trace_id,
        .input = {.data = run->input, .bytes = run->input_bytes},
        .params = {.data = run->shared.params, .bytes = run->params_bytes},
        .input_slab = run->slab,
    };
    if (order->kernel < 0)
        return order->kernel;
    if (run->state == RUN_NEW) {
        order_start(s, run, order);
        return 0;
    }
    if (run->state == RUN_FINISHING) {
        order->op = PROTO_OP_FINISH;
        return order_parts(order, TAILQ_FIRST(&run->plan.parts), run->plan.part_count);
    }
    return run->combine_count > 0 ? order_combine(run, t, order) : order_map(run, t, order);
}

/* ---- sending ---- */

/* The task could not be sent: the run is as if it had never tried. */
static void take_back(struct sched *s, struct run *run, struct task *t, enum proto_op op)
{
    queue_charge(run->side->queue, run->class, run->client, -(int64_t)t->predicted_ns);
    if (op == PROTO_OP_MAP && plan_give_back(&run->plan, t->lo, t->hi) < 0) {
        task_end(s, t);
        run_fail(s, run, "The server has no memory left to go on with this.");
        return;
    }
    if (op == PROTO_OP_MAP)
        run->receipt.chunks--;
    if (op == PROTO_OP_COMBINE) {
        run->combine_first = t->first;
        run->combine_count = t->count;
    }
    task_end(s, t);
}

static void sent(struct sched *s, struct run *run, struct task *t)
{
    if (run->started_ns == 0)
        run->started_ns = t->sent_ns;
    if (run->state == RUN_NEW)
        run->state = RUN_STARTING;
    dispatch_queue(s, run);
}

/* 0, or why no more can be sent for now. */
static int send_one(struct sched *s, struct run *run, enum pool_kind kind,
                    struct pool_outbox *outbox)
{
    struct task *t = task_new(s, run, kind, run->entry.cost_ns);
    struct pool_task order;
    int rc;

    if (t == NULL)
        return -EAGAIN;
    if (kind == POOL_EXPRESS)
        record_of(s, run->kernel)->has_tried = true;
    rc = make_order(s, run, t, &order);
    if (rc == 0) {
        t->op = order.op;
        rc = pool_prepare(s->pool, outbox, kind, &order, t->holds);
        free((void *)(uintptr_t)order.parts);
    }
    if (rc == 0) {
        sent(s, run, t);
        return 0;
    }
    if (rc == -ENODATA) {
        task_end(s, t);
        return 0;
    }
    take_back(s, run, t, order.op);
    if (rc == -ENOENT) {
        run_fail(s, run, "The workers do not have this kernel any more.");
        return 0;
    }
    if (rc == -ENOMEM || rc == -E2BIG)
        run_fail(s, run, "The server has no memory left for the parts of this request.");
    else
        dispatch_queue(s, run);
    return rc == -ENOMEM || rc == -E2BIG ? 0 : rc;
}

static void requeue(struct sched *s, struct run *run)
{
    (void)batch_hold(s, run);
    dispatch_push(s, run);
}

/* There are places in flight for all that were gathered. */
static void open_batch(struct sched *s, struct run *const *runs, size_t count, enum pool_kind kind,
                       struct task *ret[PROTO_BATCH_MAX])
{
    struct batch *b = NULL;

    for (size_t i = 0; i < count; i++) {
        ret[i] = task_new(s, runs[i], kind, runs[i]->entry.cost_ns);
        CHECK(ret[i] != NULL);
        ret[i]->op = PROTO_OP_START;
        if (i == 0)
            b = batch_new(s, ret[i]->id);
        batch_add(b, ret[i]);
    }
}

static int prepare_batch(struct sched *s, struct run *const *runs, size_t count,
                         enum pool_kind kind, struct task *const *tasks, struct pool_outbox *outbox)
{
    struct pool_task orders[PROTO_BATCH_MAX];

    for (size_t i = 0; i < count; i++) {
        int rc = make_order(s, runs[i], tasks[i], &orders[i]);
        if (rc < 0)
            return rc;
    }
    return pool_prepare_batch(s->pool, outbox, kind, orders, count);
}

/* All of them by one frame. 0, or why no more can be sent for now. */
static int send_together(struct sched *s, struct run *const *runs, size_t count,
                         enum pool_kind kind, struct pool_outbox *outbox)
{
    struct task *tasks[PROTO_BATCH_MAX] = {NULL};
    int rc;

    open_batch(s, runs, count, kind, tasks);
    rc = prepare_batch(s, runs, count, kind, tasks, outbox);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0) {
            sent(s, runs[i], tasks[i]);
            continue;
        }
        take_back(s, runs[i], tasks[i], PROTO_OP_START);
        requeue(s, runs[i]);
    }
    if (rc < 0)
        return rc;
    metrics_add(METRIC_BATCHES, 0, 1);
    metrics_add(METRIC_BATCHED_CALLS, 0, count);
    return 0;
}

/* A run that was taken from the queue, with its like if there are any. */
static int send_run(struct sched *s, struct run *run, enum pool_kind kind,
                    struct pool_outbox *outbox)
{
    struct run *runs[PROTO_BATCH_MAX];
    size_t count = 1;

    if (run->is_peer)
        count = batch_gather(s, run, runs);
    return count == 1 ? send_one(s, run, kind, outbox)
                      : send_together(s, runs, count, kind, outbox);
}

/* Whether a task predicted to take this long may go out now: to a free worker, or, when it is short, into
 * the intake behind others that are short. Order, priority and cancel stay ours only as long as little
 * waits there. */
static bool takes(const struct sched *s, const struct side *side, enum pool_kind kind,
                  uint64_t predicted_ns)
{
    unsigned live = side->live[kind];

    if (live == 0 || s->inflight == PROTO_INFLIGHT_MAX)
        return false;
    if (side->out[kind] < live)
        return true;
    return predicted_ns <= OVERLAP_NS_MAX && side->out[kind] < live * SCHED_INTAKE_TASKS_MAX &&
           side->out_ns[kind] + predicted_ns <= live * SCHED_INTAKE_US * CLOCK_NS_PER_US;
}

/* A worker that ends a short chunk finds the next one in the intake, and need not wait for us. */
static bool may_prefetch(const struct sched *s, const struct side *side, enum pool_kind kind,
                         const struct queue_entry *entry)
{
    const struct run *run = CONTAINER_OF(entry, const struct run, entry);

    return kind == POOL_ORDINARY && run->state == RUN_MAPPING && side->live[kind] > 0 &&
           entry->cost_ns <= PREFETCH_NS_MAX && side->out[kind] < 2 * side->live[kind] &&
           queue_length_all(side->queue) == 1 && s->inflight < PROTO_INFLIGHT_MAX;
}

static bool send_next(struct sched *s, struct side *side, enum pool_kind kind, enum queue_want want,
                      struct pool_outbox *outbox)
{
    const struct queue_entry *next = queue_peek(side->queue, want);
    struct run *run;

    if (next == NULL ||
        (!takes(s, side, kind, next->cost_ns) && !may_prefetch(s, side, kind, next)))
        return false;
    run = CONTAINER_OF(queue_pop(side->queue, want), struct run, entry);
    run->is_queued = false;
    return send_run(s, run, kind, outbox) == 0;
}

static bool next_is_known_short(struct sched *s, const struct side *side)
{
    const struct queue_entry *next = queue_peek(side->queue, QUEUE_SHORT);

    return next != NULL &&
           cost_is_short(&record_of(s, CONTAINER_OF(next, struct run, entry)->kernel)->cost);
}

/* ---- the last chunks ---- */

static struct task *longest_rest(struct sched *s, const struct side *side, unsigned idle)
{
    struct task *found = NULL;
    uint64_t most = 0;

    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        struct task *t = &s->tasks[i];
        uint64_t done = 0, total = 0;
        if (t->id == 0 || t->run == NULL || t->side != side || t->op != PROTO_OP_MAP ||
            t->asked_to_yield || !pool_progress(s->pool, side->lane, t->id, &done, &total))
            continue;
        done = MIN(done, t->hi - t->lo);
        if (t->hi - t->lo - done > most &&
            plan_wants_yield(&t->run->plan, t->lo, t->hi, done, idle)) {
            found = t;
            most = t->hi - t->lo - done;
        }
    }
    return found;
}

static void ask_stragglers(struct sched *s, const struct side *side)
{
    unsigned idle;
    struct task *t;

    if (side->out[POOL_ORDINARY] >= side->live[POOL_ORDINARY] || side->out[POOL_ORDINARY] == 0)
        return;
    idle = side->live[POOL_ORDINARY] - side->out[POOL_ORDINARY];
    for (unsigned asked = 0; asked < idle && (t = longest_rest(s, side, idle)) != NULL; asked++) {
        t->asked_to_yield = true;
        pool_ask_to_yield(s->pool, (unsigned)(t->id & 0xff), t->id);
    }
}

/* A chunk cut when nothing was known, or known wrongly: others should not wait for its end. */
void dispatch_shorten(struct sched *s, uint64_t now_ns)
{
    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        struct task *t = &s->tasks[i];
        if (t->id == 0 || t->run == NULL || t->op != PROTO_OP_MAP || t->asked_to_yield ||
            t->run->chunks_wanted > 0 ||
            now_ns - t->sent_ns < LONG_CHUNKS * (uint64_t)PLAN_CHUNK_NS)
            continue;
        t->asked_to_yield = true;
        pool_ask_to_yield(s->pool, i, t->id);
    }
}

static void dispatch_side(struct sched *s, struct side *side, struct pool_outbox *outbox)
{
    /* Short tasks go to the express worker first even when others are free: one worker that is kept busy
     * sleeps and wakes less often than three. */
    while (next_is_known_short(s, side) && send_next(s, side, POOL_EXPRESS, QUEUE_SHORT, outbox))
        ;
    while (send_next(s, side, POOL_ORDINARY, QUEUE_ANY, outbox))
        ;
    while (send_next(s, side, POOL_EXPRESS, QUEUE_SHORT, outbox))
        ;
    ask_stragglers(s, side);
}

void dispatch_all(struct sched *s, struct pool_outbox *outbox)
{
    struct side *old = reload_old_side(s);

    CHECK(lock_is_held(&s->lock));
    batch_release(s, clock_now_ns());
    outbox->count = outbox->bytes = 0;
    dispatch_side(s, s->current, outbox);
    if (old != NULL)
        dispatch_side(s, old, outbox);
}

/* What was counted as sent and could not be goes back to the queue, unless its run has ended meanwhile. */
static void unsend_task(struct sched *s, struct task *t)
{
    struct run *run = t->run;

    if (run == NULL) {
        task_end(s, t);
        return;
    }
    if (t->op == PROTO_OP_START)
        run->state = RUN_NEW;
    take_back(s, run, t, t->op);
    if (!run->has_ended)
        dispatch_queue(s, run);
}

static void unsend(struct sched *s, const struct pool_outgoing *out)
{
    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        if (s->tasks[i].id != 0 && task_frame(&s->tasks[i]) == out->task)
            unsend_task(s, &s->tasks[i]);
    }
}

void dispatch_flush(struct sched *s, struct pool_outbox *outbox)
{
    bool was_full =
        outbox->count == POOL_OUTBOX_TASKS ||
        outbox->bytes > POOL_OUTBOX_BYTES - sizeof(struct proto_task) - PROTO_INLINE_MAX;

    pool_flush(s->pool, outbox);
    if (outbox->count == 0 && !was_full)
        return;
    lock_take(&s->lock);
    for (size_t i = 0; i < outbox->count; i++)
        unsend(s, &outbox->tasks[i]);
    lock_drop(&s->lock);
    /* The collector goes on with the rest: at once when there was no room for it here, else when a worker
     * answers. */
    if (was_full)
        sched_wake(s);
}
