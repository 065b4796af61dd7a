#include <errno.h>

#include "api/jobs.h"
#include "base/clock.h"
#include "jobs/json.h"

#define TIME_S_MAX 31536000 /* of a timeout or a deadline */

static const char example[] = "{\"kernel\":\"sum\",\"params\":{\"end\":1000000}}";

/* ---- headers ---- */

static bool is_key(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        if (text[i] < '!' || text[i] > '~')
            return false;
    }
    return n >= 1 && n <= RECORD_KEY_BYTES_MAX;
}

bool jobs_ask_key(struct request *r, struct compute *c)
{
    c->durable.key = request_header(r, HEADER_IDEMPOTENCY_KEY);
    if (c->durable.key == NULL || is_key(c->durable.key))
        return true;
    respond_problem(
        r, PROBLEM_BAD_HEADER,
        json_pack("{s:s, s:i}", "header", "Idempotency-Key", "limit", RECORD_KEY_BYTES_MAX),
        "The header Idempotency-Key must be 1 to %d visible ASCII characters, such as "
        "a UUID.",
        RECORD_KEY_BYTES_MAX);
    return false;
}

bool jobs_ask_durable(struct request *r, struct compute *c)
{
    struct compute_durable *d = &c->durable;

    if (r->method != HTTP_POST)
        return true;
    d->prefer = prefer_read(request_header(r, HEADER_PREFER));
    if (!jobs_ask_key(r, c))
        return false;
    d->is_wanted = d->key != NULL || d->prefer.respond_async || d->prefer.wait;
    return true;
}

/* ---- the body of POST /jobs ---- */

static bool bad_member(struct request *r, const char *name, json_t *value, const char *expected)
{
    char got[80] = "nothing";

    if (value != NULL)
        json_brief(value, got, sizeof(got));
    respond_problem(r, PROBLEM_BAD_PARAMETER,
                    json_pack("{s:s, s:s}", "parameter", name, "got", got),
                    "Parameter %s must be %s; got %s.", name, expected, got);
    return false;
}

static bool take_kernel(struct request *r, struct compute *c, json_t *value)
{
    const char *name = json_string_value(value);

    if (name == NULL)
        return bad_member(r, "kernel", value, "the name of a kernel, which GET /compute lists");
    c->kernel = catalog_find(sched_catalog(api_of(r)->sched), name);
    if (c->kernel != NULL)
        return compute_make_job(r, c);
    respond_problem(r, PROBLEM_NO_SUCH_KERNEL, json_pack("{s:s}", "parameter", "kernel"),
                    "There is no kernel of this name. GET /compute lists them.");
    return false;
}

static bool take_params(struct request *r, struct compute *c, json_t *value)
{
    json_t *none = json_object();
    bool ok;

    if (value != NULL && !json_is_object(value))
        ok = bad_member(r, "params", value, "an object of the kernel's parameters");
    else
        ok = compute_ask_object(r, c, value == NULL ? none : value);
    json_decref(none);
    return ok;
}

static bool take_priority(struct request *r, struct compute *c, json_t *value)
{
    const char *word = json_string_value(value);

    for (unsigned i = 0; value != NULL && i < QUEUE_CLASS_COUNT; i++) {
        if (word != NULL && strcmp(word, queue_class_names[i]) == 0) {
            c->job->priority = i;
            return true;
        }
    }
    return value == NULL || bad_member(r, "priority", value, "high, normal or low");
}

static bool take_seconds(struct request *r, json_t *value, const char *name, uint64_t *ret_ns)
{
    double s = json_number_value(value);
    char expected[64];

    if (value == NULL)
        return true;
    if (json_is_number(value) && s > 0 && s <= TIME_S_MAX) {
        *ret_ns = MAX((uint64_t)(s * (double)CLOCK_NS_PER_S), CLOCK_NS_PER_US);
        return true;
    }
    (void)snprintf(expected, sizeof(expected), "a number of seconds above 0 and up to %d",
                   TIME_S_MAX);
    return bad_member(r, name, value, expected);
}

static bool take_count(struct request *r, json_t *value, const char *name, int max, uint64_t *ret)
{
    char expected[64];

    if (value == NULL)
        return true;
    if (json_is_integer(value) && json_integer_value(value) >= 1 &&
        json_integer_value(value) <= max) {
        *ret = (uint64_t)json_integer_value(value);
        return true;
    }
    (void)snprintf(expected, sizeof(expected), "an integer from 1 to %d", max);
    return bad_member(r, name, value, expected);
}

static bool knows_all(struct request *r, json_t *body)
{
    static const char *const names[] = {"kernel",   "params",       "priority", "timeout",
                                        "deadline", "max_attempts", "chunks"};
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        size_t i = 0;
        while (i < ARRAY_SIZE(names) && strcmp(names[i], name) != 0)
            i++;
        if (i < ARRAY_SIZE(names))
            continue;
        respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", name),
                        "A job has no %.80s; it has kernel, params, priority, timeout, deadline, "
                        "max_attempts and chunks.",
                        name);
        return false;
    }
    return true;
}

static bool take_all(struct request *r, struct compute *c, json_t *body)
{
    struct compute_durable *d = &c->durable;
    uint64_t attempts = 0, chunks = 0;
    bool ok = knows_all(r, body) && take_kernel(r, c, json_object_get(body, "kernel")) &&
              take_params(r, c, json_object_get(body, "params")) &&
              take_priority(r, c, json_object_get(body, "priority")) &&
              take_seconds(r, json_object_get(body, "timeout"), "timeout", &d->timeout_ns) &&
              take_seconds(r, json_object_get(body, "deadline"), "deadline", &d->deadline_ns) &&
              take_count(r, json_object_get(body, "max_attempts"), "max_attempts",
                         RECORD_ATTEMPTS_MAX, &attempts) &&
              take_count(r, json_object_get(body, "chunks"), "chunks", COMPUTE_CHUNKS_MAX, &chunks);

    if (ok)
        c->job->chunks_wanted = chunks;
    d->attempts = (unsigned)attempts;
    return ok;
}

bool jobs_ask(struct request *r, struct compute *c)
{
    json_t *body = compute_read_body(r, c, example);
    bool ok = body != NULL && take_all(r, c, body);

    json_decref(body);
    buf_release(&c->body);
    return ok;
}
