#include <signal.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

static unsigned crashes_before(const struct run *run, const struct task *t)
{
    unsigned n = 0;

    for (size_t i = 0; i < run->crash_count; i++) {
        if (run->crashes[i].op == t->op &&
            (t->op != PROTO_OP_MAP || (run->crashes[i].lo < t->hi && t->lo < run->crashes[i].hi)))
            n++;
    }
    return n;
}

static bool may_retry(struct sched *s, struct run *run, const struct task *t)
{
    if ((run->kernel->about->flags & PRONG_IDEMPOTENT) == 0 || run->crash_count == CRASHES_KEPT ||
        crashes_before(run, t) >= s->config.retry.chunk_retries)
        return false;
    if (run->crashes == NULL)
        run->crashes = malloc(CRASHES_KEPT * sizeof(run->crashes[0]));
    if (run->crashes == NULL)
        return false;
    run->crashes[run->crash_count++] = (struct crash) {.op = t->op, .lo = t->lo, .hi = t->hi};
    return true;
}

void death_retry(struct sched *s, struct run *run, const struct task *t)
{
    run->receipt.retries++;
    run_say(run, NULL);
    metrics_add(METRIC_TASK_RETRIES, 0, 1);
    if (t->op == PROTO_OP_START)
        run->state = RUN_NEW;
    if (t->op == PROTO_OP_COMBINE)
        plan_release_from_combine(&run->plan, t->first, t->count);
    if (t->op == PROTO_OP_MAP && plan_give_back(&run->plan, t->lo, t->hi) < 0) {
        run_fail(s, run, "The server has no memory left to try again.");
        return;
    }
    if (t->op == PROTO_OP_MAP || t->op == PROTO_OP_COMBINE)
        answer_go_on(s, run);
    else
        dispatch_queue(s, run);
}

/* What is logged until it is called anew is about this job. A request's job has the request's id. */
static void log_about(const struct job *job)
{
    log_context(job == NULL ? NULL : job->id.text, job == NULL ? NULL : job->trace_id);
    log_context_job(job == NULL ? NULL : job->id.text);
}

static void remember(struct sched *s, struct run *run, const struct kernel *kernel)
{
    uint64_t now_ns = clock_now_ns();

    retry_brake_add(&record_of(s, kernel)->brake, &s->config.retry, now_ns);
    if (run == NULL || s->config.retry.poison_deaths == 0)
        return;
    if (run->fingerprint == 0)
        run->fingerprint = run_fingerprint_again(s, run);
    log_about(TAILQ_FIRST(&run->jobs));
    if (retry_poison_add(&s->poison, &s->config.retry, run->fingerprint, now_ns))
        log_warning("an input of kernel %s has killed %u workers and is refused from now on",
                    kernel->about->name, s->config.retry.poison_deaths);
    log_about(NULL);
    atomic_store(&s->has_poison, true);
}

/* A program's end has its sentence; the zygote's end takes all workers along. */
static void write_reason(char *out, size_t capacity, const struct run *run, int pid, int status)
{
    if (run->shared.text != NULL && *run->shared.text != '\0')
        (void)snprintf(out, capacity, "%s", run->shared.text);
    else if (pid == 0)
        (void)snprintf(out, capacity, "its zygote ended");
    else if (WIFSIGNALED(status))
        (void)snprintf(out, capacity, "SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(out, capacity, "exit code %d", WEXITSTATUS(status));
}

/* Without memory the listener misses it, as it may a part. */
static void tell_retry(struct sched *s, struct run *run, const struct task *t, int pid, int status)
{
    struct job_retry *retry = run->wants_retries ? calloc(1, sizeof(*retry)) : NULL;

    if (retry == NULL)
        return;
    retry->pid = pid;
    retry->has_range = t->op == PROTO_OP_MAP;
    retry->from = retry->has_range ? t->lo : 0;
    retry->to = retry->has_range ? t->hi : 0;
    write_reason(retry->reason, sizeof(retry->reason), run, pid, status);
    run_news(s, TAILQ_FIRST(&run->jobs), (struct news) {.kind = NEWS_RETRY, .data = retry});
}

void death_of_task(struct sched *s, struct task *t, int pid, int status, bool counts)
{
    struct task ended = *t;
    struct run *run = t->run;

    /* Which of several it died of is not known before each is tried alone. */
    if (counts)
        remember(s, t->batch == NULL ? run : NULL, ended.kernel);
    if (run != NULL && t->batch != NULL)
        run->goes_alone = true;
    task_end(s, t);
    if (run == NULL)
        return;
    if (may_retry(s, run, &ended)) {
        tell_retry(s, run, &ended, pid, status);
        death_retry(s, run, &ended);
        return;
    }
    if (partial_go_on(s, run, &ended))
        return;
    run->wait_status = status;
    run_end(s, run, JOB_DIED);
}

/* Whether the kernel's out-of-memory killer has been at work since last asked. */
bool death_by_oom(struct sched *s)
{
    char text[16384];
    const char *line;
    uint64_t kills = 0;
    bool struck;

    if (fd_read_file("/proc/vmstat", text, sizeof(text)) < 0)
        return false;
    line = strstr(text, "\noom_kill ");
    if (line != NULL)
        kills = strtoull(line + sizeof("\noom_kill"), NULL, 10);
    struck = kills > s->oom_kills;
    s->oom_kills = kills;
    return struck;
}

/* What was sent to a kind of worker and is neither in the intake nor in any page may have died with one. */
static void audit(struct sched *s, struct side *side, enum pool_kind kind, int pid, int status)
{
    if (side->out[kind] == 0)
        return;
    task_audit(s, side, kind);
    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        struct task *t = &s->tasks[i];
        if (t->id != 0 && t->side == side && t->kind == kind && !t->was_audited &&
            !pool_is_claimed(s->pool, side->lane, task_frame(t)))
            task_lost(s, t, pid, status);
    }
}

static void count_death(const struct pool_event *event)
{
    int reason = 3;

    if (event->was_killed)
        reason = 1;
    else if (event->misbehaved)
        reason = 2;
    else if (WIFEXITED(event->exited.status) &&
             WEXITSTATUS(event->exited.status) == PROTO_EXIT_RETIRED && event->task == 0)
        reason = 0;
    metrics_add(METRIC_WORKER_DEATHS, reason, 1);
}

static void log_death(const struct pool_event *event, const struct task *t)
{
    int status = event->exited.status;
    const char *kernel = t == NULL ? "no kernel" : t->kernel->about->name;
    const struct job *about = t == NULL || t->run == NULL ? NULL : TAILQ_FIRST(&t->run->jobs);
    const char *job = about == NULL ? "none" : about->id.text;

    log_about(about);
    if (WIFSIGNALED(status))
        log_warning("worker %d died by SIG%s%s; it ran %s, job %s", event->exited.pid,
                    sigabbrev_np(WTERMSIG(status)),
                    event->was_killed   ? ", as asked"
                    : event->misbehaved ? " because it broke the protocol"
                                        : "",
                    kernel, job);
    else
        log_warning("worker %d exited with code %d; it ran %s, job %s", event->exited.pid,
                    WEXITSTATUS(status), kernel, job);
    log_about(NULL);
}

/* Of the task that its page names, and of those that went with it; the kernel is to blame once. */
static void settle_death(struct sched *s, const struct pool_event *event)
{
    int status = event->exited.status;
    bool counts = !event->was_killed;
    bool was_struck = counts && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool was_oom = was_struck && death_by_oom(s);

    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        struct task *t = &s->tasks[i];
        if (t->id == 0 || task_frame(t) != event->task)
            continue;
        if (t->run != NULL && was_struck)
            t->run->was_oom = was_oom;
        death_of_task(s, t, event->exited.pid, status, counts);
        counts = false;
    }
}

void death_of_worker(struct sched *s, const struct pool_event *event, enum pool_kind kind)
{
    int status = event->exited.status;
    struct task *t = task_find(s, event->task);
    bool retired = WIFEXITED(status) && WEXITSTATUS(status) == PROTO_EXIT_RETIRED;

    count_death(event);
    if (t != NULL || !retired)
        log_death(event, t);
    if (event->task != 0)
        settle_death(s, event);
    /* It may also have had tasks that its page does not name: taken from the intake and not said so yet, or
     * answered after it had lost our trust. */
    if (!retired || event->misbehaved)
        audit(s, &s->sides[event->lane], kind, event->exited.pid, status);
}

/* The worker lives on; but for the task it is as if it had died itself. */
void death_of_program(struct sched *s, struct task *t, const struct pool_event *event)
{
    int status = (int)(uint32_t)event->answer.units;
    const char *sentence = event->data == NULL ? "" : event->data;
    struct run *run = t->run;

    if (run != NULL) {
        run->receipt.cpu_ns += event->answer.cpu_ns;
        run_say(run, sentence);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !event->answer.was_killed)
            run->was_oom = death_by_oom(s);
        log_about(TAILQ_FIRST(&run->jobs));
        log_warning("the program of kernel %s is dead, job %s: %s", t->kernel->about->name,
                    TAILQ_FIRST(&run->jobs)->id.text, sentence);
        log_about(NULL);
    }
    death_of_task(s, t, pool_slot_pid(s->pool, event->lane, event->slot), status, true);
}

void death_of_zygote(struct sched *s, const struct side *side)
{
    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        if (s->tasks[i].id != 0 && s->tasks[i].side == side)
            death_of_task(s, &s->tasks[i], 0, SIGKILL, false);
    }
}
