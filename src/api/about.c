#include <errno.h>

#include "api/cached.h"
#include "base/parse.h"
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
