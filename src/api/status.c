#include "api/status.h"

#include <math.h>

#include "api/cached.h"
#include "api/machine.h"
#include "base/clock.h"
#include "ipc/layers.h"
#include "jobs/json.h"
#include "state/metrics.h"

/* null: unknown. */
static json_t *number(double value)
{
    return isnan(value) ? json_null() : json_real(round(value * 1000) / 1000);
}

static void add_cpu(json_t *json, struct live *live, int pid)
{
    struct live_cpu cpu;

    live_cpu(live, pid, &cpu);
    (void)json_object_set_new(json, "cpu", number(cpu.cores));
    (void)json_object_set_new(json, "cpu_s", number(cpu.total_s));
}

static json_t *worker_json(struct live *live, const struct sched_worker *w, uint64_t now_ns)
{
    const struct pool_worker *p = &w->worker;
    json_t *json = json_pack(
        "{s:i, s:I, s:s, s:s, s:I, s:I, s:f}", "pid", p->pid, "generation",
        (json_int_t)p->generation, "kind", p->kind == POOL_ORDINARY ? "ordinary" : "express",
        "state", w->is_busy ? "busy" : "idle", "tasks", (json_int_t)p->tasks, "rss_bytes",
        (json_int_t)p->rss_bytes, "age", (double)(now_ns - p->started_ns) / (double)CLOCK_NS_PER_S);

    add_cpu(json, live, p->pid);
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
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}", "serial",
                     (json_int_t)store_serial(store), "queued", queued, "running",
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

static json_t *workers_json(struct live *live, const struct sched_status *st, uint64_t now_ns)
{
    json_t *workers = json_array();

    for (size_t i = 0; i < st->worker_count; i++)
        (void)json_array_append_new(workers, worker_json(live, &st->workers[i], now_ns));
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

static const char *state_name(const struct sched_status *st)
{
    return st->is_draining ? "draining" : st->is_ready ? "ready" : "starting";
}

static json_t *status_of(const struct api *api, const struct sched_status *st)
{
    uint64_t now_ns = clock_now_ns();
    json_t *json = json_pack("{s:s, s:f, s:s, s:i, s:i, s:I}", "version", PRONG_VERSION, "uptime",
                             (double)(now_ns - api->started_ns) / (double)CLOCK_NS_PER_S, "state",
                             state_name(st), "pid", getpid(), "zygote_pid", st->zygote_pid,
                             "generation", (json_int_t)st->generation);

    (void)json_object_set_new(json, "reload", reload_json(st));
    (void)json_object_set_new(json, "workers", workers_json(api->live, st, now_ns));
    (void)json_object_set_new(json, "queue", queue_json(st));
    (void)json_object_set_new(json, "compute", compute_json(st));
    (void)json_object_set_new(json, "jobs", jobs_status_json(api->store));
    (void)json_object_set_new(json, "cache", cached_json(api->cache));
    (void)json_object_set_new(json, "sandbox", sandbox_json(&api->config, &st->sandbox));
    (void)json_object_set_new(json, "latency", latencies_json());
    (void)json_object_set_new(json, "machine", machine_json_of(&api->machine));
    return json;
}

json_t *status_json(struct api *api)
{
    CLEANUP_FREE struct sched_status *st = calloc(1, sizeof(*st));

    if (st == NULL)
        return NULL;
    sched_status(api->sched, st);
    return status_of(api, st);
}

char *status_text(void *api)
{
    json_t *json = status_json(api);
    char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    return text;
}

void api_status(struct request *r)
{
    json_t *json = status_json(api_of(r));

    if (json == NULL)
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
    else
        respond_json(r, 200, json);
}
