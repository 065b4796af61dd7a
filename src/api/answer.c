#include <signal.h>
#include <sys/wait.h>

#include "api/compute.h"
#include "base/clock.h"

static double to_ms(uint64_t ns)
{
    return (double)(ns / 1000) / 1000.0;
}

json_t *compute_receipt(const struct job *job)
{
    const struct job_receipt *rc = &job->receipt;

    return json_pack("{s:f, s:f, s:f, s:i, s:i, s:i, s:i}", "wait_ms", to_ms(rc->wait_ns), "run_ms",
                     to_ms(rc->run_ns), "cpu_ms", to_ms(rc->cpu_ns), "max_rss_kb",
                     (int)rc->max_rss_kb, "chunks", (int)rc->chunks, "retries", (int)rc->retries,
                     "workers", (int)rc->workers);
}

/* Every answer has two such headers, so they are put together without printf. */
struct line {
    char text[256];
    size_t n;
};

static void put_text(struct line *l, const char *text)
{
    while (*text != '\0' && l->n < sizeof(l->text) - 1)
        l->text[l->n++] = *text++;
    l->text[l->n] = '\0';
}

static void put_number(struct line *l, const char *name, uint64_t value)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    put_text(l, name);
    put_text(l, digits + at);
}

/* Milliseconds with three decimals. */
static void put_ms(struct line *l, const char *name, uint64_t ns)
{
    uint64_t us = ns / 1000 % 1000;
    const char decimals[] = {'.', (char)('0' + us / 100), (char)('0' + us / 10 % 10),
                             (char)('0' + us % 10), '\0'};

    put_number(l, name, ns / 1000000);
    put_text(l, decimals);
}

static void add_receipt(struct request *r, const struct job *job)
{
    const struct job_receipt *rc = &job->receipt;
    struct line timing, receipt;

    timing.n = receipt.n = 0;

    put_ms(&timing, "queue;dur=", rc->wait_ns);
    put_ms(&timing, ", run;dur=", rc->run_ns);
    put_ms(&timing, ", cpu;dur=", rc->cpu_ns);
    put_ms(&receipt, "wait_ms=", rc->wait_ns);
    put_ms(&receipt, ", run_ms=", rc->run_ns);
    put_ms(&receipt, ", cpu_ms=", rc->cpu_ns);
    put_number(&receipt, ", max_rss_kb=", rc->max_rss_kb);
    put_number(&receipt, ", chunks=", rc->chunks);
    put_number(&receipt, ", retries=", rc->retries);
    put_number(&receipt, ", workers=", rc->workers);
    respond_header(r, "Prong-Job", job->id.text);
    respond_header(r, "Server-Timing", timing.text);
    respond_header(r, "Prong-Receipt", receipt.text);
}

/* ---- why there is no result ---- */

static void explain_death(const struct job *job, struct compute_problem *p)
{
    int status = job->wait_status;
    const char *name = job->kernel->about->name;

    p->name = PROBLEM_WORKER_DIED;
    if (WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);
        (void)json_object_set_new(p->extra, "signal", json_integer(signal));
        (void)json_object_set_new(p->extra, "signal_name", json_string(sigabbrev_np(signal)));
        (void)json_object_set_new(p->extra, "oom", json_boolean(job->was_oom));
        (void)snprintf(p->detail, sizeof(p->detail),
                       "The worker that ran kernel %s was killed by SIG%s%s; no other request was "
                       "touched. The same input may do it again.",
                       name, sigabbrev_np(signal), job->was_oom ? ", out of memory" : "");
        return;
    }
    (void)json_object_set_new(p->extra, "exit_code", json_integer(WEXITSTATUS(status)));
    (void)snprintf(p->detail, sizeof(p->detail),
                   "The worker that ran kernel %s exited with code %d and gave no answer; no other "
                   "request was touched.",
                   name, WEXITSTATUS(status));
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

static void explain_refusal(const struct job *job, struct compute_problem *p)
{
    p->retry_after_s = job->retry_after_s;
    if (job->refusal == JOB_REFUSAL_BROKEN) {
        p->name = PROBLEM_KERNEL_DISABLED;
        (void)snprintf(p->detail, sizeof(p->detail), "Kernel %s cannot be used: %s",
                       job->kernel->about->name, job->text);
        return;
    }
    p->name = refusals[job->refusal].name;
    (void)snprintf(p->detail, sizeof(p->detail), "%s", refusals[job->refusal].detail);
}

void compute_explain(const struct job *job, struct compute_problem *ret)
{
    *ret = (struct compute_problem) {.name = PROBLEM_INTERNAL, .extra = json_object()};
    (void)json_object_set_new(ret->extra, "job", json_string(job->id.text));
    switch (job->outcome) {
    case JOB_FAILED:
        ret->name = PROBLEM_KERNEL_FAILED;
        (void)snprintf(ret->detail, sizeof(ret->detail), "%s", job->text);
        break;
    case JOB_DIED:
        explain_death(job, ret);
        break;
    case JOB_DEADLINE:
        ret->name = PROBLEM_DEADLINE;
        (void)snprintf(ret->detail, sizeof(ret->detail),
                       "The work was not done after %.3f s and has been stopped. Ask for less, or "
                       "raise Prong-Timeout or the server's --timeout.",
                       to_ms(job->deadline_ns - job->accepted_ns) / 1000.0);
        break;
    case JOB_CANCELLED:
        ret->name = PROBLEM_DRAINING;
        (void)snprintf(ret->detail, sizeof(ret->detail), "The work was cancelled.");
        break;
    case JOB_REFUSED:
        explain_refusal(job, ret);
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

void compute_answer(struct request *r, struct job *job)
{
    struct compute_problem problem;

    if (job->outcome == JOB_OK) {
        respond_bytes(r, 200, job->media_type, take_ptr(job->result), job->result_bytes);
        add_receipt(r, job);
        return;
    }
    compute_explain(job, &problem);
    respond_problem(r, problem.name, problem.extra, "%s", problem.detail);
    add_receipt(r, job);
    if (problem.retry_after_s > 0)
        respond_header_printf(r, "Retry-After", "%llu", (unsigned long long)problem.retry_after_s);
}
