#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "experiment/experiment.h"

struct crashing {
    uint64_t n;
    struct crew threads; /* of one process, when that is the mode */
};

/* Not even a sanitizer may help it. */
__attribute__((no_sanitize("address", "undefined"))) static void follow_a_bad_pointer(void)
{
    static volatile uintptr_t nowhere;

    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile int *)nowhere = 1;
}

static uint64_t add(struct lane *lane, unsigned index, void *arg)
{
    const struct crashing *c = arg;
    uint64_t half, rest;

    lane_begin(lane);
    half = cpu_add(0, c->n / 2);
    if (index == 0)
        follow_a_bad_pointer();
    rest = cpu_add(c->n / 2, c->n);
    lane_end(lane);
    return half + rest;
}

/* A process that has threads gives their answers when all are done; so it gives none when one of them kills it. */
static uint64_t have_threads(struct lane *lane, unsigned index, void *arg)
{
    struct crashing *c = arg;

    (void)lane;
    (void)index;
    CHECK(crew_run(&c->threads, CREW_THREADS, add, c) == 0);
    return crew_answered(&c->threads);
}

static int run_threads(const struct experiment_task *task, struct crashing *c,
                       struct experiment_report *ret)
{
    int rc = crew_prepare(&c->threads, task->workers);

    if (rc == 0)
        rc = crew_prepare(&ret->crew, 1);
    if (rc == 0)
        rc = crew_run(&ret->crew, CREW_PROCESSES, have_threads, c);
    if (rc < 0)
        return rc;
    crew_close(&c->threads, ret->crew.start_ns + ret->crew.wall_ns);
    ret->result = crew_sum(&ret->crew);
    for (unsigned i = 0; i < task->workers; i++)
        c->threads.lanes[i].wait_status = ret->crew.lanes[0].wait_status;
    ret->crew.lanes = c->threads.lanes;
    ret->crew.count = task->workers;
    ret->crew.kind = CREW_THREADS;
    return 0;
}

static int run_processes(const struct experiment_task *task, struct crashing *c,
                         struct experiment_report *ret)
{
    int rc = crew_prepare(&ret->crew, task->workers);

    if (rc == 0)
        rc = crew_run(&ret->crew, CREW_PROCESSES, add, c);
    if (rc < 0)
        return rc;
    crew_close(&ret->crew, ret->crew.start_ns + ret->crew.wall_ns);
    ret->result = crew_answered(&ret->crew);
    return 0;
}

static void describe(const struct experiment_task *task, struct experiment_report *ret)
{
    int status = ret->crew.lanes[0].wait_status;
    bool is_signal = WIFSIGNALED(status);
    char how[32];

    if (is_signal)
        (void)snprintf(how, sizeof(how), "SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(how, sizeof(how), "exit code %d", WEXITSTATUS(status));
    (void)snprintf(ret->note, sizeof(ret->note),
                   ret->crew.kind == CREW_THREADS
                       ? "%s in one thread ended the process, and all its threads with it: %llu of "
                         "%u answered."
                       : "%s ended the process that crashed, and no other: %llu of %u answered.",
                   how, (unsigned long long)ret->result, task->workers);
}

int crash_run(const struct experiment_task *task, struct experiment_report *ret)
{
    struct crashing c = {.n = task->n};
    int rc = -EINVAL;

    if (strcmp(task->mode, "threads") == 0)
        rc = run_threads(task, &c, ret);
    else if (strcmp(task->mode, "processes") == 0)
        rc = run_processes(task, &c, ret);
    if (rc < 0)
        return rc;
    ret->expected = task->workers;
    describe(task, ret);
    return 0;
}
