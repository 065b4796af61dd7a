/*
 * prong-lab EXPERIMENT MODE N WORKERS: runs one mode of one experiment once, and prints what it has found as JSON. It is the
 * kernel lab, so it runs in a sandbox, started anew for each run; POST /lab compares many.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/parse.h"
#include "experiment/experiment.h"

enum { EXIT_USAGE = 64 };

static const struct {
    const char *name;
    experiment_run *run;
    bool has_python;
} experiments[] = {
    {"cpu", cpu_run, true},
    {"io", io_run, true},
    {"race", race_run, false},
    {"crash", crash_run, false},
};

static const char python[] = "python-";

static double seconds(uint64_t ns)
{
    return (double)ns / (double)CLOCK_NS_PER_S;
}

static void print_lane(const struct crew *c, unsigned index)
{
    const struct lane *lane = &c->lanes[index];

    printf("%s{\"lane\":%u,\"kind\":\"%s\",\"pid\":%d,\"tid\":%d,\"spans\":[", index > 0 ? "," : "",
           index, c->kind == CREW_PROCESSES ? "process" : "thread", lane->pid, lane->tid);
    for (uint32_t i = 0; i < lane->span_count; i++)
        printf("%s[%.9f,%.9f]", i > 0 ? "," : "", seconds(lane->spans[i].start_ns - c->start_ns),
               seconds(lane->spans[i].end_ns - c->start_ns));
    printf("]}");
}

static void print_report(const struct experiment_report *r)
{
    const struct crew *c = &r->crew;

    printf("{\"wall_s\":%.9f,\"cpu_s\":%.6f,\"result\":%llu,\"expected\":%llu,\"switches\":%llu,"
           "\"note\":\"%s\",\"lanes\":[",
           seconds(c->wall_ns), seconds(c->cpu_ns), (unsigned long long)r->result,
           (unsigned long long)r->expected, (unsigned long long)r->switches, r->note);
    for (unsigned i = 0; i < c->count; i++)
        print_lane(c, i);
    printf("]}\n");
}

static int fail(const char *why, int code)
{
    (void)fprintf(stderr, "prong-lab: %s\n", why);
    return code;
}

static int become_python(const char *experiment, const struct experiment_task *task)
{
    int rc = python_become(experiment, task);

    if (rc != -ENOENT || strcmp(experiment, "facts") != 0)
        return fail(rc == -ENOENT ? "There is no python3." : strerror(-rc), EXIT_FAILURE);
    printf("{\"python\":null}\n");
    return EXIT_SUCCESS;
}

static int run(const char *name, const struct experiment_task *task)
{
    struct experiment_report report = {.note = ""};
    bool is_python = strncmp(task->mode, python, strlen(python)) == 0;
    int rc = -EINVAL;

    if (strcmp(name, "facts") == 0)
        return become_python(name, task);
    for (size_t i = 0; i < ARRAY_SIZE(experiments); i++) {
        if (strcmp(experiments[i].name, name) != 0)
            continue;
        if (is_python && experiments[i].has_python)
            return become_python(name, task);
        rc = experiments[i].run(task, &report);
    }
    if (rc == -EINVAL)
        return fail("This experiment has no such mode.", EXIT_USAGE);
    if (rc < 0)
        return fail(strerror(-rc), EXIT_FAILURE);
    print_report(&report);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_by_words(int argc, char **argv)
{
    struct experiment_task task;
    uint64_t workers = 0;

    if (argc != 5 || parse_u64(argv[3], &task.n) < 0 || task.n < 1 || task.n > EXPERIMENT_N_MAX ||
        parse_u64(argv[4], &workers) < 0 || workers < 1 || workers > CREW_MAX)
        return fail("Usage: prong-lab EXPERIMENT MODE N WORKERS; it is the kernel lab, and POST "
                    "/lab runs it.",
                    EXIT_USAGE);
    task.mode = argv[2];
    task.workers = (unsigned)workers;
    return run(argv[1], &task);
}

/* Nothing is taken apart at the end: the lanes stay, and a sanitizer that looks for leaks may not do so in a sandbox. */
int main(int argc, char **argv)
{
    int code = run_by_words(argc, argv);

    (void)fflush(stderr);
    _exit(code);
}
