#include <errno.h>

#include "base/log.h"
#include "durable/internal.h"
#include "durable/next.h"
#include "jobs/json.h"

enum {
    AGAIN_MS = 1000,    /* between two tries to write an end */
    NO_ROOM_TRIES = 30, /* then a result for which there is no room is given up */
    MEAN_SHARE = 8,     /* of the newest in a mean: one part in so many */
};

/* ---- to the store ---- */

static void end_written(struct store_write *w)
{
    struct live *l = w->owner;

    durable_post(l->durable, &l->kept, LETTER_END_KEPT);
}

static void post_end(struct live *l)
{
    struct durable *d = l->durable;
    int rc;

    l->end.write = (struct store_write) {
        .kind = STORE_END, .done = end_written, .owner = l, .now_us = durable_now_us(d)};
    /* Once it is posted it is the store's, which may be done with it before this returns. */
    rc = store_post(d->config.store, &l->end.write);
    if (rc < 0) {
        l->end.write.rc = rc;
        run_kept(l);
    }
}

/* `end.attempt.end` says how, `next` what becomes of it. */
static void write_end(struct live *l, struct next next)
{
    struct store_end *end = &l->end;

    end->id = l->id;
    end->lease = l->record.lease;
    end->state = next.state;
    end->counts = next.counts;
    end->run_at_us = next.run_at_us;
    end->attempt.started_us = l->record.started_us;
    end->attempt.finished_us = durable_now_us(l->durable);
    if (l->job != NULL)
        end->receipt = l->job->receipt;
    if (next.state == RECORD_SUCCEEDED) {
        end->result = l->job->result->data;
        end->result_bytes = l->job->result->bytes;
        (void)snprintf(end->media_type, sizeof(end->media_type), "%s", l->job->media_type);
    }
    l->tries = 0;
    post_end(l);
}

static void fail(struct live *l, const char *why)
{
    struct record_end *end = &l->end.attempt.end;

    end->outcome = JOB_FAILED;
    (void)snprintf(end->text, sizeof(end->text), "%s", why);
    write_end(l, (struct next) {.state = RECORD_FAILED, .counts = true});
}

static void stop_running(struct live *l)
{
    live_stop_running(l);
    watch_tell_stored(l->durable, l->id.text);
}

static void sweep_if_full(struct durable *d)
{
    struct store_counts counts;

    store_count(d->config.store, &counts);
    if (counts.results_bytes > d->config.results_bytes_max)
        d->sweep_at_ns = 0;
}

static void write_later(struct live *l)
{
    struct store_end *end = &l->end;

    if (end->write.rc == -ENOSPC && l->tries >= NO_ROOM_TRIES && end->state == RECORD_SUCCEEDED) {
        end->result = NULL;
        end->result_bytes = 0;
        fail(
            l,
            "There was no room to keep its result: make some on the disk of --data, and retry it.");
        return;
    }
    if (l->tries++ == 0)
        log_warning("the end of job %s cannot be written yet; it is tried again", l->id.text);
    if (heap_set(&l->durable->again, &l->again, clock_now_ns() + AGAIN_MS * CLOCK_NS_PER_MS) < 0)
        stop_running(l); /* it runs again after the next start */
}

/* The store has kept its end, or not. */
void run_kept(struct live *l)
{
    struct durable *d = l->durable;

    switch (l->end.write.rc) {
    case 0:
        if (l->end.state == RECORD_QUEUED) {
            d->may_have_more = d->may_have_more || l->end.run_at_us == 0;
            durable_due(d, l->end.run_at_us);
            durable_due(d, l->record.deadline_us);
        } else {
            durable_count_end(l->end.state);
            sweep_if_full(d);
        }
        /* fall through */
    case -ESTALE: /* cancelled meanwhile */
    case -ENOENT: /* and forgotten */
        stop_running(l);
        return;
    default:
        if (l->end.write.rc == -ESHUTDOWN || atomic_load(&d->stopping) >= STOP_SETTLE)
            stop_running(l);
        else
            write_later(l);
    }
}

void run_write_again(struct durable *d, uint64_t now_ns)
{
    struct heap_node *node;

    while ((node = heap_top(&d->again)) != NULL && node->key <= now_ns) {
        heap_remove(&d->again, node);
        post_end(CONTAINER_OF(node, struct live, again));
    }
}

/* ---- from the scheduler ---- */

static void settle(struct live *l)
{
    struct durable *d = l->durable;
    const struct job *job = l->job;
    struct record_end *end = &l->end.attempt.end;
    struct next_rules rules = {.now_us = durable_now_us(d),
                               .backoff_us = d->config.backoff_ns / CLOCK_NS_PER_US,
                               .backoff_max_us = (uint64_t)DURABLE_BACKOFF_MAX_S * 1000000,
                               .random = id_random()};

    end->outcome = job->outcome;
    end->wait_status = job->wait_status;
    end->was_oom = job->was_oom;
    (void)snprintf(end->text, sizeof(end->text), "%s",
                   job->outcome == JOB_CANCELLED ? "The server ended while it ran." : job->text);
    write_end(l, next_of(&l->record, job, &rules));
}

void run_ended(struct live *l)
{
    struct durable *d = l->durable;

    double run_ns = (double)l->job->receipt.run_ns;

    if (l->job->outcome == JOB_OK)
        d->run_ns = d->run_ns <= 0 ? run_ns : d->run_ns + (run_ns - d->run_ns) / MEAN_SHARE;
    settle(l);
}

/* On any thread, mostly the collector's. */
static void job_done(struct job *job)
{
    struct live *l = job->owner;

    durable_post(l->durable, &l->ended, LETTER_JOB_ENDED);
}

static void job_progress(struct job *job, uint64_t done, uint64_t total)
{
    struct live *l = job->owner;

    atomic_store(&l->done, done);
    atomic_store(&l->total, total);
    if (!atomic_exchange(&l->has_progress, true))
        durable_post(l->durable, &l->progress, LETTER_PROGRESS);
}

static void post_part(struct live *l, int pid, bool is_retry, const void *data, size_t bytes)
{
    struct part *part = malloc(sizeof(*part) + bytes);

    if (part == NULL)
        return;
    part->live = l;
    part->pid = pid;
    part->is_retry = is_retry;
    part->bytes = bytes;
    memcpy(part->data, data, bytes);
    durable_post(l->durable, &part->letter, LETTER_PART);
}

static void job_part(struct job *job, int pid, const void *data, size_t bytes)
{
    post_part(job->owner, pid, false, data, bytes);
}

static void job_retried(struct job *job, const struct job_retry *retry)
{
    post_part(job->owner, retry->pid, true, retry, sizeof(*retry));
}

/* ---- to the scheduler ---- */

/* The parameters were good when the job was accepted; the kernel may be another since then. */
static int take_params(struct job *job, const struct payload *payload,
                       struct params_problem *problem)
{
    const struct description *about = job->kernel->about;
    bool is_raw = payload->input_kind == PRONG_INPUT_RAW;
    struct params_given given;
    struct params params;
    struct json_problem why;
    json_t *json = json_read(payload->params, strlen(payload->params), &why);
    int rc = json == NULL ? -ENOMEM : 0;

    params_given_init(&given, about);
    params_init(&params);
    if (rc == 0)
        rc = params_give_object(&given, about, json, problem);
    if (rc == 0)
        rc = params_encode(&params, about, &given, is_raw, problem);
    if (rc == 0)
        job_take_params(job, &params);
    params_release(&params);
    params_given_release(&given);
    json_decref(json);
    return rc == 0 && job->params == NULL ? -ENOMEM : rc;
}

static void take_input(struct job *job, struct payload *payload)
{
    if (payload->input_kind != PRONG_INPUT_RAW)
        return;
    job->input_kind = PRONG_INPUT_RAW;
    job->input_bytes = payload->input_bytes;
    job->input = job->input_owned = take_ptr(payload->input);
}

static uint64_t deadline_ns(const struct durable *d, const struct record *record, uint64_t now_ns)
{
    uint64_t now_us = durable_now_us(d);
    uint64_t left_us = record->timeout_us;

    if (record->deadline_us > 0)
        left_us = MIN(left_us, record->deadline_us > now_us ? record->deadline_us - now_us : 0);
    return now_ns + left_us * CLOCK_NS_PER_US;
}

static void fill(struct live *l, struct payload *payload)
{
    struct durable *d = l->durable;
    struct job *job = l->job;

    take_input(job, payload);
    job->priority = l->record.priority;
    job->client = hash_bytes(d->hash_key, l->record.client, strlen(l->record.client));
    job->accepted_ns = clock_now_ns();
    job->deadline_ns = deadline_ns(d, &l->record, job->accepted_ns);
    job->chunks_wanted = l->record.chunks_wanted;
    job->counts_deaths = true;
    job->owner = l;
    job->done = job_done;
    job->part = job_part;
    job->progress = job_progress;
    job->retried = job_retried;
}

static void submit(struct live *l, struct payload *payload)
{
    struct durable *d = l->durable;
    const struct kernel *kernel = catalog_find(sched_catalog(d->config.sched), l->record.kernel);
    struct params_problem problem = {.text = "There was no memory to begin it."};

    if (kernel == NULL) {
        fail(l, "There is no kernel of this name any more: bring it back, and retry the job.");
        return;
    }
    l->job = job_new(kernel, l->id);
    (void)kernel_drop(kernel); /* the job holds it */
    if (l->job == NULL || take_params(l->job, payload, &problem) < 0) {
        fail(l, problem.text);
        return;
    }
    fill(l, payload);
    if (sched_submit(d->config.sched, l->job) < 0) {
        l->job->outcome = JOB_REFUSED;
        settle(l);
    }
}

void run_start(struct durable *d, const struct record *record)
{
    struct live *l = live_get(d, record->id);
    struct payload payload = {.params = NULL};

    if (l == NULL) {
        log_error("there was no memory to begin job %s: it runs after the next start",
                  record->id.text);
        return;
    }
    CHECK(!l->runs);
    l->runs = true;
    d->running++;
    l->record = *record;
    l->end = (struct store_end) {.lease = record->lease};
    watch_tell_state(l, record);
    if (store_payload(d->config.store, record->seq, &payload) < 0)
        fail(l, "Its parameters cannot be read any more.");
    else
        submit(l, &payload);
    payload_release(&payload);
}
