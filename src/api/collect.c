#include "api/collect.h"

#include <errno.h>

#include "api/ending.h"
#include "base/clock.h"
#include "jobs/json.h"
#include "jobs/params.h"

static const char process_code[] = "process";

struct collect *collect_free(struct collect *c)
{
    if (c == NULL)
        return NULL;
    for (size_t i = 0; c->rows != NULL && i < c->batch.count; i++) {
        struct collect_row *row = &c->rows[i];
        free(row->final_url);
        free(row->content_type);
        free(row->processed);
        free(row->detail);
        json_decref(row->about);
    }
    for (size_t i = 0; c->batch.urls != NULL && i < c->batch.count; i++)
        free(c->batch.urls[i]);
    free(c->batch.urls);
    free(c->rows);
    (void)kernel_drop(c->page);
    (void)kernel_drop(c->process);
    free(c);
    return NULL;
}

/* ---- the end of all ---- */

static void end_stream(struct collect *c)
{
    enum problem_name problem =
        c->reason == FETCH_NO_LIBRARY ? PROBLEM_NOT_IMPLEMENTED : PROBLEM_DRAINING;
    json_t *json = c->is_stopped
                       ? problem_object(problem, NULL, c->why)
                       : json_pack("{s:f, s:f, s:I, s:I, s:I}", "wall_ms", (double)c->wall_ns / 1e6,
                                   "sum_ms", (double)c->sum_ns / 1e6, "count", (json_int_t)c->done,
                                   "failed", (json_int_t)c->failed, "lost", (json_int_t)c->lost);
    CLEANUP_FREE char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    stream_end(c->stream, c->is_stopped ? "error" : "result", 0, text == NULL ? "{}" : text,
               text == NULL ? 2 : strlen(text));
    (void)collect_free(c);
}

/* Every row is done, or nobody waits for the rest and no job is out. */
static void finish(struct collect *c)
{
    struct request *r = c->request;

    c->wall_ns = clock_now_ns() - c->begun_ns;
    fetch_finish(c->api->fetch, &c->batch);
    if (c->stream != NULL)
        end_stream(c);
    else
        request_unpark(r); /* c is the request's */
}

static void stop(struct fetch_batch *b, enum fetch_stop reason, const char *why)
{
    struct collect *c = b->owner;

    c->is_stopped = true;
    c->reason = reason;
    (void)snprintf(c->why, sizeof(c->why), "%s", why);
    for (size_t i = 0; i < b->count; i++) {
        if (c->rows[i].job != NULL)
            sched_cancel(c->api->sched, c->rows[i].job->id);
    }
    if (c->jobs_out == 0)
        finish(c);
}

/* ---- the end of one ---- */

static void tell(struct collect *c, const struct collect_row *row)
{
    struct buf text;
    char progress[64];
    int n = snprintf(progress, sizeof(progress), "{\"done\":%zu,\"total\":%zu}", c->done,
                     c->batch.count);

    collect_row_text(row, true, &text);
    if (buf_failed(&text) < 0 || !stream_post(c->stream, "page", 0, text.data, text.size))
        c->lost++;
    buf_release(&text);
    (void)stream_post(c->stream, "progress", 0, progress, (size_t)n);
}

/* What the answer needs no more. */
static void forget(struct collect_row *row)
{
    json_decref(row->about);
    row->about = NULL;
    free(take_ptr(row->processed));
}

/* Afterwards c may be gone. */
static void end_row(struct collect_row *row)
{
    struct collect *c = row->collect;

    row->stage = COLLECT_DONE;
    c->done++;
    c->failed += row->code != NULL;
    c->sum_ns += row->page.took_ns;
    fetch_release(c->api->fetch, &c->batch, row->page.bytes);
    if (c->stream != NULL && !c->is_stopped) {
        tell(c, row);
        forget(row);
    }
    if (c->done == c->batch.count || (c->is_stopped && c->jobs_out == 0))
        finish(c);
}

/* ---- jobs ---- */

static void end_job(struct fetch_letter *letter);

/* The collector's thread. */
static void job_done(struct job *job)
{
    struct collect_row *row = job->owner;

    fetch_post(row->collect->api->fetch, &row->letter);
}

static bool encode(struct job *job, json_t *object)
{
    const struct description *about = job->kernel->about;
    struct params_problem problem;
    struct params_given given;
    struct params params;
    bool ok;

    params_given_init(&given, about);
    params_init(&params);
    ok = (object == NULL || params_give_object(&given, about, object, &problem) == 0) &&
         params_encode(&params, about, &given, true, &problem) == 0;
    if (ok)
        job_take_params(job, &params);
    params_release(&params);
    params_given_release(&given);
    return ok && job->params != NULL;
}

/* `take_input` is taken. False when there was no memory for it, or the parameters do not fit. */
static bool make_job(struct collect_row *row, const struct kernel *kernel, json_t *params,
                     char *take_input, size_t bytes)
{
    const struct collect *c = row->collect;
    struct job *job = take_input == NULL ? NULL : job_new(kernel, id_new());

    if (job == NULL) {
        free(take_input);
        return false;
    }
    job->accepted_ns = clock_now_ns();
    job->deadline_ns = job->accepted_ns + c->api->config.timeout_ns;
    job->priority = QUEUE_NORMAL;
    job->client = c->client;
    job->continues = true;
    job->input_kind = PRONG_INPUT_RAW;
    job->input = job->input_owned = take_input;
    job->input_bytes = bytes;
    job->done = job_done;
    job->owner = row;
    memcpy(job->trace_id, c->trace_id, sizeof(job->trace_id));
    row->job = job;
    if (encode(job, params))
        return true;
    row->job = job_free(job);
    return false;
}

static void fail_by_job(struct collect_row *row, const struct job *job)
{
    struct ending ending = ending_of_job(job);
    struct ending_problem problem;

    ending_explain(&ending, &problem);
    json_decref(problem.extra);
    collect_row_fail(row, process_code, problem.detail);
}

/* Hands it to the workers; the row's next step is end_job. */
static void run_job(struct collect_row *row, enum collect_stage stage)
{
    struct collect *c = row->collect;

    row->stage = stage;
    row->letter.run = end_job;
    c->jobs_out++;
    if (sched_submit(c->api->sched, row->job) < 0)
        fetch_post(c->api->fetch, &row->letter);
}

static void process_text(struct collect_row *row)
{
    struct collect *c = row->collect;
    json_t *value = json_object_get(row->about, "text");
    size_t bytes = json_string_length(value);
    char *text = json_is_string(value) ? strndup(json_string_value(value), bytes) : NULL;
    bool is_text = text != NULL;

    (void)json_object_del(row->about, "text");
    if (c->process == NULL || !is_text) {
        free(text);
        end_row(row);
    } else if (make_job(row, c->process, NULL, text, bytes)) {
        run_job(row, COLLECT_PROCESS);
    } else {
        collect_row_fail(row, process_code, "There was no memory to process it.");
        end_row(row);
    }
}

static void take_about(struct collect_row *row, const struct job *job)
{
    row->about = json_loadb(job->result->data, job->result->bytes, 0, NULL);
    if (!json_is_object(row->about)) {
        json_decref(row->about);
        row->about = NULL;
        collect_row_fail(row, process_code, "The kernel page said what is no JSON object.");
    }
}

static void take_processed(struct collect_row *row, const struct job *job)
{
    const char *name = job->kernel->about->name;
    char why[FETCH_DETAIL_BYTES];
    json_t *json;

    if (job->result->bytes > COLLECT_PROCESSED_BYTES_MAX) {
        (void)snprintf(why, sizeof(why), "Kernel %s made %zu bytes of it; at most %d are shown.",
                       name, job->result->bytes, COLLECT_PROCESSED_BYTES_MAX);
        collect_row_fail(row, process_code, why);
        return;
    }
    json = json_loadb(job->result->data, job->result->bytes, JSON_DECODE_ANY, NULL);
    row->processed = json == NULL ? NULL : json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(json);
    if (row->processed == NULL) {
        (void)snprintf(why, sizeof(why), "Kernel %s answered %s, which is no JSON; name another.",
                       name, job->media_type);
        collect_row_fail(row, process_code, why);
    }
}

/* The job of a row has ended, or was refused. */
static void end_job(struct fetch_letter *letter)
{
    struct collect_row *row = CONTAINER_OF(letter, struct collect_row, letter);
    struct collect *c = row->collect;
    struct job *job = take_ptr(row->job);
    bool ok = job->outcome == JOB_OK;

    c->jobs_out--;
    if (!ok)
        fail_by_job(row, job);
    else if (row->stage == COLLECT_READ)
        take_about(row, job);
    else
        take_processed(row, job);
    (void)job_free(job);
    if (row->stage == COLLECT_READ && row->about != NULL && !c->is_stopped)
        process_text(row);
    else
        end_row(row);
}

/* ---- the beginning ---- */

static char *copy(const char *text)
{
    return text == NULL ? NULL : strndup(text, FETCH_URL_BYTES_MAX);
}

/* What the kernel cannot be told, because it is not text or too long, it does without. */
static json_t *page_params(const struct collect_row *row)
{
    json_t *params = json_object();
    const struct fetch_page *page = &row->page;

    (void)json_object_set_new(params, "text_max",
                              json_integer((json_int_t)row->collect->batch.page_bytes_max));
    if (page->content_type != NULL && strlen(page->content_type) <= 256)
        (void)json_object_set_new(params, "content_type", json_string(page->content_type));
    if (page->final_url != NULL && strlen(page->final_url) <= FETCH_URL_BYTES_MAX)
        (void)json_object_set_new(params, "base", json_string(page->final_url));
    return params;
}

static void land(struct fetch_batch *b, size_t index, struct fetch_page *page)
{
    struct collect *c = b->owner;
    struct collect_row *row = &c->rows[index];
    json_t *params;
    bool ok;

    row->page = *page;
    row->page.final_url = row->final_url = copy(page->final_url);
    row->page.content_type = row->content_type = copy(page->content_type);
    buf_init(&row->page.body, 0); /* it is the page's, or the job's */
    if (page->error != FETCH_FINE)
        collect_row_fail(row, fetch_error_codes[page->error], page->detail);
    if (page->error != FETCH_FINE || page->bytes == 0) {
        end_row(row);
        return;
    }
    params = page_params(row);
    ok = make_job(row, c->page, params, buf_take(&page->body), page->bytes);
    json_decref(params);
    if (ok) {
        run_job(row, COLLECT_READ);
        return;
    }
    collect_row_fail(row, process_code, "There was no memory to read it.");
    end_row(row);
}

void collect_begin(struct collect *c, int socket)
{
    c->batch.landed = land;
    c->batch.stopped = stop;
    c->batch.owner = c;
    c->begun_ns = clock_now_ns();
    for (size_t i = 0; i < c->batch.count; i++) {
        c->rows[i].collect = c;
        c->rows[i].index = i;
    }
    fetch_start(c->api->fetch, &c->batch, socket);
}
