#include "api/api.h"

enum { JSON_SMALL = 64 << 10, JSON_URLS = 1 << 20, VALUE_MAX = KV_VALUE_BYTES_MAX };

/* How much these take is decided by the media type, in api_compute_begin and api_jobs_begin. */
#define COMPUTE_MAX SIZE_MAX

enum { PROBE = ROUTE_WHEN_DRAINING | ROUTE_OPEN };

/* Each has a row in docs/operations.def, too: docs/docs.h. */
static const struct route routes[] = {
    {HTTP_GET, "/compute", NULL, api_catalog, 0, 0},
    {HTTP_GET, "/compute/{kernel}", api_compute_begin, api_compute, 0, 0},
    {HTTP_POST, "/compute/{kernel}", api_compute_begin, api_compute, COMPUTE_MAX, 0},

    {HTTP_POST, "/kernels/reload", NULL, api_kernels_reload, 0, 0},

    {HTTP_POST, "/jobs", api_jobs_begin, api_jobs_post, COMPUTE_MAX, 0},
    {HTTP_GET, "/jobs", NULL, api_jobs_list, 0, 0},
    {HTTP_GET, "/jobs/{id}", NULL, api_jobs_get, 0, 0},
    {HTTP_GET, "/jobs/{id}/result", NULL, api_jobs_result, 0, 0},
    {HTTP_GET, "/jobs/{id}/events", NULL, api_jobs_events, 0, 0},
    {HTTP_DELETE, "/jobs/{id}", NULL, api_jobs_delete, 0, 0},
    {HTTP_POST, "/jobs/{id}/retry", NULL, api_jobs_retry, 0, 0},

    {HTTP_GET, "/state", NULL, api_state_list, 0, 0},
    {HTTP_GET, "/state/{key}", NULL, api_state_get, 0, 0},
    {HTTP_PUT, "/state/{key}", NULL, api_state_put, VALUE_MAX, 0},
    {HTTP_POST, "/state/{key}/add", NULL, api_state_add, JSON_SMALL, 0},
    {HTTP_DELETE, "/state/{key}", NULL, api_state_delete, 0, 0},

    {HTTP_POST, "/lab", NULL, api_lab, JSON_SMALL, ROUTE_BESIDE_PAGE},
    {HTTP_POST, "/fetch", api_fetch_begin, api_fetch, JSON_URLS, 0},

    {HTTP_GET, "/livez", NULL, api_livez, 0, PROBE},
    {HTTP_GET, "/readyz", NULL, api_readyz, 0, PROBE},
    {HTTP_GET, "/status", NULL, api_status, 0, ROUTE_WHEN_DRAINING},
    {HTTP_GET, "/events", NULL, api_events, 0, 0},
    {HTTP_GET, "/history", NULL, api_history, 0, 0},
    {HTTP_GET, "/metrics", NULL, api_metrics, 0, ROUTE_WHEN_DRAINING},
    {HTTP_GET, "/openapi.json", NULL, api_openapi, 0, 0},
    {HTTP_DELETE, "/workers/{pid}", NULL, api_worker_delete, 0, 0},
};

struct router api_router(void)
{
    return (struct router) {.routes = routes, .count = ARRAY_SIZE(routes)};
}
