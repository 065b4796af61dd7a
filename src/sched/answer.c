#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

static void add_to_receipt(struct run *run, const struct pool_event *event)
{
    struct job_receipt *receipt = &run->receipt;

    receipt->cpu_ns += event->answer.cpu_ns;
    receipt->max_rss_kb = MAX(receipt->max_rss_kb, event->answer.max_rss_kb);
    run->slots_seen[event->slot / 64] |= 1ULL << (event->slot % 64);
}

/* What the kernel said in the answer, or in a part when the parts are the answer. */
static void set_media_type(struct run *run, const char *media_type)
{
    if (*media_type != '\0')
        (void)snprintf(run->media_type, sizeof(run->media_type), "%s", media_type);
}

static void succeed(struct sched *s, struct run *run, void *take_data, size_t bytes,
                    const char *media_type)
{
    run->result = blob_new(take_data, bytes);
    if (run->result == NULL || partial_note(run) < 0) {
        run_fail(s, run, "The server has no memory left for the result.");
        return;
    }
    set_media_type(run, media_type);
    if (*run->media_type == '\0')
        set_media_type(run, run->kernel->about->media_type);
    run->receipt.chunks = MAX(run->receipt.chunks, 1U);
    run_end(s, run, JOB_OK);
}

/* Without combine and finish the answer is the parts one after the other. */
static void concatenate(struct sched *s, struct run *run)
{
    struct plan_part *part;
    size_t bytes = 0, at = 0;
    char *data;

    TAILQ_FOREACH (part, &run->plan.parts, link)
        bytes += part->bytes;
    if (bytes > s->config.pool.result_bytes_max) {
        run_fail(s, run, "The result is larger than %zu bytes; the server's limit is --result-max.",
                 s->config.pool.result_bytes_max);
        return;
    }
    data = malloc(bytes + 1);
    if (data == NULL) {
        run_fail(s, run, "The server has no memory left for the result.");
        return;
    }
    TAILQ_FOREACH (part, &run->plan.parts, link) {
        if (part->bytes > 0)
            memcpy(data + at, part->data, part->bytes);
        at += part->bytes;
    }
    data[bytes] = '\0';
    succeed(s, run, data, bytes, "");
}

/* Parts that finish would only concatenate are concatenated here, so that it gets few. */
void answer_go_on(struct sched *s, struct run *run)
{
    const struct description *about = run->kernel->about;

    if (!plan_is_complete(&run->plan) || run->combine_count > 0) {
        if (run->combine_count == 0)
            run->combine_count = plan_take_for_combine(&run->plan, &run->combine_first);
        dispatch_queue(s, run);
        return;
    }
    if (!about->has_finish && (!about->has_combine || run->plan.part_count <= 1)) {
        concatenate(s, run);
        return;
    }
    run->state = RUN_FINISHING;
    dispatch_queue(s, run);
}

static void planned(struct sched *s, struct run *run, const struct proto_answer *a)
{
    const struct description *about = run->kernel->about;
    struct plan_rules rules = {
        .has_combine = about->has_combine,
        .is_associative = (about->flags & PRONG_ASSOCIATIVE) != 0,
        .workers = MAX(run->side->live[POOL_ORDINARY], 1U),
        .chunks_wanted = run->chunks_wanted,
    };
    double unit_cost = a->unit_cost > 0 ? a->unit_cost : 1.0;
    double known = record_of(s, run->kernel)->cost.ns_per_cost;
    uint64_t predicted;

    if (a->units > PRONG_UNITS_MAX) {
        run_fail(s, run, "The kernel planned more than 2^53 units.");
        return;
    }
    if (plan_init(&run->plan, rules, a->units, unit_cost, known) < 0) {
        run_fail(s, run, "The server has no memory left for a plan.");
        return;
    }
    run->has_plan = true;
    run->state = RUN_MAPPING;
    predicted = plan_predict_ns(&run->plan, a->units);
    if (predicted > run->left_ns) {
        run->side->backlog_ns += predicted - run->left_ns;
        run->left_ns = predicted;
    }
    answer_go_on(s, run);
}

static void tell_progress(struct sched *s, struct run *run)
{
    if (run->wants_progress)
        run_news(s, TAILQ_FIRST(&run->jobs),
                 (struct news) {.kind = NEWS_PROGRESS,
                                .done = run->plan.units_done,
                                .total = run->plan.units});
}

static struct plan_part *part_of(struct pool_event *event, uint64_t lo, uint64_t hi)
{
    struct plan_part *part = plan_part_new(lo, hi, event->data, event->bytes);

    event->data = NULL;
    return part;
}

static void mapped(struct sched *s, struct run *run, const struct task *t, struct pool_event *event)
{
    uint64_t done = MIN(event->answer.units, t->hi - t->lo);
    struct plan_part *part = NULL;

    if (done > 0)
        part = part_of(event, t->lo, t->lo + done);
    if ((done > 0 && part == NULL) ||
        (done < t->hi - t->lo && plan_give_back(&run->plan, t->lo + done, t->hi) < 0)) {
        (void)plan_part_free(part);
        run_fail(s, run, "The server has no memory left for the parts of this request.");
        return;
    }
    if (part != NULL) {
        set_media_type(run, event->media_type);
        cost_add_units(&record_of(s, run->kernel)->cost, done, run->plan.unit_cost,
                       event->answer.run_ns);
        plan_add_mapped(&run->plan, part, event->answer.run_ns);
    }
    tell_progress(s, run);
    answer_go_on(s, run);
}

static void combined(struct sched *s, struct run *run, const struct task *t,
                     struct pool_event *event)
{
    const struct plan_part *last = t->first;
    struct plan_part *part;

    for (size_t i = 1; i < t->count; i++)
        last = TAILQ_NEXT(last, link);
    part = part_of(event, t->first->lo, last->hi);
    if (part == NULL) {
        run_fail(s, run, "The server has no memory left for the parts of this request.");
        return;
    }
    plan_add_combined(&run->plan, t->first, t->count, part);
    answer_go_on(s, run);
}

static void started(struct sched *s, struct run *run, struct pool_event *event)
{
    struct cost *cost = &record_of(s, run->kernel)->cost;
    const struct proto_answer *a = &event->answer;

    cost_add_start(cost, a->run_ns);
    if (a->kind == PROTO_ANSWER_PLANNED) {
        planned(s, run, a);
        return;
    }
    if (run->kernel->about->has_plan)
        cost_add_units(cost, a->units, a->unit_cost > 0 ? a->unit_cost : 1.0, a->run_ns);
    succeed(s, run, take_ptr(event->data), event->bytes, event->media_type);
}

static void result(struct sched *s, struct run *run, const struct task *t, struct pool_event *event)
{
    if (event->data == NULL) {
        run_fail(s, run, "The server has no memory left for the result.");
        return;
    }
    switch (t->op) {
    case PROTO_OP_START:
        started(s, run, event);
        return;
    case PROTO_OP_MAP:
        mapped(s, run, t, event);
        return;
    case PROTO_OP_COMBINE:
        combined(s, run, t, event);
        return;
    case PROTO_OP_FINISH:
        succeed(s, run, take_ptr(event->data), event->bytes, event->media_type);
        return;
    }
}

static void emitted(struct sched *s, struct run *run, struct pool_event *event)
{
    if (run->wants_parts && event->data != NULL)
        run_news(s, TAILQ_FIRST(&run->jobs),
                 (struct news) {.kind = NEWS_PART,
                                .pid = pool_slot_pid(s->pool, event->lane, event->slot),
                                .data = take_ptr(event->data),
                                .bytes = event->bytes});
}

/* A worker answered for something that it was not given, or that makes no sense: it cannot be believed. */
static void disbelieve(struct sched *s, const struct pool_event *event)
{
    struct pool_event kill = {
        .kind = POOL_MISBEHAVED, .lane = event->lane, .slot = event->slot, .serial = event->serial};

    log_warning("a worker sent an answer that nobody asked for; killing it");
    pool_apply(s->pool, &kill);
}

static bool makes_sense(const struct task *t, const struct proto_answer *a)
{
    if (a->kind == PROTO_ANSWER_PLANNED)
        return t->op == PROTO_OP_START && t->kernel->about->has_plan;
    return true;
}

/* A worker saw that its task was too late. That is the end, unless somebody with more time has joined since it was sent. */
static void stopped(struct sched *s, struct run *run, const struct task *t)
{
    uint64_t now_ns = clock_now_ns();

    if (now_ns >= run->deadline_ns)
        run_end(s, run, JOB_DEADLINE);
    else if (now_ns >= t->deadline_ns)
        death_retry(s, run, t);
    else
        run_end(s, run, JOB_CANCELLED);
}

static void answered(struct sched *s, struct pool_event *event)
{
    struct task *t = task_find(s, event->task);
    struct task ended;
    struct run *run;

    if (t == NULL || !makes_sense(t, &event->answer)) {
        disbelieve(s, event);
        return;
    }
    run = t->run;
    if (event->answer.kind == PROTO_ANSWER_EMITTED) {
        if (run != NULL)
            emitted(s, run, event);
        return;
    }
    metrics_add(METRIC_TASKS, 0, 1);
    if (event->answer.kind == PROTO_ANSWER_DIED) {
        death_of_program(s, t, event);
        return;
    }
    ended = *t;
    task_end(s, t);
    if (run == NULL)
        return;
    add_to_receipt(run, event);
    run_spend(run, event->answer.run_ns);
    queue_charge(run->side->queue, run->class, run->client,
                 (int64_t)event->answer.run_ns - (int64_t)ended.predicted_ns);
    if (event->answer.kind == PROTO_ANSWER_FAILED)
        run_fail(s, run, "%s", event->data == NULL ? "" : (const char *)event->data);
    else if (event->answer.kind == PROTO_ANSWER_CANCELLED)
        stopped(s, run, &ended);
    else
        result(s, run, &ended, event);
}

/* Names that came later than all that there is room for share one. */
static const char *label_name(struct sched *s, const char *name)
{
    if (metrics_find_label(METRIC_JOB_CPU, name) >= 0)
        return name;
    if (s->labelled == PROTO_KERNELS_MAX)
        return "other";
    s->labelled++;
    return name;
}
static_assert((PROTO_KERNELS_MAX + 1) * JOB_OUTCOME_COUNT <= METRICS_LABELS_MAX, "all have room");

static void label_kernel(struct sched *s, const struct kernel *k)
{
    const char *name = label_name(s, k->about->name);
    struct kernel_record *record = record_of(s, k);
    char text[PRONG_NAME_MAX + 32];

    *record =
        (struct kernel_record) {.serial = k->serial, .label = metrics_label(METRIC_JOB_CPU, name)};
    TAILQ_INIT(&record->peers);
    (void)metrics_label(METRIC_JOB_RUN, name);
    (void)metrics_label(METRIC_JOB_QUEUE, name);
    for (int o = 0; o < JOB_OUTCOME_COUNT; o++) {
        (void)snprintf(text, sizeof(text), "%s|%s", name, job_outcome_names[o]);
        record->outcome_labels[o] = metrics_label(METRIC_JOBS, text);
    }
}

void answer_label_kernels(struct sched *s)
{
    const struct kernel *served[PROTO_KERNELS_MAX];
    unsigned count = catalog_list(&s->catalog, served);

    for (unsigned i = 0; i < count; i++) {
        if (record_of(s, served[i])->serial != served[i]->serial)
            label_kernel(s, served[i]);
        (void)kernel_drop(served[i]);
    }
}

void answer_event(struct sched *s, struct pool_event *event)
{
    CHECK(lock_is_held(&s->lock));
    switch (event->kind) {
    case POOL_ANSWERED:
        answered(s, event);
        return;
    case POOL_EXITED:
        /* Filled by workers, then by the ordinary ones first: the slot tells the kind. */
        death_of_worker(s, event,
                        event->slot < s->config.pool.workers[POOL_ORDINARY] ? POOL_ORDINARY
                                                                            : POOL_EXPRESS);
        return;
    case POOL_STARTED:
        metrics_add(METRIC_WORKER_STARTS, 0, event->forked.pid > 0);
        return;
    case POOL_LOADING:
        s->loading_until_ns = event->until_ns;
        return;
    case POOL_READY:
        metrics_add(METRIC_ZYGOTE_STARTS, 0, 1);
        if (event->lane == s->current->lane) {
            answer_label_kernels(s);
            reload_restarted(s);
        }
        return;
    case POOL_DOWN:
        death_of_zygote(s, &s->sides[event->lane]);
        if (&s->sides[event->lane] == reload_old_side(s))
            reload_old_down(s);
        return;
    case POOL_SANDBOXED:
    case POOL_MISBEHAVED:
        return;
    }
}
