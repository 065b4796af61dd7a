#include <errno.h>

#include "api/jobs.h"
#include "base/clock.h"
#include "base/hash.h"
#include "state/metrics.h"

/* A job that is being kept, and perhaps waited for. The request is parked meanwhile. */
struct submission {
    struct durable_submit submit;
    struct durable_watch watch;
    uint64_t wait_until_ns; /* 0: not at all */
    int refused;            /* 0, or why it was not even posted */
};

/* ---- what is kept ---- */

/* The same in every run of the server, since fingerprints are kept. Whoever knows it can only deceive himself. */
static const struct hash_key fingerprint_key = {0x70726f6e67206b65, 0x7973206f66206f6e};

/* Of what was asked, not of what came of it, which may differ after a restart with other options. */
static uint64_t fingerprint(const struct compute *c)
{
    const struct job *job = c->job;
    const struct compute_durable *d = &c->durable;
    const char *kernel = c->kernel->about->name;
    bool is_raw = job->input_kind == PRONG_INPUT_RAW;
    uint64_t all[] = {
        hash_bytes(fingerprint_key, kernel, strlen(kernel)),
        hash_bytes(fingerprint_key, d->params, strlen(d->params)),
        is_raw ? hash_bytes(fingerprint_key, job->input, job->input_bytes) : 0,
        is_raw,
        job->priority,
        job->chunks_wanted,
        d->timeout_ns,
        d->deadline_ns,
        d->attempts,
    };

    return hash_bytes(fingerprint_key, all, sizeof(all));
}

/* Only the key makes it durable: the answer is wanted as if it were not. */
static bool is_for_now(const struct compute_durable *d, bool is_compute)
{
    return is_compute && !d->prefer.wait && !d->prefer.respond_async;
}

static uint64_t timeout_us(const struct api_config *config, const struct compute_durable *d,
                           bool is_compute)
{
    uint64_t longest_ns = config->job_timeout_ns;

    if (is_for_now(d, is_compute))
        longest_ns = MIN(longest_ns, config->timeout_ns);
    return (d->timeout_ns == 0 ? longest_ns : MIN(d->timeout_ns, longest_ns)) / CLOCK_NS_PER_US;
}

static unsigned attempts_max(const struct api_config *config, const struct compute *c)
{
    bool is_repeatable = (c->kernel->about->flags & (PRONG_IDEMPOTENT | PRONG_PURE)) != 0;

    if (c->durable.attempts > 0)
        return c->durable.attempts;
    return is_repeatable ? config->job_attempts : 1;
}

static void fill_record(struct record *record, const struct request *r, const struct compute *c,
                        bool is_compute)
{
    const struct api *api = api_of(r);
    uint64_t now_us = durable_now_us(api->durable);
    uint64_t deadline_ns = c->durable.deadline_ns;

    record->id = c->job->id;
    (void)snprintf(record->kernel, sizeof(record->kernel), "%s", c->kernel->about->name);
    (void)snprintf(record->client, sizeof(record->client), "%s", r->address);
    record->priority = c->job->priority;
    record->chunks_wanted = c->job->chunks_wanted;
    record->timeout_us = timeout_us(&api->config, &c->durable, is_compute);
    record->deadline_us = deadline_ns == 0 ? 0 : now_us + deadline_ns / CLOCK_NS_PER_US;
    record->attempts_max = attempts_max(&api->config, c);
    record->created_us = now_us;
}

static void fill(struct submission *s, struct request *r, const struct compute *c, bool is_compute)
{
    struct store_submit *store = &s->submit.store;
    const struct compute_durable *d = &c->durable;

    fill_record(&store->record, r, c, is_compute);
    store->params = d->params;
    store->input_kind = PRONG_INPUT_NONE; /* numbers are in the parameters */
    if (c->job->input_kind == PRONG_INPUT_RAW) {
        store->input_kind = PRONG_INPUT_RAW;
        store->input = c->job->input;
        store->input_bytes = c->job->input_bytes;
    }
    store->key = d->key;
    store->fingerprint = d->key == NULL ? 0 : fingerprint(c);
    if (d->prefer.wait)
        s->wait_until_ns = c->job->accepted_ns + d->prefer.wait_ns;
    else if (is_for_now(d, is_compute))
        s->wait_until_ns = c->job->deadline_ns + JOBS_GRACE_MS * CLOCK_NS_PER_MS;
}

/* ---- what is answered ---- */

static bool read_again(struct request *r, struct submission *s)
{
    struct record *record = &s->submit.store.record;
    struct id id = record->id;
    int rc = store_find(api_of(r)->store, id.text, record);

    if (rc < 0)
        jobs_refuse(r, rc);
    return rc == 0;
}

static void respond_job(struct request *r, const struct compute *c, bool is_compute)
{
    struct submission *s = c->durable.submission;
    struct store_submit *store = &s->submit.store;
    bool is_known = store->write.rc == 1 && !is_compute;
    struct jobs_view view = {.record = &store->record, .now_us = store->record.created_us};
    char applied[PREFER_APPLIED_BYTES];
    size_t bytes = 0;
    char *text;

    if (is_known)
        jobs_view(api_of(r), &store->record, true, &view);
    text = jobs_write(jobs_json(&view), c->durable.params, &bytes);
    if (text == NULL) {
        jobs_refuse(r, -ENOMEM);
        return;
    }
    respond_bytes(r, is_known ? 200 : 202, "application/json", text, bytes);
    respond_header_printf(r, "Location", "/jobs/%s", store->record.id.text);
    respond_header(r, "Prong-Job", store->record.id.text);
    prefer_write(&c->durable.prefer, true, applied);
    if (is_compute && *applied != '\0')
        respond_header(r, "Preference-Applied", applied);
}

static void respond_ended(struct request *r, const struct compute *c)
{
    char applied[PREFER_APPLIED_BYTES];

    jobs_respond_result(r, &c->durable.submission->submit.store.record);
    prefer_write(&c->durable.prefer, false, applied);
    if (*applied != '\0')
        respond_header(r, "Preference-Applied", applied);
}

/* On the request's thread again. */
static void go_on(struct request *r)
{
    struct compute *c = r->context;
    struct submission *s = c->durable.submission;
    const struct store_submit *store = &s->submit.store;
    bool is_compute = r->route->handle == api_compute;
    bool waited = s->wait_until_ns != 0;

    if (s->refused < 0)
        jobs_refuse(r, s->refused == -EBUSY ? -EAGAIN : s->refused);
    else if (store->write.rc < 0)
        jobs_refuse(r, store->write.rc);
    else if (waited && c->wants_events)
        jobs_respond_events(r, store->record.id, 0);
    else if (waited && !read_again(r, s))
        return;
    else if (waited && record_has_ended(store->record.state))
        respond_ended(r, c);
    else
        respond_job(r, c, is_compute);
}

/* ---- what happens in between ---- */

/* On the "jobs" thread: the only event that is told is the last. */
static void told(struct durable_watch *w, const struct durable_event *e)
{
    (void)e;
    request_unpark(w->owner);
}

/* On the store's thread. */
static void kept(struct durable_submit *submit)
{
    struct request *r = submit->owner;
    const struct compute *c = r->context;
    struct submission *s = c->durable.submission;

    if (submit->store.write.rc == 0)
        metrics_add(METRIC_DURABLE_SUBMITTED, 0, 1);
    if (submit->store.write.rc < 0 || s->wait_until_ns == 0 || c->wants_events) {
        request_unpark(r);
        return;
    }
    s->watch = (struct durable_watch) {
        .job = submit->store.record.id, .deadline_ns = s->wait_until_ns, .tell = told, .owner = r};
    durable_watch(submit->durable, &s->watch);
}

void jobs_submit(struct request *r, struct compute *c)
{
    struct submission *s = c->durable.submission = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL) {
        jobs_refuse(r, -ENOMEM);
        return;
    }
    fill(s, r, c, r->route->handle == api_compute);
    /* It will run as what its name means then; so nobody need keep this edition until it is answered. */
    c->kernel = kernel_drop(c->kernel);
    c->job->kernel = kernel_drop(c->job->kernel);
    s->submit.done = kept;
    s->submit.owner = r;
    if (!request_park(r, go_on)) {
        jobs_refuse(r, -ECANCELED);
        return;
    }
    /* Once it is posted, other threads have it. */
    rc = durable_submit(api_of(r)->durable, &s->submit);
    if (rc < 0) {
        s->refused = rc;
        request_unpark(r);
    }
}
