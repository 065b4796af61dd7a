#include "api/jobs.h"

#include <errno.h>

#include "api/rate.h"
#include "base/clock.h"
#include "base/parse.h"
#include "jobs/json.h"
#include "state/metrics.h"

/* ---- what is told ---- */

static uint64_t ended_count(void)
{
    uint64_t n = 0;

    for (int state = RECORD_SUCCEEDED; state < RECORD_STATE_COUNT; state++)
        n += metrics_value(METRIC_DURABLE_ENDED, state - RECORD_SUCCEEDED);
    return n;
}

static double ended_per_s(void)
{
    static struct lock lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_LIMITS};
    static struct rate rate;
    LOCKED(&lock);

    return rate_note(&rate, clock_now_ns(), ended_count());
}

void jobs_view(struct api *api, const struct record *record, bool with_position,
               struct jobs_view *ret)
{
    *ret = (struct jobs_view) {.record = record, .now_us = durable_now_us(api->durable)};
    if (record->state == RECORD_RUNNING)
        (void)sched_progress(api->sched, record->id.text, &ret->done, &ret->total);
    if (record->state == RECORD_QUEUED && with_position) {
        ret->has_position = store_position(api->store, record, &ret->position) == 0;
        ret->per_s = ended_per_s();
    }
}

void jobs_respond(struct request *r, unsigned status, const struct record *record)
{
    struct api *api = api_of(r);
    CLEANUP_FREE struct record_attempt *attempts = NULL;
    CLEANUP_FREE char *params = NULL;
    int count = store_attempts(api->store, record->seq, &attempts);
    struct jobs_view view;
    json_t *json;
    size_t bytes;
    char *text;

    (void)store_params(api->store, record->seq, &params);
    jobs_view(api, record, true, &view);
    json = jobs_json(&view);
    if (json != NULL)
        (void)json_object_set_new(json, "history", jobs_history_json(attempts, MAX(count, 0)));
    text = jobs_write(json, params, &bytes);
    if (text == NULL)
        jobs_refuse(r, -ENOMEM);
    else
        respond_bytes(r, status, "application/json", text, bytes);
}

/* ---- POST /jobs ---- */

void api_jobs_begin(struct request *r)
{
    struct compute *c = compute_new(r);
    char media_type[64];

    if (c == NULL || !jobs_ask_key(r, c))
        return;
    c->durable.is_wanted = true;
    request_media_type(r, media_type, sizeof(media_type));
    if (strcmp(media_type, "application/json") == 0)
        (void)compute_expect_json(r, c);
    else
        respond_problem(r, PROBLEM_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send JSON with the header Content-Type: application/json (curl --json).");
}

void api_jobs_post(struct request *r)
{
    struct compute *c = r->context;

    if (jobs_ask(r, c))
        jobs_submit(r, c);
}

/* ---- GET /jobs/{id} ---- */

bool jobs_find(struct request *r, struct record *ret)
{
    const char *id = r->parts[0];
    int rc = id_is_valid(id) ? store_find(api_of(r)->store, id, ret) : -ENOENT;

    if (rc < 0)
        jobs_refuse(r, rc);
    return rc == 0;
}

static void respond_found(struct request *r)
{
    struct record record;

    if (jobs_find(r, &record))
        jobs_respond(r, 200, &record);
}

/* On the "jobs" thread: the only event that is told is the last. */
static void wake(struct durable_watch *w, const struct durable_event *e)
{
    (void)e;
    request_unpark(w->owner);
}

static void free_context(struct request *r)
{
    free(r->context);
}

/* Parked first: the last event may come at once. */
static void wait_for(struct request *r, struct id id, uint64_t wait_ns)
{
    struct durable_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL) {
        jobs_refuse(r, -ENOMEM);
        return;
    }
    r->context = watch;
    r->release = free_context;
    *watch = (struct durable_watch) {
        .job = id, .deadline_ns = clock_now_ns() + wait_ns, .tell = wake, .owner = r};
    if (request_park(r, respond_found))
        durable_watch(api_of(r)->durable, watch);
    else
        jobs_refuse(r, -ECANCELED);
}

/* False after having answered. */
static bool read_wait(struct request *r, uint64_t *ret_ns)
{
    const char *text = request_query(r, "wait");
    int rc = 0;

    *ret_ns = 0;
    if (text != NULL)
        rc = parse_seconds_ns(text, ret_ns);
    if (rc == -EINVAL) {
        respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", "wait"),
                        "Parameter wait must be a number of seconds, such as 30; at most %d are "
                        "waited.",
                        JOBS_WAIT_MAX_S);
        return false;
    }
    if (rc < 0 || *ret_ns > JOBS_WAIT_MAX_S * CLOCK_NS_PER_S)
        *ret_ns = JOBS_WAIT_MAX_S * CLOCK_NS_PER_S;
    return true;
}

void api_jobs_get(struct request *r)
{
    struct record record;
    uint64_t wait_ns;

    if (!read_wait(r, &wait_ns) || !jobs_find(r, &record))
        return;
    if (wait_ns == 0 || record_has_ended(record.state))
        jobs_respond(r, 200, &record);
    else
        wait_for(r, record.id, wait_ns);
}

/* ---- DELETE /jobs/{id}, POST /jobs/{id}/retry ---- */

/* What is asked of a job; the request is parked until it is done. */
struct asked {
    struct durable_change change;
    bool forgets;
    int refused; /* 0, or why it was not even posted */
};

static int outcome_of(const struct asked *a)
{
    return a->refused < 0 ? a->refused : a->change.store.write.rc;
}

static void changed(struct durable_change *change)
{
    request_unpark(change->owner);
}

/* It had ended, so it is forgotten. */
static void cancelled(struct durable_change *change)
{
    struct asked *a = CONTAINER_OF(change, struct asked, change);
    struct request *r = change->owner;
    int rc;

    if (change->store.write.rc == -EALREADY) {
        a->forgets = true;
        change->done = changed;
        rc = durable_forget(api_of(r)->durable, change);
        if (rc == 0)
            return;
        a->refused = rc;
    }
    request_unpark(r);
}

static void respond_deleted(struct request *r)
{
    const struct asked *a = r->context;
    int rc = outcome_of(a);

    if (rc == 0 && a->forgets)
        respond_empty(r, 204);
    else if (rc == 0)
        jobs_respond(r, 200, &a->change.store.record);
    else if (rc == -EBUSY && a->forgets)
        respond_problem(r, PROBLEM_CONFLICT, NULL,
                        "The job was queued again meanwhile: send the DELETE again to cancel it.");
    else
        jobs_refuse(r, rc);
}

static void respond_retried(struct request *r)
{
    const struct asked *a = r->context;
    const struct record *record = &a->change.store.record;
    int rc = outcome_of(a);

    if (rc == 0) {
        jobs_respond(r, 202, record);
        respond_header_printf(r, "Location", "/jobs/%s", record->id.text);
    } else if (rc == -EALREADY) {
        respond_problem(r, PROBLEM_CONFLICT,
                        json_pack("{s:s, s:s}", "job", record->id.text, "state",
                                  record_state_names[record->state]),
                        "The job is %s; only a dead or failed one can be tried again.",
                        record_state_names[record->state]);
    } else {
        jobs_refuse(r, rc);
    }
}

static void ask_change(struct request *r, int (*post)(struct durable *d, struct durable_change *c),
                       void (*done)(struct durable_change *c), void (*respond)(struct request *r))
{
    struct asked *a;
    int rc;

    if (!id_is_valid(r->parts[0])) {
        jobs_refuse(r, -ENOENT);
        return;
    }
    a = calloc(1, sizeof(*a));
    if (a == NULL) {
        jobs_refuse(r, -ENOMEM);
        return;
    }
    r->context = a;
    r->release = free_context;
    a->change.done = done;
    a->change.owner = r;
    (void)snprintf(a->change.store.id.text, sizeof(a->change.store.id.text), "%s", r->parts[0]);
    if (!request_park(r, respond)) {
        jobs_refuse(r, -ECANCELED);
        return;
    }
    /* Once it is posted, other threads have it. */
    rc = post(api_of(r)->durable, &a->change);
    if (rc < 0) {
        a->refused = rc;
        request_unpark(r);
    }
}

void api_jobs_delete(struct request *r)
{
    ask_change(r, durable_cancel, cancelled, respond_deleted);
}

void api_jobs_retry(struct request *r)
{
    ask_change(r, durable_retry, changed, respond_retried);
}
