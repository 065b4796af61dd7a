#include <errno.h>

#include "api/event.h"
#include "api/jobs.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/parse.h"
#include "http/stream.h"
#include "jobs/json.h"

static const uint64_t us_per_s = 1000000; /* of the wall clock */

/* Somebody who listens to a job. All but its making happens on the "jobs" thread, and it lives until its last event. */
struct listener {
    struct durable_watch watch;
    struct api *api;
    struct stream *stream;
    int told_pid; /* the worker of the last part; -1: none was told */
};

static uint64_t alive_until_ns(void)
{
    return clock_now_ns() + JOBS_ALIVE_S * CLOCK_NS_PER_S;
}

static void post_text(struct listener *l, const char *event, uint64_t number, const char *text)
{
    (void)stream_post(l->stream, event, number, text, strlen(text));
}

/* The last event, and the end of the stream. */
static void end_with(struct listener *l, const char *event, uint64_t number, const char *text)
{
    stream_end(l->stream, event, number, text == NULL ? "{}" : text,
               text == NULL ? 2 : strlen(text));
    free(l);
}

/* Its position is not told: many may listen, and to count for each would hold up the jobs. malloc'd. */
static char *state_text(struct listener *l, const struct record *record)
{
    struct jobs_view view;
    json_t *json;
    char *text;

    jobs_view(l->api, record, false, &view);
    json = jobs_json(&view);
    text = json == NULL ? NULL : json_write(json, NULL);
    json_decref(json);
    return text;
}

static void post_state(struct listener *l, const struct durable_event *e)
{
    CLEANUP_FREE char *text = NULL;

    if (e->number <= l->watch.after)
        return;
    text = state_text(l, e->record);
    if (text != NULL)
        post_text(l, "state", e->number, text);
}

static void post_progress(struct listener *l, const struct durable_event *e)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "{\"done\":%llu,\"total\":%llu}",
                   (unsigned long long)e->done, (unsigned long long)e->total);
    post_text(l, "progress", e->number, text);
}

/* What goes before a part has no number: who comes back with it would be taken to know the part. */
static void post_part(struct listener *l, const struct durable_event *e)
{
    CLEANUP_FREE char *worker = e->pid == l->told_pid ? NULL : event_worker(e->pid);

    /* Told again before the next part, if there was no room for it. */
    if (worker != NULL && stream_post(l->stream, "worker", 0, worker, strlen(worker)))
        l->told_pid = e->pid;
    (void)stream_post(l->stream, "part", e->number, e->data, e->bytes);
}

static void post_retry(struct listener *l, const struct durable_event *e)
{
    CLEANUP_FREE char *text = event_retry(e->retry);

    if (text != NULL)
        post_text(l, "retry", e->number, text);
}

/* ---- the end ---- */

/* As text, the caller's; NULL when it cannot be read or is too large. */
static void result_text(struct listener *l, const struct record *record, struct buf *ret)
{
    struct store_result result = {.fd = -1};
    struct event_result event = {
        .job = record->id.text, .receipt = &record->receipt, .media_type = record->media_type};
    CLEANUP_FREE void *data = NULL;

    buf_init(ret, 0);
    if (record->result != RECORD_RESULT_KEPT ||
        record->result_bytes > JOBS_EVENT_RESULT_BYTES_MAX ||
        store_result(l->api->store, record->seq, &result) < 0)
        return;
    data = result.data;
    if (result.fd >= 0) {
        data = malloc(result.bytes + 1);
        if (data != NULL &&
            fd_read_from_start(result.fd, data, result.bytes) != (ssize_t)result.bytes) {
            free(data);
            data = NULL;
        }
        (void)close(result.fd);
    }
    event.data = data;
    event.bytes = result.bytes;
    if (data != NULL || result.bytes == 0)
        event_result(ret, &event);
}

/* What is too large for an event, or gone. */
static char *result_named(const struct record *record)
{
    char link[64];
    json_t *json;
    char *text;

    (void)snprintf(link, sizeof(link), "/jobs/%s/result", record->id.text);
    json = json_pack("{s:s, s:s, s:I, s:b, s:{s:s}}", "job", record->id.text, "media_type",
                     record->media_type, "bytes", (json_int_t)record->result_bytes, "expired",
                     record->result != RECORD_RESULT_KEPT, "links", "result", link);
    text = json == NULL ? NULL : json_write(json, NULL);
    json_decref(json);
    return text;
}

static void end_succeeded(struct listener *l, const struct durable_event *e)
{
    CLEANUP_FREE char *named = NULL;
    struct buf b;

    result_text(l, e->record, &b);
    if (b.size > 0 && buf_failed(&b) == 0) {
        stream_end(l->stream, "result", e->number, b.data, b.size);
        free(l);
    } else {
        named = result_named(e->record);
        end_with(l, "result", e->number, named);
    }
    buf_release(&b);
}

static void end_ended(struct listener *l, const struct durable_event *e)
{
    CLEANUP_FREE char *state = state_text(l, e->record);
    CLEANUP_FREE char *error = NULL;
    struct ending ending;

    /* With the number of its end it could be taken for known when only this one has come through. */
    if (state != NULL)
        post_text(l, "state", e->number - 1, state);
    if (e->record->state == RECORD_SUCCEEDED) {
        end_succeeded(l, e);
    } else if (e->record->state == RECORD_CANCELLED) {
        end_with(l, "cancelled", e->number, state);
    } else {
        ending = ending_of_record(e->record);
        error = event_error(&ending, &e->record->receipt);
        end_with(l, "error", e->number, error);
    }
}

static void end_with_problem(struct listener *l, const char *event, uint64_t number,
                             enum problem_name name, const char *detail)
{
    json_t *json = problem_object(name, NULL, detail);
    CLEANUP_FREE char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    end_with(l, event, number, text);
}

/* Nothing has been told for a while, or only so it seems: what comes between two watches is told by the second. */
static void watch_again(struct listener *l, uint64_t number)
{
    if (stream_is_gone(l->stream)) {
        stream_end(l->stream, NULL, 0, NULL, 0);
        free(l);
        return;
    }
    stream_touch(l->stream);
    l->watch = (struct durable_watch) {.job = l->watch.job,
                                       .deadline_ns = alive_until_ns(),
                                       .wants_all = true,
                                       .after = MAX(l->watch.after, number),
                                       .tell = l->watch.tell,
                                       .owner = l};
    durable_watch(l->api->durable, &l->watch);
}

/* Who has gone is let go at its next JOBS_ALIVE_S. */
static void tell(struct durable_watch *w, const struct durable_event *e)
{
    struct listener *l = w->owner;

    switch (e->kind) {
    case DURABLE_STATE:
        post_state(l, e);
        break;
    case DURABLE_PROGRESS:
        post_progress(l, e);
        break;
    case DURABLE_PART:
        post_part(l, e);
        break;
    case DURABLE_RETRY:
        post_retry(l, e);
        break;
    case DURABLE_END:
        end_ended(l, e);
        break;
    case DURABLE_TIMEOUT:
        watch_again(l, e->number);
        break;
    case DURABLE_DRAINING:
        end_with_problem(l, "draining", e->number, PROBLEM_DRAINING,
                         "The server is shutting down; the job is kept. Come back in a second.");
        break;
    case DURABLE_GONE:
        end_with_problem(l, "error", e->number, PROBLEM_NO_SUCH_JOB,
                         "There is no such job any more, or it cannot be read.");
        break;
    }
}

/* ---- the beginning ---- */

void jobs_respond_events(struct request *r, struct id id, uint64_t after)
{
    struct listener *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        jobs_refuse(r, -ENOMEM);
        return;
    }
    l->api = api_of(r);
    l->told_pid = -1;
    l->stream = stream_open(r);
    if (l->stream == NULL) {
        free(l);
        return;
    }
    stream_retry(l->stream, JOBS_RETRY_MS);
    respond_header(r, "Prong-Job", id.text);
    l->watch = (struct durable_watch) {.job = id,
                                       .deadline_ns = alive_until_ns(),
                                       .wants_all = true,
                                       .after = after,
                                       .tell = tell,
                                       .owner = l};
    durable_watch(l->api->durable, &l->watch);
}

/* Numbers of events are times; one of the future is none of ours, and would hide what comes until then. */
static uint64_t read_last_event(struct request *r)
{
    const char *text = request_header(r, HEADER_LAST_EVENT_ID);
    uint64_t latest = durable_now_us(api_of(r)->durable) + JOBS_ALIVE_S * us_per_s;
    uint64_t number;

    return text != NULL && parse_u64(text, &number) == 0 && number <= latest ? number : 0;
}

void api_jobs_events(struct request *r)
{
    struct record record;

    if (jobs_find(r, &record))
        jobs_respond_events(r, record.id, read_last_event(r));
}
