#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

static void add_to_receipt(struct run *run, const struct pool_event *event)
{
    struct job_receipt *receipt = &run->job->receipt;

    receipt->cpu_ns += event->answer.cpu_ns;
    receipt->max_rss_kb = MAX(receipt->max_rss_kb, event->answer.max_rss_kb);
    run->slots_seen[event->slot / 64] |= 1ULL << (event->slot % 64);
}

/* What the kernel said in the answer, or in a part when the parts are the answer. */
static void set_media_type(struct job *job, const char *media_type)
{
    if (*media_type != '\0')
        (void)snprintf(job->media_type, sizeof(job->media_type), "%s", media_type);
}

static void succeed(struct sched *s, struct run *run, void *take_data, size_t bytes,
                    const char *media_type)
{
    struct job *job = run->job;

    job->result = take_data;
    job->result_bytes = bytes;
    set_media_type(job, media_type);
    if (*job->media_type == '\0')
        set_media_type(job, run->kernel->about->media_type);
    job->receipt.chunks = MAX(job->receipt.chunks, 1U);
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
        .workers = MAX(s->live[POOL_ORDINARY], 1U),
        .chunks_wanted = run->job->chunks_wanted,
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
        s->backlog_ns += predicted - run->left_ns;
        run->left_ns = predicted;
    }
    answer_go_on(s, run);
}

static void tell_progress(struct sched *s, struct run *run)
{
    if (run->job->progress != NULL)
        run_news(s, run->job,
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
        set_media_type(run->job, event->media_type);
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
    if (run->job->part != NULL && event->data != NULL)
        run_news(s, run->job,
                 (struct news) {
                     .kind = NEWS_PART, .data = take_ptr(event->data), .bytes = event->bytes});
}

/* A worker answered for something that it was not given, or that makes no sense: it cannot be believed. */
static void disbelieve(struct sched *s, const struct pool_event *event)
{
    struct pool_event kill = {.kind = POOL_MISBEHAVED, .slot = event->slot};

    log_warning("a worker sent an answer that nobody asked for; killing it");
    pool_apply(s->pool, &kill);
}

static bool makes_sense(const struct task *t, const struct proto_answer *a)
{
    if (a->kind == PROTO_ANSWER_PLANNED)
        return t->op == PROTO_OP_START && t->kernel->about->has_plan;
    return true;
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
    run_spend(s, run, event->answer.run_ns);
    queue_charge(s->queue, (enum queue_class)run->job->priority, run->job->client,
                 (int64_t)event->answer.run_ns - (int64_t)ended.predicted_ns);
    if (event->answer.kind == PROTO_ANSWER_FAILED)
        run_fail(s, run, "%s", event->data == NULL ? "" : (const char *)event->data);
    else if (event->answer.kind == PROTO_ANSWER_CANCELLED)
        run_end(s, run, clock_now_ns() >= run->job->deadline_ns ? JOB_DEADLINE : JOB_CANCELLED);
    else
        result(s, run, &ended, event);
}

static void label_kernels(struct sched *s)
{
    for (unsigned i = 0; i < atomic_load(&s->catalog.count); i++) {
        const char *name = s->catalog.kernels[i]->about->name;
        struct kernel_record *record = &s->records[i];
        char text[PRONG_NAME_MAX + 32];
        record->label = metrics_label(METRIC_JOB_CPU, name);
        (void)metrics_label(METRIC_JOB_RUN, name);
        (void)metrics_label(METRIC_JOB_QUEUE, name);
        for (int o = 0; o < JOB_OUTCOME_COUNT; o++) {
            (void)snprintf(text, sizeof(text), "%s|%s", name, job_outcome_names[o]);
            record->outcome_labels[o] = metrics_label(METRIC_JOBS, text);
        }
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
        label_kernels(s);
        return;
    case POOL_DOWN:
        death_of_zygote(s);
        return;
    case POOL_MISBEHAVED:
        return;
    }
}
