#include <errno.h>

#include "api/cached.h"
#include "api/compute.h"
#include "base/clock.h"
#include "base/parse.h"
#include "jobs/json.h"
#include "jobs/params.h"

/* ---- headers ---- */

static bool bad_header(struct request *r, const char *name, const char *expected)
{
    respond_problem(r, PROBLEM_BAD_HEADER, json_pack("{s:s}", "header", name),
                    "The header %s must be %s.", name, expected);
    return false;
}

static bool ask_timeout(struct request *r, struct compute *c)
{
    struct job *job = c->job;
    const char *value = request_header(r, HEADER_PRONG_TIMEOUT);
    uint64_t limit_ns = api_of(r)->config.timeout_ns;
    uint64_t ns = UINT64_MAX;

    if (value != NULL && (parse_seconds_ns(value, &ns) < 0 || ns == 0))
        return bad_header(r, "Prong-Timeout", "a number of seconds above 0, such as 2.5");
    c->durable.timeout_ns = value == NULL ? 0 : ns;
    job->deadline_ns = job->accepted_ns + MIN(ns, limit_ns);
    return true;
}

static bool ask_priority(struct request *r, struct job *job)
{
    const char *value = request_header(r, HEADER_PRONG_PRIORITY);

    if (value == NULL)
        return true;
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++) {
        if (strcmp(value, queue_class_names[i]) == 0) {
            job->priority = i;
            return true;
        }
    }
    return bad_header(r, "Prong-Priority", "high, normal or low");
}

static bool ask_chunks(struct request *r, struct job *job)
{
    const char *value = request_header(r, HEADER_PRONG_CHUNKS);

    if (value == NULL)
        return true;
    if (parse_u64(value, &job->chunks_wanted) < 0 || job->chunks_wanted == 0 ||
        job->chunks_wanted > COMPUTE_CHUNKS_MAX)
        return bad_header(r, "Prong-Chunks", "an integer from 1 to 10000");
    return true;
}

/* ---- parameters ---- */

static void add_bounds(json_t *extra, const struct description_param *p)
{
    if (p == NULL)
        return;
    if (p->type == PRONG_INT) {
        (void)json_object_set_new(extra, "minimum", json_integer(p->int_min));
        (void)json_object_set_new(extra, "maximum", json_integer(p->int_max));
    } else if (p->type == PRONG_REAL) {
        (void)json_object_set_new(extra, "minimum", json_real(p->real_min));
        (void)json_object_set_new(extra, "maximum", json_real(p->real_max));
    }
}

static bool bad_parameter(struct request *r, const struct params_problem *problem)
{
    json_t *extra = json_pack("{s:s*}", "parameter", problem->name);

    if (extra != NULL && *problem->got != '\0')
        (void)json_object_set_new(extra, "got", json_string(problem->got));
    if (extra != NULL)
        add_bounds(extra, problem->param);
    respond_problem(r, PROBLEM_BAD_PARAMETER, extra, "%s", problem->text);
    return false;
}

struct query_reader {
    const struct description *about;
    struct params_given *given;
    struct params_problem *problem;
};

static int read_argument(void *arg, const char *name, const char *value)
{
    struct query_reader *q = arg;

    return params_give_query(q->given, q->about, name, value, q->problem);
}

static bool take_query(struct request *r, struct compute *c, struct params_given *given)
{
    struct params_problem problem;
    struct query_reader q = {.about = c->kernel->about, .given = given, .problem = &problem};

    return request_each_query(r, read_argument, &q) == 0 || bad_parameter(r, &problem);
}

json_t *compute_read_body(struct request *r, const struct compute *c, const char *expected)
{
    struct json_problem why;
    json_t *json = json_read(c->body.size == 0 ? "" : c->body.data, c->body.size, &why);

    if (json == NULL) {
        respond_problem(r, PROBLEM_BAD_JSON,
                        json_pack("{s:i, s:i}", "line", why.line, "column", why.column), "%s",
                        why.text);
    } else if (!json_is_object(json)) {
        json_decref(json);
        json = NULL;
        respond_problem(r, PROBLEM_BAD_JSON, NULL, "Send a JSON object, such as %s.", expected);
    }
    return json;
}

static bool take_object(struct request *r, struct compute *c, struct params_given *given,
                        json_t *object)
{
    struct params_problem problem;

    return params_give_object(given, c->kernel->about, object, &problem) == 0 ||
           bad_parameter(r, &problem);
}

static bool take_body(struct request *r, struct compute *c, struct params_given *given)
{
    const struct description *about = c->kernel->about;
    char expected[PRONG_NAME_MAX + 16];
    json_t *json;
    bool ok;

    (void)snprintf(expected, sizeof(expected), "{\"%s\":…}",
                   about->param_count > 0 ? about->params[0].name : "x");
    json = compute_read_body(r, c, expected);
    ok = json != NULL && take_object(r, c, given, json);
    json_decref(json);
    return ok;
}

static bool no_memory(struct request *r)
{
    respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Send it again later.");
    return false;
}

static bool encode(struct request *r, struct compute *c, const struct params_given *given)
{
    struct params_problem problem;
    struct params params;
    int rc;

    params_init(&params);
    rc = params_encode(&params, c->kernel->about, given, c->body_kind == COMPUTE_RAW, &problem);
    if (rc == 0)
        job_take_params(c->job, &params);
    params_release(&params);
    if (rc == -EINVAL)
        return bad_parameter(r, &problem);
    return rc == 0 && c->job->params != NULL ? true : no_memory(r);
}

/* As text, to be kept. */
static bool write_params(struct request *r, struct compute *c, const struct params_given *given)
{
    json_t *form;

    if (!c->durable.is_wanted)
        return true;
    form = params_canonical(given, c->kernel->about);
    c->durable.params = form == NULL ? NULL : json_write(form, NULL);
    json_decref(form);
    return c->durable.params != NULL || no_memory(r);
}

/* Parameters may come in the query and in a JSON body, but none in both. */
static bool ask_parameters(struct request *r, struct compute *c)
{
    struct params_given given;
    bool ok;

    params_given_init(&given, c->kernel->about);
    ok = take_query(r, c, &given) && (c->body_kind != COMPUTE_JSON || take_body(r, c, &given)) &&
         encode(r, c, &given) && write_params(r, c, &given);
    params_given_release(&given);
    return ok;
}

bool compute_ask_object(struct request *r, struct compute *c, json_t *object)
{
    struct params_given given;
    bool ok;

    params_given_init(&given, c->kernel->about);
    ok = take_object(r, c, &given, object) && encode(r, c, &given) && write_params(r, c, &given);
    params_given_release(&given);
    return ok;
}

static void take_raw_input(struct compute *c)
{
    struct job *job = c->job;

    if (c->body_kind != COMPUTE_RAW)
        return;
    job->input_kind = PRONG_INPUT_RAW;
    if (c->slab != NULL) {
        job->slab = take_ptr(c->slab);
        job->input = job->slab->data;
        job->input_bytes = c->slab_used;
        return;
    }
    job->input_bytes = c->body.size;
    job->input = job->input_owned = buf_take(&c->body);
}

bool compute_make_job(struct request *r, struct compute *c)
{
    c->job = job_new(c->kernel, r->id);
    if (c->job == NULL)
        return no_memory(r);
    c->job->accepted_ns = clock_now_ns();
    c->job->priority = QUEUE_NORMAL;
    c->job->client = r->client;
    if (r->trace[0] != '\0')
        memcpy(c->job->trace_id, r->trace + TRACE_ID_AT, sizeof(c->job->trace_id) - 1);
    return true;
}

bool compute_ask(struct request *r, struct compute *c)
{
    if (!compute_make_job(r, c) || !ask_timeout(r, c) || !ask_priority(r, c->job) ||
        !ask_chunks(r, c->job) || !ask_parameters(r, c))
        return false;
    take_raw_input(c);
    buf_release(&c->body);
    cached_ask(r, c);
    return true;
}
