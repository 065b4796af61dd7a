#include <stdarg.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

static void watch_later(struct sched *s, struct run *run)
{
    if (run->job->socket < 0)
        return;
    TAILQ_INSERT_TAIL(&s->unwatched, run, unwatched);
    run->is_unwatched = true;
}

struct run *run_new(struct sched *s, struct job *job, struct side *side)
{
    struct run *run = calloc(1, sizeof(*run));

    if (run == NULL)
        return NULL;
    run->job = job;
    run->kernel = job->kernel;
    run->side = side;
    run->deadline.kind = TIMER_DEADLINE;
    TAILQ_INIT(&run->tasks);
    if (heap_set(&s->timers, &run->deadline.node, job->deadline_ns) < 0) {
        free(run);
        return NULL;
    }
    run->left_ns = cost_job_ns(&record_of(s, run->kernel)->cost);
    side->backlog_ns += run->left_ns;
    side->run_count++;
    TAILQ_INSERT_TAIL(&s->runs, run, link);
    s->run_count++;
    s->waiting[job->priority]++;
    watch_later(s, run);
    job->run = run;
    job->run_memory = run;
    return run;
}

void run_move(struct run *run, struct side *to)
{
    run->side->backlog_ns -= run->left_ns;
    run->side->run_count--;
    run->side = to;
    to->backlog_ns += run->left_ns;
    to->run_count++;
}

size_t runs_waiting(const struct sched *s)
{
    size_t n = 0;

    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        n += s->waiting[c];
    return n;
}

void run_spend(struct run *run, uint64_t ns)
{
    uint64_t spent = MIN(ns, run->left_ns);

    run->busy_ns += ns;
    run->left_ns -= spent;
    run->side->backlog_ns -= spent;
}

void run_news(struct sched *s, struct job *job, struct news news)
{
    struct news *copy = malloc(sizeof(*copy));

    /* Without memory the listener misses a part, never the end: that news lies in the run. */
    if (copy == NULL) {
        free(news.data);
        return;
    }
    *copy = news;
    copy->job = job;
    STAILQ_INSERT_TAIL(&s->news, copy, link);
}

static void measure(struct sched *s, const struct run *run, enum job_outcome outcome)
{
    struct kernel_record *record = record_of(s, run->kernel);
    const struct job_receipt *receipt = &run->job->receipt;
    uint64_t now_ns = clock_now_ns();

    if (outcome == JOB_OK)
        cost_add_job(&record->cost, run->busy_ns);
    s->gap_ns = s->gap_ns == 0 ? now_ns - s->done_ns : (s->gap_ns * 7 + (now_ns - s->done_ns)) / 8;
    s->done_ns = now_ns;
    metrics_add(METRIC_JOBS, record->outcome_labels[outcome], 1);
    metrics_add(METRIC_JOB_CPU, record->label, receipt->cpu_ns);
    metrics_observe_ns(METRIC_JOB_QUEUE, record->label, receipt->wait_ns);
    metrics_observe_ns(METRIC_JOB_RUN, record->label, receipt->run_ns);
}

static void fill_receipt(const struct run *run)
{
    struct job_receipt *receipt = &run->job->receipt;
    uint64_t now_ns = clock_now_ns();
    uint64_t started_ns = run->started_ns == 0 ? now_ns : run->started_ns;

    receipt->wait_ns = started_ns - run->job->accepted_ns;
    receipt->run_ns = now_ns - started_ns;
    for (size_t i = 0; i < ARRAY_SIZE(run->slots_seen); i++)
        receipt->workers += (unsigned)__builtin_popcountll(run->slots_seen[i]);
}

static void leave_lists(struct sched *s, struct run *run)
{
    TAILQ_REMOVE(&s->runs, run, link);
    s->run_count--;
    s->waiting[run->job->priority] -= run->out == 0;
    run->has_ended = true;
    if (run->is_unwatched)
        TAILQ_REMOVE(&s->unwatched, run, unwatched);
    if (run->is_queued)
        queue_remove(run->side->queue, &run->entry);
    heap_remove(&s->timers, &run->deadline.node);
    watch_remove(&s->watch, &run->watch);
    run->side->backlog_ns -= run->left_ns;
    run->side->run_count--;
}

void run_end(struct sched *s, struct run *run, enum job_outcome outcome)
{
    struct job *job = run->job;
    struct task *t;

    CHECK(lock_is_held(&s->lock));
    leave_lists(s, run);
    while ((t = TAILQ_FIRST(&run->tasks)) != NULL)
        task_orphan(s, t);
    job->outcome = outcome;
    fill_receipt(run);
    measure(s, run, outcome);
    if (run->has_plan)
        plan_release(&run->plan);
    job->run = NULL;
    run->end = (struct news) {.kind = NEWS_DONE, .job = job};
    STAILQ_INSERT_TAIL(&s->news, &run->end, link);
    if (s->run_count == 0)
        (void)pthread_cond_broadcast(&s->changed);
}

void run_fail(struct sched *s, struct run *run, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(run->job->text, sizeof(run->job->text), format, args);
    va_end(args);
    run_end(s, run, JOB_FAILED);
}

uint64_t run_fingerprint(struct sched *s, const struct job *job)
{
    const struct description *about = job->kernel->about;
    uint64_t parts[4] = {
        hash_bytes(s->hash_key, about->name, strlen(about->name)),
        hash_bytes(s->hash_key, about->version, strlen(about->version)),
        hash_bytes(s->hash_key, job->params, job->params_bytes),
        hash_bytes(s->hash_key, job->input, job->input_bytes),
    };

    return hash_bytes(s->hash_key, parts, sizeof(parts));
}
