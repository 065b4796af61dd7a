#include <errno.h>
#include <stdarg.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

static void watch_later(struct sched *s, struct job *job)
{
    if (job->socket < 0)
        return;
    TAILQ_INSERT_TAIL(&s->unwatched, job, unwatched);
    job->is_unwatched = true;
}

/* What was asked goes over into the run. */
static void take_asked(struct run *run, struct job *job)
{
    run->kernel = job->kernel;
    run->class = (enum queue_class)job->priority;
    run->client = job->client;
    run->deadline_ns = job->deadline_ns;
    run->chunks_wanted = job->chunks_wanted;
    run->wants_parts = job->part != NULL;
    run->wants_progress = job->progress != NULL;
    run->wants_retries = job->retried != NULL;
    run->may_lack = (job->kernel->about->flags & PRONG_PARTIAL_OK) != 0 && !job->counts_deaths;
    run->shared.params = take_ptr(job->params);
    run->params_bytes = job->params_bytes;
    run->input_kind = job->input_kind;
    run->input = job->input;
    run->input_bytes = job->input_bytes;
    run->shared.input_owned = take_ptr(job->input_owned);
    run->shared.key = take_ptr(job->key);
    if (job->slab != NULL)
        run->slab = slab_hold(job->slab);
}

int run_add(struct sched *s, struct run *run, struct job *job)
{
    if (heap_set(&s->deadlines, &job->deadline, job->deadline_ns) < 0)
        return -ENOMEM;
    atomic_fetch_add(&run->shared.holds, 1);
    TAILQ_INSERT_TAIL(&run->jobs, job, in_run);
    run->job_count++;
    run->deadline_ns = MAX(run->deadline_ns, job->deadline_ns);
    job->run = run;
    job->shared = &run->shared;
    watch_later(s, job);
    return 0;
}

struct run *run_new(struct sched *s, struct job *job, struct side *side)
{
    struct run *run = malloc(sizeof(*run));

    if (run == NULL)
        return NULL;
    memset(run, 0, offsetof(struct run, media_type));
    run->media_type[0] = '\0';
    TAILQ_INIT(&run->jobs);
    run->side = side;
    TAILQ_INIT(&run->tasks);
    if (run_add(s, run, job) < 0) {
        free(run);
        return NULL;
    }
    take_asked(run, job);
    run->left_ns = cost_job_ns(&record_of(s, run->kernel)->cost);
    side->backlog_ns += run->left_ns;
    side->run_count++;
    TAILQ_INSERT_TAIL(&s->runs, run, link);
    s->run_count++;
    s->waiting[run->class]++;
    merge_open(s, run);
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
    uint64_t now_ns = clock_now_ns();

    if (outcome == JOB_OK)
        cost_add_job(&record->cost, run->busy_ns);
    s->gap_ns = s->gap_ns == 0 ? now_ns - s->done_ns : (s->gap_ns * 7 + (now_ns - s->done_ns)) / 8;
    s->done_ns = now_ns;
    metrics_add(METRIC_JOB_CPU, record->label, run->receipt.cpu_ns);
}

static void leave_lists(struct sched *s, struct run *run)
{
    TAILQ_REMOVE(&s->runs, run, link);
    s->run_count--;
    s->waiting[run->class] -= run->out == 0;
    run->has_ended = true;
    merge_close(s, run);
    if (run->is_queued)
        queue_remove(run->side->queue, &run->entry);
    batch_leave(s, run);
    run->side->backlog_ns -= run->left_ns;
    run->side->run_count--;
}

/* ---- the end of a job ---- */

/* Who joins late waits less, and runs only from then on. */
static void fill_receipt(struct job *job, const struct run *run)
{
    struct job_receipt *receipt = &job->receipt;
    uint64_t now_ns = clock_now_ns();
    uint64_t started_ns = run->started_ns == 0 ? now_ns : MAX(run->started_ns, job->accepted_ns);

    *receipt = run->receipt;
    receipt->wait_ns = started_ns - job->accepted_ns;
    receipt->run_ns = now_ns - started_ns;
    for (size_t i = 0; i < ARRAY_SIZE(run->slots_seen); i++)
        receipt->workers += (unsigned)__builtin_popcountll(run->slots_seen[i]);
}

static void take_outcome(struct job *job, const struct run *run, enum job_outcome outcome)
{
    job->outcome = outcome;
    job->wait_status = run->wait_status;
    job->was_oom = run->was_oom;
    if (outcome == JOB_OK) {
        job->result = blob_hold(run->result);
        memcpy(job->media_type, run->media_type, sizeof(job->media_type));
        job->missing = run->shared.missing;
    } else if (run->shared.text != NULL) {
        job->text = run->shared.text;
    }
}

static void count_end(const struct kernel_record *record, const struct job *job)
{
    metrics_add(METRIC_JOBS, record->outcome_labels[job->outcome], 1);
    metrics_observe_ns(METRIC_JOB_QUEUE, record->label, job->receipt.wait_ns);
    metrics_observe_ns(METRIC_JOB_RUN, record->label, job->receipt.run_ns);
}

static void end_job(struct sched *s, struct job *job, enum job_outcome outcome)
{
    struct run *run = job->run;

    TAILQ_REMOVE(&run->jobs, job, in_run);
    run->job_count--;
    if (job->is_unwatched)
        TAILQ_REMOVE(&s->unwatched, job, unwatched);
    heap_remove(&s->deadlines, &job->deadline);
    watch_remove(&s->watch, job);
    take_outcome(job, run, outcome);
    fill_receipt(job, run);
    count_end(record_of(s, run->kernel), job);
    job->run = NULL;
    STAILQ_INSERT_TAIL(&s->ended, job, told_after);
}

void run_end(struct sched *s, struct run *run, enum job_outcome outcome)
{
    struct job *job;
    struct task *t;

    CHECK(lock_is_held(&s->lock));
    leave_lists(s, run);
    while ((t = TAILQ_FIRST(&run->tasks)) != NULL)
        task_orphan(s, t);
    measure(s, run, outcome);
    if (run->has_plan)
        plan_release(&run->plan);
    run->slab = slab_drop(run->slab);
    free(take_ptr(run->crashes));
    /* The run goes with the last of them, but not before the lock is dropped. */
    while ((job = TAILQ_FIRST(&run->jobs)) != NULL)
        end_job(s, job, outcome);
    run->result = blob_drop(run->result);
    if (s->run_count == 0)
        (void)pthread_cond_broadcast(&s->changed);
}

void run_leave(struct sched *s, struct job *job, enum job_outcome outcome)
{
    if (job->run->job_count == 1)
        run_end(s, job->run, outcome);
    else
        end_job(s, job, outcome);
}

void run_say(struct run *run, const char *sentence)
{
    free(run->shared.text);
    run->shared.text = sentence == NULL ? NULL : strdup(sentence);
}

void run_fail(struct sched *s, struct run *run, const char *format, ...)
{
    va_list args;

    run_say(run, NULL);
    va_start(args, format);
    if (vasprintf(&run->shared.text, format, args) < 0)
        run->shared.text = NULL;
    va_end(args);
    run_end(s, run, JOB_FAILED);
}

static uint64_t fingerprint(struct sched *s, const struct description *about, const void *params,
                            size_t params_bytes, const void *input, size_t input_bytes)
{
    uint64_t parts[4] = {
        hash_bytes(s->hash_key, about->name, strlen(about->name)),
        hash_bytes(s->hash_key, about->version, strlen(about->version)),
        hash_bytes(s->hash_key, params, params_bytes),
        hash_bytes(s->hash_key, input, input_bytes),
    };

    return hash_bytes(s->hash_key, parts, sizeof(parts));
}

uint64_t run_fingerprint(struct sched *s, const struct job *job)
{
    return fingerprint(s, job->kernel->about, job->params, job->params_bytes, job->input,
                       job->input_bytes);
}

uint64_t run_fingerprint_again(struct sched *s, const struct run *run)
{
    return fingerprint(s, run->kernel->about, run->shared.params, run->params_bytes, run->input,
                       run->input_bytes);
}
