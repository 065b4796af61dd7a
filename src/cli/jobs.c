#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/command.h"
#include "cli/print.h"
#include "jobs/json.h"
#include "jobs/record.h"

static const char *text_of(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* ---- list ---- */

static void add_attempts(struct print_table *t, json_t *job)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%lld of %lld",
                   (long long)json_integer_value(json_object_get(job, "attempts")),
                   (long long)json_integer_value(json_object_get(job, "max_attempts")));
    print_table_add(t, text);
}

static void add_age(struct print_table *t, json_t *job)
{
    double created_s = json_number_value(json_object_get(job, "created"));
    double now_s = (double)clock_wall_ns() / (double)CLOCK_NS_PER_S;
    char text[32];

    print_duration(now_s - created_s, text, sizeof(text));
    print_table_add(t, text);
}

static void add_progress(struct print_table *t, json_t *job)
{
    json_t *progress = json_object_get(job, "progress");
    double total = json_number_value(json_object_get(progress, "total"));
    char text[32] = "";

    if (total > 0)
        (void)snprintf(text, sizeof(text), "%.0f %%",
                       100 * json_number_value(json_object_get(progress, "done")) / total);
    print_table_add(t, text);
}

static int print_jobs(json_t *jobs)
{
    static const char *const headings[] = {"ID", "KERNEL", "STATE", "ATTEMPTS", "AGE", "PROGRESS"};
    struct print_table table;
    json_t *job;
    size_t i;
    int rc;

    print_table_init(&table, headings, ARRAY_SIZE(headings));
    json_array_foreach(jobs, i, job)
    {
        print_table_add(&table, text_of(job, "id"));
        print_table_add(&table, text_of(job, "kernel"));
        print_table_add(&table, text_of(job, "state"));
        add_attempts(&table, job);
        add_age(&table, job);
        add_progress(&table, job);
    }
    rc = print_table(&table);
    print_table_release(&table);
    return rc < 0 ? CLI_REFUSED : CLI_OK;
}

static int list(const struct cli *cli)
{
    struct buf target = cli_target("/jobs", "", "");
    json_t *answer;
    int rc;

    target_add_query(&target, "state", cli_value(cli, CLI_STATE));
    target_add_query(&target, "kernel", cli_value(cli, CLI_KERNEL));
    target_add_query(&target, "limit", cli_value(cli, CLI_LIMIT));
    target_add_query(&target, "after", cli_value(cli, CLI_AFTER));
    rc = cli_ask_target(cli, "GET", &target, NULL, &answer);
    if (rc != CLI_OK || answer == NULL)
        return rc;
    rc = print_jobs(json_object_get(answer, "jobs"));
    print_next("prong jobs list", json_string_value(json_object_get(answer, "next")));
    json_decref(answer);
    return rc;
}

/* ---- one job ---- */

/* Without what is for programs; of an error, what a person needs. */
static int print_job(json_t *job)
{
    json_t *detail = json_object_get(json_object_get(job, "error"), "detail");

    (void)json_object_del(job, "links");
    if (detail != NULL)
        (void)json_object_set(job, "error", detail);
    print_members(job);
    json_decref(job);
    return CLI_OK;
}

static int get_job(const struct cli *cli, const char *wait, json_t **ret)
{
    struct buf target = cli_target("/jobs/", cli->words[0], "");
    CLEANUP_FREE char *text = NULL;
    struct ask a = {.method = "GET"};
    uint64_t wait_ns = 0;

    if (wait != NULL)
        (void)parse_seconds_ns(wait, &wait_ns);
    target_add_query(&target, "wait", wait);
    text = buf_take(&target);
    if (text == NULL)
        return cli_misused("No job has so long an id.");
    a.target = text;
    a.wait_s = wait_ns / CLOCK_NS_PER_S + 1;
    return cli_ask(cli, &a, ret);
}

static bool has_ended(json_t *job)
{
    const char *state = text_of(job, "state");

    return strcmp(state, record_state_names[RECORD_QUEUED]) != 0 &&
           strcmp(state, record_state_names[RECORD_RUNNING]) != 0;
}

/* A server may wait less than it is asked to; one that does not wait at all is not asked again. */
static int wait_for_job(const struct cli *cli, uint64_t wait_ns, json_t **ret)
{
    uint64_t now_ns = clock_now_ns(), deadline_ns = now_ns + wait_ns, asked_ns;
    char wait[32];
    int rc;

    for (;;) {
        uint64_t left_s = (deadline_ns - now_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
        (void)snprintf(wait, sizeof(wait), "%llu", (unsigned long long)left_s);
        asked_ns = now_ns;
        rc = get_job(cli, wait, ret);
        now_ns = clock_now_ns();
        if (rc != CLI_OK || *ret == NULL || has_ended(*ret) || now_ns >= deadline_ns ||
            now_ns - asked_ns < CLOCK_NS_PER_S)
            return rc;
        json_decref(*ret);
    }
}

static int show(const struct cli *cli)
{
    const char *wait = cli_value(cli, CLI_WAIT);
    uint64_t wait_ns = 0;
    json_t *job;
    int rc;

    if (wait != NULL && parse_seconds_ns(wait, &wait_ns) < 0)
        return cli_misused("--wait must be a number of seconds, such as 30.");
    rc = wait == NULL ? get_job(cli, NULL, &job) : wait_for_job(cli, wait_ns, &job);
    return rc != CLI_OK || job == NULL ? rc : print_job(job);
}

/* DELETE would forget a job that has ended, which is not what is meant. */
static int cancel(const struct cli *cli)
{
    const struct cli_line looks = {.values = {NULL}};
    struct cli quiet = *cli;
    struct buf target;
    char line[128];
    json_t *job;
    int rc;

    quiet.line = &looks;
    rc = get_job(&quiet, NULL, &job);
    if (rc != CLI_OK || job == NULL)
        return rc;
    (void)snprintf(line, sizeof(line), "The job has ended already: it is %.60s.",
                   text_of(job, "state"));
    if (has_ended(job)) {
        json_decref(job);
        print_complaint(line);
        return CLI_REFUSED;
    }
    json_decref(job);
    target = cli_target("/jobs/", cli->words[0], "");
    rc = cli_ask_target(cli, "DELETE", &target, NULL, &job);
    if (rc != CLI_OK || job == NULL)
        return rc;
    printf("%s is %s\n", cli->words[0], text_of(job, "state"));
    json_decref(job);
    return CLI_OK;
}

static int retry(const struct cli *cli)
{
    struct buf target = cli_target("/jobs/", cli->words[0], "/retry");
    json_t *job;
    int rc = cli_ask_target(cli, "POST", &target, NULL, &job);

    if (rc != CLI_OK || job == NULL)
        return rc;
    printf("%s is %s\n", cli->words[0], text_of(job, "state"));
    json_decref(job);
    return CLI_OK;
}

static int result(const struct cli *cli)
{
    struct buf target = cli_target("/jobs/", cli->words[0], "/result");
    CLEANUP_FREE char *text = buf_take(&target);
    struct ask a = {.method = "GET", .target = text, .result = stdout};
    json_t *none;

    return text == NULL ? cli_misused("No job has so long an id.") : cli_ask(cli, &a, &none);
}

/* ---- submit ---- */

/* {"kernel":…,"params":…}; NULL after having said why not. */
static char *write_job(const char *kernel, const char *params)
{
    struct json_problem problem;
    json_t *json = json_read(params, strlen(params), &problem);
    json_t *job;
    char *text = NULL;

    if (!json_is_object(json)) {
        print_complaint(json == NULL ? problem.text
                                     : "The parameters must be a JSON object, such as "
                                       "'{\"limit\":1000}'.");
        json_decref(json);
        return NULL;
    }
    job = json_pack("{s:s, s:o}", "kernel", kernel, "params", json);
    if (job != NULL)
        text = json_write(job, NULL);
    else
        print_complaint("A kernel's name is UTF-8.");
    json_decref(job);
    return text;
}

static int submit(const struct cli *cli)
{
    CLEANUP_FREE char *body = write_job(cli->words[0], cli->word_count > 1 ? cli->words[1] : "{}");
    struct buf target = cli_target("/jobs", "", "");
    json_t *job;
    int rc;

    if (body == NULL) {
        buf_release(&target);
        return CLI_USAGE;
    }
    rc = cli_ask_target(cli, "POST", &target, body, &job);
    if (rc != CLI_OK || job == NULL)
        return rc;
    puts(text_of(job, "id"));
    json_decref(job);
    return CLI_OK;
}

static const struct command commands[] = {
    {"list", "", "the newest first", 0, 0,
     CLI_TAKES(CLI_STATE) | CLI_TAKES(CLI_KERNEL) | CLI_TAKES(CLI_LIMIT) | CLI_TAKES(CLI_AFTER),
     list},
    {"show", "ID", "all about one", 1, 1, CLI_TAKES(CLI_WAIT), show},
    {"submit", "KERNEL [JSON]", "a new one with these parameters; prints its id", 1, 2, 0, submit},
    {"result", "ID", "what it made, as it is, to standard output", 1, 1, 0, result},
    {"cancel", "ID", "ends one that waits or runs", 1, 1, 0, cancel},
    {"retry", "ID", "queues one again that is dead or has failed", 1, 1, 0, retry},
};

const struct command_group jobs_commands = {
    .name = "jobs",
    .help = "the durable jobs of a running server",
    .commands = commands,
    .count = ARRAY_SIZE(commands),
};
