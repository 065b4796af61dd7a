#include "api/ending.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"

struct ending ending_of_job(const struct job *job)
{
    return (struct ending) {.job = job->id.text,
                            .kernel = job->kernel->about->name,
                            .text = job->text,
                            .outcome = job->outcome,
                            .refusal = job->refusal,
                            .retry_after_s = job->retry_after_s,
                            .wait_status = job->wait_status,
                            .was_oom = job->was_oom,
                            .limit_ns = job->deadline_ns - job->accepted_ns};
}

/* What is read may be older than this program, or odd. */
static enum job_outcome outcome_of(const struct record *record)
{
    enum job_outcome outcome = record->end.outcome;

    if (record->state == RECORD_CANCELLED)
        return JOB_CANCELLED;
    return outcome == JOB_PENDING || outcome == JOB_OK || outcome >= JOB_OUTCOME_COUNT ? JOB_FAILED
                                                                                       : outcome;
}

struct ending ending_of_record(const struct record *record)
{
    return (struct ending) {.job = record->id.text,
                            .kernel = record->kernel,
                            .text = record->end.text,
                            .outcome = outcome_of(record),
                            .refusal = JOB_REFUSAL_BROKEN, /* no other ends a durable job */
                            .wait_status = record->end.wait_status,
                            .was_oom = record->end.was_oom,
                            .limit_ns = record->timeout_us * CLOCK_NS_PER_US,
                            .record = record};
}

/* A program's death comes with a sentence of its own, a worker's does not. */
static void explain_death(const struct ending *e, struct ending_problem *p)
{
    int status = e->wait_status;
    const char *name = e->kernel;
    bool has_text = e->text != NULL && *e->text != '\0';

    p->name = PROBLEM_WORKER_DIED;
    if (WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);
        (void)json_object_set_new(p->extra, "signal", json_integer(signal));
        (void)json_object_set_new(p->extra, "signal_name", json_string(sigabbrev_np(signal)));
        (void)json_object_set_new(p->extra, "oom", json_boolean(e->was_oom));
        (void)snprintf(p->detail, sizeof(p->detail),
                       "The worker that ran kernel %s was killed by SIG%s%s; no other request was "
                       "touched. The same input may do it again.",
                       name, sigabbrev_np(signal), e->was_oom ? ", out of memory" : "");
    } else {
        (void)json_object_set_new(p->extra, "exit_code", json_integer(WEXITSTATUS(status)));
        (void)snprintf(p->detail, sizeof(p->detail),
                       "The worker that ran kernel %s exited with code %d and gave no answer; no "
                       "other request was touched.",
                       name, WEXITSTATUS(status));
    }
    if (has_text)
        (void)snprintf(p->detail, sizeof(p->detail), "%s", e->text);
}

static const struct {
    enum problem_name name;
    const char *detail;
} refusals[] = {
    [JOB_REFUSAL_QUEUE_FULL] = {PROBLEM_QUEUE_FULL,
                                "The queue is full, nothing was started. Send it again after "
                                "Retry-After seconds."},
    [JOB_REFUSAL_TOO_LATE] = {PROBLEM_TOO_LATE,
                              "The work that waits already would take longer than this request "
                              "may, so nothing was started. Send it again later, or with a longer "
                              "Prong-Timeout."},
    [JOB_REFUSAL_DRAINING] = {PROBLEM_DRAINING,
                              "The server is shutting down. Send it again in a second."},
    [JOB_REFUSAL_BRAKE] = {PROBLEM_KERNEL_DISABLED,
                           "This kernel's workers died again and again, so it rests. Send it again "
                           "after Retry-After seconds; other kernels run on."},
    [JOB_REFUSAL_POISON] =
        {PROBLEM_POISON, "This very input has killed workers, so it is refused for a while. Send "
                         "another, or mend the kernel."},
    [JOB_REFUSAL_NO_WORKERS] = {PROBLEM_NO_WORKERS, "No worker is alive. Send it again later."},
    [JOB_REFUSAL_NO_MEMORY] = {PROBLEM_NO_ROOM, "The server has no memory left. Send it later."},
};

static void explain_refusal(const struct ending *e, struct ending_problem *p)
{
    p->retry_after_s = e->retry_after_s;
    if (e->refusal == JOB_REFUSAL_BROKEN) {
        p->name = PROBLEM_KERNEL_DISABLED;
        (void)snprintf(p->detail, sizeof(p->detail), "Kernel %s cannot be used: %s", e->kernel,
                       e->text);
        return;
    }
    p->name = refusals[e->refusal].name;
    (void)snprintf(p->detail, sizeof(p->detail), "%s", refusals[e->refusal].detail);
}

static void explain_lateness(const struct ending *e, struct ending_problem *p)
{
    const struct record *record = e->record;
    bool by_deadline =
        record != NULL && record->deadline_us != 0 && record->finished_us >= record->deadline_us;
    const char *advice =
        record == NULL ? "Ask for less, or raise Prong-Timeout or the server's --timeout."
        : by_deadline  ? "Submit it again with a later deadline."
                       : "Ask for less, or raise its timeout or the server's --job-timeout.";
    uint64_t limit_ns =
        by_deadline ? (record->deadline_us - record->created_us) * CLOCK_NS_PER_US : e->limit_ns;

    p->name = PROBLEM_DEADLINE;
    (void)snprintf(p->detail, sizeof(p->detail),
                   "The work was not done after %.3f s and has been stopped. %s",
                   (double)(limit_ns / CLOCK_NS_PER_US) / 1e6, advice);
}

/* How often it was tried, and what can be done. */
static void add_attempts(const struct ending *e, struct ending_problem *p)
{
    size_t n = strlen(p->detail);

    if (e->record == NULL || e->record->state != RECORD_DEAD)
        return;
    (void)json_object_set_new(p->extra, "attempts", json_integer(e->record->attempts));
    (void)snprintf(p->detail + n, sizeof(p->detail) - n,
                   " That was attempt %u of %u; POST /jobs/%s/retry begins anew.",
                   e->record->attempts, e->record->attempts_max, e->job);
}

static void explain_cancelling(const struct ending *e, struct ending_problem *p)
{
    p->name = e->record == NULL ? PROBLEM_DRAINING : PROBLEM_CONFLICT;
    (void)snprintf(p->detail, sizeof(p->detail), "%s",
                   e->record == NULL ? "The work was cancelled."
                                     : "The job was cancelled, so it has no result.");
}

void ending_explain(const struct ending *e, struct ending_problem *ret)
{
    *ret = (struct ending_problem) {.name = PROBLEM_INTERNAL, .extra = json_object()};
    (void)json_object_set_new(ret->extra, "job", json_string(e->job));
    switch (e->outcome) {
    case JOB_FAILED:
        ret->name = PROBLEM_KERNEL_FAILED;
        (void)snprintf(ret->detail, sizeof(ret->detail), "%s", e->text);
        break;
    case JOB_DIED:
        explain_death(e, ret);
        add_attempts(e, ret);
        break;
    case JOB_DEADLINE:
        explain_lateness(e, ret);
        break;
    case JOB_CANCELLED:
        explain_cancelling(e, ret);
        break;
    case JOB_REFUSED:
        explain_refusal(e, ret);
        break;
    case JOB_PENDING:
    case JOB_OK:
    case JOB_OUTCOME_COUNT:
        CHECK(false);
    }
    if (ret->retry_after_s > 0)
        (void)json_object_set_new(ret->extra, "retry_after",
                                  json_integer((json_int_t)ret->retry_after_s));
}

json_t *ending_json(const struct ending *e)
{
    struct ending_problem problem;

    ending_explain(e, &problem);
    return problem_object(problem.name, problem.extra, problem.detail);
}

void ending_respond(struct request *r, const struct ending *e)
{
    struct ending_problem problem;

    ending_explain(e, &problem);
    respond_problem(r, problem.name, problem.extra, "%s", problem.detail);
    if (problem.retry_after_s > 0)
        respond_header_printf(r, "Retry-After", "%llu", (unsigned long long)problem.retry_after_s);
}
