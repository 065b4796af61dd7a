#include <errno.h>
#include <math.h>

#include "api/collect.h"
#include "base/clock.h"
#include "jobs/json.h"
#include "jobs/params.h"

enum {
    CONCURRENCY_DEFAULT = 16,
    TIMEOUT_S_DEFAULT = 10,
    PAGE_BYTES_DEFAULT = 1 << 20,
    TIMEOUT_MS_MIN = 1,
    RETRY_AFTER_S = 2,
};

static const char page_kernel[] = "page", process_default[] = "wordcount";

static void release(struct request *r)
{
    (void)collect_free(r->context);
}

static bool no_memory(struct request *r)
{
    respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Send it later.");
    return false;
}

/* ---- what is asked ---- */

static bool refuse(struct request *r, const char *parameter, const char *expected)
{
    respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", parameter),
                    "Parameter %s must be %s.", parameter, expected);
    return false;
}

static bool ask_urls(struct request *r, struct collect *c, json_t *body)
{
    static const char expected[] = "a list of 1 to 1000 URLs, each a string";
    json_t *urls = json_object_get(body, "urls");
    size_t count = json_array_size(urls);

    static_assert(FETCH_URLS_MAX == 1000, "as the sentence says");
    if (count < 1 || count > FETCH_URLS_MAX)
        return refuse(r, "urls", expected);
    c->batch.urls = calloc(count, sizeof(*c->batch.urls));
    c->rows = calloc(count, sizeof(*c->rows));
    c->batch.count = c->batch.urls == NULL || c->rows == NULL ? 0 : count;
    if (c->batch.count == 0)
        return no_memory(r);
    for (size_t i = 0; i < count; i++) {
        json_t *url = json_array_get(urls, i);
        if (!json_is_string(url))
            return refuse(r, "urls", expected);
        c->batch.urls[i] = strdup(json_string_value(url));
        if (c->batch.urls[i] == NULL)
            return no_memory(r);
    }
    return true;
}

/* An integer; absent: as it is. */
static bool ask_integer(struct request *r, json_t *body, const char *name, json_int_t max,
                        json_int_t *value)
{
    json_t *given = json_object_get(body, name);
    char expected[80];

    if (given == NULL)
        return true;
    if (!json_is_integer(given) || json_integer_value(given) < 1 ||
        json_integer_value(given) > max) {
        (void)snprintf(expected, sizeof(expected), "an integer from 1 to %lld", (long long)max);
        return refuse(r, name, expected);
    }
    *value = json_integer_value(given);
    return true;
}

static bool ask_limits(struct request *r, struct collect *c, json_t *body)
{
    json_int_t concurrency = CONCURRENCY_DEFAULT, page_bytes = PAGE_BYTES_DEFAULT;
    json_t *timeout = json_object_get(body, "timeout");
    double timeout_ms =
        timeout == NULL ? TIMEOUT_S_DEFAULT * 1e3 : json_number_value(timeout) * 1e3;

    static_assert(FETCH_TIMEOUT_S_MAX == 60, "as the sentence says");
    if (!ask_integer(r, body, "concurrency", FETCH_CONCURRENCY_MAX, &concurrency) ||
        !ask_integer(r, body, "max_bytes", FETCH_PAGE_BYTES_MAX, &page_bytes))
        return false;
    if (timeout_ms < TIMEOUT_MS_MIN || timeout_ms > FETCH_TIMEOUT_S_MAX * 1e3)
        return refuse(r, "timeout", "a number of seconds from 0.001 to 60");
    c->batch.concurrency = (unsigned)concurrency;
    c->batch.page_bytes_max = (size_t)page_bytes;
    c->batch.timeout_ns = (uint64_t)(timeout_ms * (double)CLOCK_NS_PER_MS);
    return true;
}

/* Whether it can be given a text and nothing else. */
static bool takes_text(const struct kernel *k)
{
    struct params_problem problem;
    struct params_given given;
    struct params params;
    bool ok;

    if (!k->about->takes_raw)
        return false;
    params_given_init(&given, k->about);
    params_init(&params);
    ok = params_encode(&params, k->about, &given, true, &problem) == 0;
    params_release(&params);
    params_given_release(&given);
    return ok;
}

static bool ask_kernels(struct request *r, struct collect *c, json_t *body)
{
    struct catalog *catalog = sched_catalog(c->api->sched);
    json_t *process = json_object_get(body, "process");
    const char *name = process == NULL ? process_default : json_string_value(process);

    if (process != NULL && !json_is_string(process) && !json_is_null(process))
        return refuse(r, "process", "the name of a kernel, or null for none");
    c->process = name == NULL ? NULL : catalog_find(catalog, name);
    if (name != NULL && (c->process == NULL || !takes_text(c->process)))
        return refuse(r, "process",
                      "a kernel that takes a text as its input and needs nothing else, such as "
                      "wordcount, or null for none; GET /compute lists them");
    c->page = catalog_find(catalog, page_kernel);
    if (c->page == NULL || !c->page->about->takes_raw) {
        respond_problem(r, PROBLEM_KERNEL_DISABLED, NULL,
                        "Pages are read by the kernel page, which this server does not have: see "
                        "--builtins.");
        return false;
    }
    return true;
}

static bool ask_nothing_else(struct request *r, json_t *body)
{
    static const char *const known[] = {"urls", "concurrency", "timeout", "max_bytes", "process"};
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        bool found = false;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            found = found || strcmp(name, known[i]) == 0;
        if (!found) {
            respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", name),
                            "There is no parameter of this name: urls, concurrency, timeout, "
                            "max_bytes and process are known.");
            return false;
        }
    }
    return true;
}

static bool ask(struct request *r, struct collect *c)
{
    json_t *body = api_json_body(r, NULL);
    bool ok = false;

    if (body == NULL)
        return false;
    if (!json_is_object(body))
        respond_problem(r, PROBLEM_BAD_JSON, NULL,
                        "Send a JSON object, such as {\"urls\":[\"https://example.org/\"]}.");
    else
        ok = ask_nothing_else(r, body) && ask_urls(r, c, body) && ask_limits(r, c, body) &&
             ask_kernels(r, c, body);
    json_decref(body);
    return ok;
}

static struct collect *collect_new(struct request *r)
{
    struct collect *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        (void)no_memory(r);
        return NULL;
    }
    c->api = api_of(r);
    c->client = r->client;
    if (r->trace[0] != '\0')
        memcpy(c->trace_id, r->trace + TRACE_ID_AT, sizeof(c->trace_id) - 1);
    return c;
}

/* ---- the answer ---- */

static void explain(struct request *r, int rc)
{
    if (rc == -EBUSY) {
        respond_problem(r, PROBLEM_FETCHES_FULL, json_pack("{s:i}", "retry_after", RETRY_AFTER_S),
                        "As many requests to fetch pages as the server takes at once "
                        "(--fetch-requests) are under way. Send it again after Retry-After "
                        "seconds.");
        respond_header_printf(r, "Retry-After", "%d", RETRY_AFTER_S);
    } else if (rc == -ESHUTDOWN) {
        respond_problem(r, PROBLEM_DRAINING, NULL,
                        "The server is shutting down. Send it again in a second.");
    } else {
        (void)no_memory(r);
    }
}

static void answer(struct request *r)
{
    struct collect *c = r->context;
    struct buf text;
    size_t bytes;

    if (c->is_stopped) {
        respond_problem(r,
                        c->reason == FETCH_NO_LIBRARY ? PROBLEM_NOT_IMPLEMENTED : PROBLEM_DRAINING,
                        NULL, "%s", c->why);
        return;
    }
    collect_text(c, &text);
    bytes = text.size;
    if (buf_failed(&text) < 0)
        (void)no_memory(r);
    else
        respond_bytes(r, 200, "application/json", buf_take(&text), bytes);
    buf_release(&text);
    respond_header_printf(r, "Server-Timing", "wall;dur=%.3f, sum;dur=%.3f",
                          (double)c->wall_ns / 1e6, (double)c->sum_ns / 1e6);
}

static bool wants_events(struct request *r)
{
    const char *accept = request_header(r, HEADER_ACCEPT);

    return accept != NULL && strstr(accept, "text/event-stream") != NULL;
}

void api_fetch_begin(struct request *r)
{
    if (!wants_events(r) && !request_accepts(r, "application/json"))
        respond_problem(r, PROBLEM_NOT_ACCEPTABLE, NULL,
                        "Pages are told as application/json or text/event-stream: accept one of "
                        "these.");
}

/* Parked before it is begun: the end may come before this returns. False after having answered. */
static bool open_answer(struct request *r, struct collect *c, bool as_events)
{
    if (as_events) {
        c->stream = stream_open(r);
        return c->stream != NULL;
    }
    c->request = r;
    if (request_park(r, answer))
        return true;
    explain(r, -ESHUTDOWN);
    return false;
}

void api_fetch(struct request *r)
{
    struct collect *c = collect_new(r);
    bool as_events = wants_events(r);
    int socket = request_socket(r);
    int rc;

    if (c == NULL)
        return;
    r->context = c;
    r->release = release;
    if (!ask(r, c))
        return;
    rc = fetch_admit(c->api->fetch, &c->batch);
    if (rc < 0) {
        explain(r, rc);
        return;
    }
    if (!open_answer(r, c, as_events)) {
        fetch_withdraw(c->api->fetch, &c->batch);
        return;
    }
    if (as_events)
        r->context = NULL; /* it is the stream's */
    collect_begin(c, socket);
}
