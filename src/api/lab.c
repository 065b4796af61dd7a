#include <errno.h>
#include <gnu/libc-version.h>

#include "api/api.h"
#include "api/ending.h"
#include "api/machine.h"
#include "base/clock.h"
#include "base/parse.h"
#include "http/stream.h"
#include "jobs/json.h"

enum { BUSY_RETRY_S = 5 };

/* Who has asked for a lab: a request that is parked, or a stream. */
struct asking {
    struct lab_ask ask;
    struct api *api;
    struct request *r;     /* NULL: there is a stream */
    struct stream *stream; /* NULL: there is a request */
};

static void release(struct request *r)
{
    struct asking *a = r->context;

    json_decref(a->ask.report);
    (void)job_free(a->ask.job);
    free(a);
}

/* ---- how it went ---- */

static json_t *whole_machine(const struct api *api, json_t *measured)
{
    json_t *machine = machine_json();

    if (machine == NULL)
        return NULL;
    (void)json_object_update(machine, measured);
    (void)json_object_set_new(machine, "libraries",
                              json_pack("{s:s, s:s, s:s, s:s}", "libmicrohttpd",
                                        api->config.http_version, "jansson", jansson_version_str(),
                                        "sqlite", api->config.store_version, "glibc",
                                        gnu_get_libc_version()));
    return machine;
}

static json_t *take_report(struct asking *a)
{
    json_t *report = take_ptr(a->ask.report);
    json_t *machine = whole_machine(a->api, json_object_get(report, "machine"));

    (void)json_object_set_new(report, "machine", machine);
    return report;
}

/* Why there is no report. */
static struct ending_problem explain(const struct asking *a)
{
    struct ending_problem p = {.name = PROBLEM_INTERNAL, .extra = json_object()};
    struct ending ending;

    switch (a->ask.outcome) {
    case LAB_JOB_ENDED:
        json_decref(p.extra);
        ending = ending_of_job(a->ask.job);
        ending_explain(&ending, &p);
        if (p.name == PROBLEM_DEADLINE)
            (void)snprintf(p.detail, sizeof(p.detail),
                           "The lab was not done after %.3f s and has been stopped. Ask for less, "
                           "or raise Prong-Timeout or the server's --lab-timeout.",
                           (double)(a->ask.limit_ns / CLOCK_NS_PER_US) / 1e6);
        break;
    case LAB_NO_KERNEL:
        p.name = PROBLEM_NO_SUCH_KERNEL;
        (void)snprintf(p.detail, sizeof(p.detail),
                       "The lab measures with the kernel lab that comes with prong, and it is not "
                       "served. Start prong without --builtins none.");
        break;
    case LAB_TOO_LONG:
        p.name = PROBLEM_LAB_TOO_LONG;
        (void)snprintf(p.detail, sizeof(p.detail), "%s", a->ask.text);
        break;
    case LAB_NO_PYTHON:
        p.name = PROBLEM_BAD_PARAMETER;
        (void)json_object_set_new(p.extra, "parameter", json_string("modes"));
        (void)snprintf(p.detail, sizeof(p.detail), "%s Ask for other modes.", a->ask.text);
        break;
    case LAB_DONE:
    case LAB_ODD:
        (void)snprintf(p.detail, sizeof(p.detail),
                       "The lab's own kernel gave an answer that makes no sense, or there is no "
                       "memory for it. The server's log may say more.");
        break;
    }
    return p;
}

/* ---- a request that waits ---- */

static void answer(struct request *r)
{
    struct asking *a = r->context;
    struct ending_problem p;

    if (a->ask.outcome == LAB_DONE) {
        respond_json(r, 200, take_report(a));
        return;
    }
    p = explain(a);
    respond_problem(r, p.name, p.extra, "%s", p.detail);
    if (p.retry_after_s > 0)
        respond_header_printf(r, "Retry-After", "%llu", (unsigned long long)p.retry_after_s);
}

static void wake(struct lab_ask *ask)
{
    request_unpark(((struct asking *)ask->owner)->r);
}

/* ---- a stream ---- */

static char *text_of(json_t *json)
{
    char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    return text;
}

static void post(struct asking *a, const char *event, json_t *json)
{
    CLEANUP_FREE char *text = text_of(json);

    if (text != NULL)
        (void)stream_post(a->stream, event, 0, text, strlen(text));
}

static void tell_plan(struct lab_ask *ask, json_t *plan)
{
    post(ask->owner, "plan", plan);
}

static void tell_run(struct lab_ask *ask, const struct lab_news *news)
{
    struct asking *a = ask->owner;

    post(a, "run",
         json_pack("{s:s, s:i, s:f, s:f}", "mode", lab_mode_names[news->mode], "repeat",
                   (int)news->repeat, "wall_s", news->wall_s, "cpu_s", news->cpu_s));
    post(a, "progress",
         json_pack("{s:i, s:i}", "done", (int)news->done, "total", (int)news->total));
}

/* One that has gone is found out by what it is sent. */
static bool is_gone(struct lab_ask *ask)
{
    struct asking *a = ask->owner;

    stream_touch(a->stream);
    return stream_is_gone(a->stream);
}

static void end_stream(struct lab_ask *ask)
{
    struct asking *a = ask->owner;
    bool is_done = ask->outcome == LAB_DONE;
    struct ending_problem p;
    CLEANUP_FREE char *text = NULL;

    if (is_done) {
        text = text_of(take_report(a));
    } else {
        p = explain(a);
        text = text_of(problem_object(p.name, p.extra, p.detail));
    }
    stream_end(a->stream, is_done ? "result" : "error", 0, text == NULL ? "{}" : text,
               text == NULL ? 2 : strlen(text));
    (void)job_free(ask->job);
    free(a);
}

/* ---- the beginning ---- */

static bool read_timeout(struct request *r, struct lab_ask *ask)
{
    const char *value = request_header(r, HEADER_PRONG_TIMEOUT);
    uint64_t ns = UINT64_MAX;

    if (value != NULL && (parse_seconds_ns(value, &ns) < 0 || ns == 0)) {
        respond_problem(r, PROBLEM_BAD_HEADER, json_pack("{s:s}", "header", "Prong-Timeout"),
                        "The header Prong-Timeout must be a number of seconds above 0, such as "
                        "2.5.");
        return false;
    }
    ask->limit_ns = MIN(ns, api_of(r)->config.lab_timeout_ns);
    ask->deadline_ns = clock_now_ns() + ask->limit_ns;
    return true;
}

static bool read_spec(struct request *r, struct lab_ask *ask)
{
    json_t *body = api_json_body(r, "{}");
    struct lab_problem problem;
    json_t *extra;
    int rc;

    if (body == NULL)
        return false;
    rc = lab_spec_read(body, &ask->spec, &problem);
    if (rc < 0) {
        extra = json_pack("{s:s*, s:s*}", "parameter", problem.parameter, "got",
                          *problem.got == '\0' ? NULL : problem.got);
        respond_problem(r, PROBLEM_BAD_PARAMETER, extra, "%s", problem.text);
    }
    json_decref(body);
    return rc == 0;
}

static void refuse_busy(struct request *r)
{
    respond_problem(r, PROBLEM_LAB_BUSY, json_pack("{s:i}", "retry_after", BUSY_RETRY_S),
                    "Somebody else's lab is under way, and two at once would measure each other. "
                    "Ask again when it is over.");
    respond_header_printf(r, "Retry-After", "%d", BUSY_RETRY_S);
}

/* Parked before it begins: it may be over before this returns. */
static void begin_parked(struct request *r, struct asking *a)
{
    a->r = r;
    a->ask.socket = request_socket(r);
    a->ask.done = wake;
    if (!request_park(r, answer)) {
        respond_problem(r, PROBLEM_DRAINING, NULL,
                        "The server is shutting down. Send it again in a second.");
        lab_give_back(a->api->lab);
        return;
    }
    lab_run(a->api->lab, &a->ask);
}

static void begin_stream(struct request *r, struct asking *a)
{
    r->context = NULL;
    r->release = NULL;
    a->stream = stream_open(r);
    if (a->stream == NULL) {
        lab_give_back(a->api->lab);
        free(a);
        return;
    }
    a->ask.is_gone = is_gone;
    a->ask.planned = tell_plan;
    a->ask.ran = tell_run;
    a->ask.done = end_stream;
    lab_run(a->api->lab, &a->ask);
}

static bool is_acceptable(struct request *r, bool wants_events)
{
    if (wants_events || request_accepts(r, "application/json"))
        return true;
    respond_problem(r, PROBLEM_NOT_ACCEPTABLE, NULL,
                    "The lab answers application/json or text/event-stream: accept one of these.");
    return false;
}

void api_lab(struct request *r)
{
    const char *accept = request_header(r, HEADER_ACCEPT);
    bool wants_events = accept != NULL && strstr(accept, "text/event-stream") != NULL;
    struct asking *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Send it later.");
        return;
    }
    r->context = a;
    r->release = release;
    a->api = api_of(r);
    a->ask.owner = a;
    a->ask.socket = -1;
    a->ask.client = r->client;
    if (r->trace[0] != '\0')
        memcpy(a->ask.trace_id, r->trace + TRACE_ID_AT, sizeof(a->ask.trace_id) - 1);
    if (!is_acceptable(r, wants_events) || !read_timeout(r, &a->ask) || !read_spec(r, &a->ask))
        return;
    if (!lab_reserve(a->api->lab))
        refuse_busy(r);
    else if (wants_events)
        begin_stream(r, a);
    else
        begin_parked(r, a);
}
