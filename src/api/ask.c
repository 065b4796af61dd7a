#include <errno.h>

#include "api/compute.h"
#include "base/clock.h"
#include "base/parse.h"
#include "jobs/json.h"
#include "jobs/params.h"

enum { CHUNKS_WANTED_MAX = 10000 };

/* ---- headers ---- */

static bool bad_header(struct request *r, const char *name, const char *expected)
{
    respond_problem(r, PROBLEM_BAD_HEADER, json_pack("{s:s}", "header", name),
                    "The header %s must be %s.", name, expected);
    return false;
}

static bool ask_timeout(struct request *r, struct job *job)
{
    const char *value = request_header(r, "Prong-Timeout");
    uint64_t limit_ns = api_of(r)->config.timeout_ns;
    uint64_t ns = limit_ns;

    if (value != NULL && (parse_seconds_ns(value, &ns) < 0 || ns == 0))
        return bad_header(r, "Prong-Timeout", "a number of seconds above 0, such as 2.5");
    job->deadline_ns = job->accepted_ns + MIN(ns, limit_ns);
    return true;
}

static bool ask_priority(struct request *r, struct job *job)
{
    const char *value = request_header(r, "Prong-Priority");

    job->priority = QUEUE_NORMAL;
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
    const char *value = request_header(r, "Prong-Chunks");

    if (value == NULL)
        return true;
    if (parse_u64(value, &job->chunks_wanted) < 0 || job->chunks_wanted == 0 ||
        job->chunks_wanted > CHUNKS_WANTED_MAX)
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
    json_t *object;
    struct params_problem problem;
};

static void given_twice(struct params_problem *ret, const struct description *about,
                        const char *name)
{
    *ret = (struct params_problem) {.param = params_find(about, name)};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    (void)snprintf(ret->text, sizeof(ret->text), "Parameter %s is given twice: give it once.",
                   ret->name);
}

static int read_argument(void *arg, const char *name, const char *value)
{
    struct query_reader *q = arg;
    json_t *read = params_read_query(q->about, name, value, &q->problem);

    if (read == NULL)
        return -EINVAL;
    if (json_object_get(q->object, name) != NULL) {
        json_decref(read);
        q->problem = (struct params_problem) {.param = params_find(q->about, name)};
        (void)snprintf(q->problem.name, sizeof(q->problem.name), "%s", name);
        (void)snprintf(q->problem.text, sizeof(q->problem.text),
                       "Parameter %s is given twice in the query: give it once.", name);
        return -EEXIST;
    }
    return json_object_set_new(q->object, name, read) < 0 ? -ENOMEM : 0;
}

static json_t *query_object(struct request *r, const struct compute *c)
{
    struct query_reader q = {.about = c->kernel->about, .object = json_object()};
    int rc = request_each_query(r, read_argument, &q);

    if (rc == 0)
        return q.object;
    json_decref(q.object);
    if (*q.problem.text == '\0')
        respond_problem(r, PROBLEM_BAD_REQUEST, NULL, "The query string holds a NUL byte.");
    else
        (void)bad_parameter(r, &q.problem);
    return NULL;
}

static json_t *body_object(struct request *r, struct compute *c)
{
    struct json_problem problem;
    json_t *json = json_read(c->body.size == 0 ? "" : c->body.data, c->body.size, &problem);

    if (json == NULL) {
        respond_problem(r, PROBLEM_BAD_JSON,
                        json_pack("{s:i, s:i}", "line", problem.line, "column", problem.column),
                        "%s", problem.text);
        return NULL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        respond_problem(r, PROBLEM_BAD_JSON, NULL,
                        "Send the parameters as a JSON object, such as {\"%s\":…}.",
                        c->kernel->about->param_count > 0 ? c->kernel->about->params[0].name : "x");
        return NULL;
    }
    return json;
}

/* Parameters in the query count with a JSON body too, but none may be given in both. */
static json_t *all_parameters(struct request *r, struct compute *c)
{
    json_t *query = query_object(r, c);
    json_t *body, *value;
    const char *key;

    if (query == NULL || c->body_kind != COMPUTE_JSON)
        return query;
    body = body_object(r, c);
    json_object_foreach(query, key, value)
    {
        if (body != NULL && json_object_get(body, key) != NULL) {
            struct params_problem problem;
            given_twice(&problem, c->kernel->about, key);
            (void)bad_parameter(r, &problem);
            json_decref(body);
            body = NULL;
        } else if (body != NULL) {
            (void)json_object_set(body, key, value);
        }
    }
    json_decref(query);
    return body;
}

static bool no_memory(struct request *r)
{
    respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Send it again later.");
    return false;
}

static void take_params(struct job *job, struct params *params)
{
    job->params_bytes = params->encoded.size;
    job->params = buf_take(&params->encoded);
    if (params->has_values) {
        job->input_kind = PRONG_INPUT_VALUES;
        job->input_bytes = params->value_count * sizeof(double);
        job->input = job->input_owned = take_ptr(params->values);
    }
}

static bool ask_parameters(struct request *r, struct compute *c)
{
    struct params_problem problem;
    json_t *object = all_parameters(r, c);
    struct params params;
    int rc;

    if (object == NULL)
        return false;
    params_init(&params);
    rc = params_from_json(&params, c->kernel->about, object, c->body_kind == COMPUTE_RAW, &problem);
    json_decref(object);
    if (rc == 0)
        take_params(c->job, &params);
    params_release(&params);
    if (rc == -EINVAL)
        return bad_parameter(r, &problem);
    if (rc < 0 || c->job->params == NULL)
        return no_memory(r);
    return true;
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

bool compute_ask(struct request *r, struct compute *c)
{
    c->job = job_new(c->kernel);
    if (c->job == NULL)
        return no_memory(r);
    c->job->accepted_ns = clock_now_ns();
    c->job->client = r->client;
    if (!ask_timeout(r, c->job) || !ask_priority(r, c->job) || !ask_chunks(r, c->job) ||
        !ask_parameters(r, c))
        return false;
    take_raw_input(c);
    buf_release(&c->body);
    return true;
}
