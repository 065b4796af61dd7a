#include <errno.h>

#include "api/cached.h"
#include "base/clock.h"
#include "base/parse.h"
#include "ipc/layers.h"
#include "state/metrics.h"

void api_livez(struct request *r)
{
    respond_text(r, 200, request_query(r, "verbose") != NULL ? "[+] http ok\nok\n" : "ok\n");
}

void api_readyz(struct request *r)
{
    struct api *api = api_of(r);
    const char *why = sched_unready(api->sched);
    char text[400];

    if (why == NULL)
        why = store_broken(api->store);
    if (why == NULL) {
        respond_text(r, 200,
                     request_query(r, "verbose") != NULL
                         ? "[+] http ok\n[+] workers ok\n[+] queue ok\n[+] store ok\nok\n"
                         : "ok\n");
        return;
    }
    (void)snprintf(text, sizeof(text), "%s\n", why);
    respond_text(r, 503, text);
    respond_header(r, "Retry-After", "1");
}

static json_t *worker_json(const struct sched_worker *w, uint64_t now_ns)
{
    const struct pool_worker *p = &w->worker;
    json_t *json = json_pack(
        "{s:i, s:I, s:s, s:s, s:I, s:I, s:f}", "pid", p->pid, "generation",
        (json_int_t)p->generation, "kind", p->kind == POOL_ORDINARY ? "ordinary" : "express",
        "state", w->is_busy ? "busy" : "idle", "tasks", (json_int_t)p->tasks, "rss_bytes",
        (json_int_t)p->rss_bytes, "age", (double)(now_ns - p->started_ns) / (double)CLOCK_NS_PER_S);

    if (w->is_busy && *w->kernel != '\0') {
        (void)json_object_set_new(json, "kernel", json_string(w->kernel));
        (void)json_object_set_new(json, "job", json_string(w->job));
        (void)json_object_set_new(json, "busy_ms",
                                  json_integer((json_int_t)(w->busy_ns / CLOCK_NS_PER_MS)));
        (void)json_object_set_new(
            json, "progress",
            json_pack("{s:I, s:I}", "done", (json_int_t)p->done, "total", (json_int_t)p->total));
    }
    return json;
}

static json_t *latency_json(enum metric m)
{
    return json_pack("{s:f, s:f}", "p50_ms",
                     (double)metrics_quantile_ns(m, 0.5) / (double)CLOCK_NS_PER_MS, "p99_ms",
                     (double)metrics_quantile_ns(m, 0.99) / (double)CLOCK_NS_PER_MS);
}

static json_t *queue_json(const struct sched_status *st)
{
    json_t *json = json_object();

    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        (void)json_object_set_new(json, queue_class_names[c],
                                  json_integer((json_int_t)st->queued[c]));
    (void)json_object_set_new(json, "capacity", json_integer((json_int_t)st->queue_max));
    return json;
}

/* null while there is none. */
static json_t *reload_json(const struct sched_status *st)
{
    if (st->reload == SCHED_RELOAD_NONE)
        return json_null();
    return json_pack("{s:s, s:f}", "state", sched_reload_names[st->reload], "age",
                     (double)st->reload_ns / (double)CLOCK_NS_PER_S);
}

static json_t *jobs_status_json(struct store *store)
{
    struct store_counts counts;
    json_t *queued = json_object();
    const char *broken = store_broken(store);

    store_count(store, &counts);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        (void)json_object_set_new(queued, queue_class_names[c],
                                  json_integer((json_int_t)counts.queued[c]));
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}", "queued", queued, "running",
                     (json_int_t)counts.running, "ended", (json_int_t)counts.ended, "queued_bytes",
                     (json_int_t)counts.queued_bytes, "results_bytes",
                     (json_int_t)counts.results_bytes, "inputs_bytes",
                     (json_int_t)counts.inputs_bytes, "store", store_name(store), "broken", broken);
}

/* As it was asked for, and which layers of it children enter. Nothing but the mode before the zygote has said. */
static json_t *sandbox_json(const struct api_config *config, const struct proto_sandbox *sandbox)
{
    json_t *layers = json_object();

    for (unsigned i = 0; i < LAYERS_COUNT; i++)
        (void)json_object_set_new(layers, layers_name(i), json_boolean(sandbox->active & 1u << i));
    return json_pack("{s:s, s:s, s:I, s:o, s:i}", "mode", config->sandbox, "user",
                     config->sandbox_user, "uid", (json_int_t)sandbox->uid, "layers", layers,
                     "landlock_abi", (int)sandbox->landlock_abi);
}

static json_t *workers_json(const struct sched_status *st, uint64_t now_ns)
{
    json_t *workers = json_array();

    for (size_t i = 0; i < st->worker_count; i++)
        (void)json_array_append_new(workers, worker_json(&st->workers[i], now_ns));
    return workers;
}

static json_t *compute_json(const struct sched_status *st)
{
    return json_pack("{s:i, s:i, s:f}", "running", (int)st->running, "tasks", (int)st->inflight,
                     "backlog_s", (double)st->backlog_ns / (double)CLOCK_NS_PER_S);
}

static json_t *latencies_json(void)
{
    return json_pack("{s:o, s:o, s:o}", "http", latency_json(METRIC_HTTP_DURATION), "queue",
                     latency_json(METRIC_JOB_QUEUE), "run", latency_json(METRIC_JOB_RUN));
}

void api_status(struct request *r)
{
    struct api *api = api_of(r);
    struct sched_status *st = calloc(1, sizeof(*st));
    uint64_t now_ns = clock_now_ns();
    json_t *json;

    if (st == NULL) {
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
        return;
    }
    sched_status(api->sched, st);
    json = json_pack("{s:s, s:f, s:s, s:i, s:i}", "version", PRONG_VERSION, "uptime",
                     (double)(now_ns - api->started_ns) / (double)CLOCK_NS_PER_S, "state",
                     st->is_draining ? "draining"
                     : st->is_ready  ? "ready"
                                     : "starting",
                     "pid", getpid(), "zygote_pid", st->zygote_pid);
    (void)json_object_set_new(json, "generation", json_integer((json_int_t)st->generation));
    (void)json_object_set_new(json, "reload", reload_json(st));
    (void)json_object_set_new(json, "workers", workers_json(st, now_ns));
    (void)json_object_set_new(json, "queue", queue_json(st));
    (void)json_object_set_new(json, "compute", compute_json(st));
    (void)json_object_set_new(json, "jobs", jobs_status_json(api->store));
    (void)json_object_set_new(json, "cache", cached_json(api->cache));
    (void)json_object_set_new(json, "sandbox", sandbox_json(&api->config, &st->sandbox));
    (void)json_object_set_new(json, "latency", latencies_json());
    respond_json(r, 200, json);
    free(st);
}

static void set_store_gauges(struct store *store)
{
    struct store_counts counts;
    struct store_status status;

    store_status(store, &status);
    metrics_set(METRIC_STORE_PENDING, 0, (int64_t)status.pending);
    store_count(store, &counts);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        metrics_set(METRIC_DURABLE_QUEUED, c, (int64_t)counts.queued[c]);
    metrics_set(METRIC_DURABLE_RUNNING, 0, (int64_t)counts.running);
    metrics_set(METRIC_DURABLE_REMEMBERED, 0, (int64_t)counts.ended);
    metrics_set(METRIC_DURABLE_QUEUED_BYTES, 0, (int64_t)counts.queued_bytes);
    metrics_set(METRIC_DURABLE_RESULT_BYTES, 0, (int64_t)counts.results_bytes);
    metrics_set(METRIC_DURABLE_INPUT_BYTES, 0, (int64_t)counts.inputs_bytes);
    metrics_set(METRIC_STORE_BROKEN, 0, store_broken(store) != NULL);
}

void api_metrics(struct request *r)
{
    struct sched_status *st = calloc(1, sizeof(*st));
    struct buf b;
    size_t bytes;

    if (st != NULL)
        sched_status(api_of(r)->sched, st); /* which sets the gauges */
    free(st);
    set_store_gauges(api_of(r)->store);
    cached_set_gauges(api_of(r)->cache);
    buf_init(&b, 16 << 20);
    metrics_render(&b);
    if (buf_failed(&b) < 0) {
        buf_release(&b);
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
        return;
    }
    bytes = b.size;
    respond_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&b), bytes);
}

void api_worker_delete(struct request *r)
{
    int64_t pid;

    if (parse_i64(r->parts[0], &pid) < 0 || pid <= 0 || pid > INT32_MAX ||
        sched_kill_worker(api_of(r)->sched, (int)pid) < 0) {
        respond_problem(r, PROBLEM_NOT_FOUND, NULL,
                        "No worker has this pid. GET /status lists them.");
        return;
    }
    respond_empty(r, 204);
}
