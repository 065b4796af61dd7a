#include "api/api.h"

enum { JSON_SMALL = 64 << 10, VALUE_MAX = KV_VALUE_BYTES_MAX };

/* How much compute takes is decided by the media type, in api_compute_begin. */
#define COMPUTE_MAX SIZE_MAX

enum { PROBE = ROUTE_WHEN_DRAINING | ROUTE_OPEN };

static const struct route routes[] = {
    {HTTP_GET, "/compute", NULL, api_catalog, 0, 0},
    {HTTP_GET, "/compute/{kernel}", api_compute_begin, api_compute, 0, 0},
    {HTTP_POST, "/compute/{kernel}", api_compute_begin, api_compute, COMPUTE_MAX, 0},

    {HTTP_GET, "/state", NULL, api_state_list, 0, 0},
    {HTTP_GET, "/state/{key}", NULL, api_state_get, 0, 0},
    {HTTP_PUT, "/state/{key}", NULL, api_state_put, VALUE_MAX, 0},
    {HTTP_POST, "/state/{key}/add", NULL, api_state_add, JSON_SMALL, 0},
    {HTTP_DELETE, "/state/{key}", NULL, api_state_delete, 0, 0},

    {HTTP_GET, "/livez", NULL, api_livez, 0, PROBE},
    {HTTP_GET, "/readyz", NULL, api_readyz, 0, PROBE},
    {HTTP_GET, "/status", NULL, api_status, 0, ROUTE_WHEN_DRAINING},
    {HTTP_GET, "/metrics", NULL, api_metrics, 0, ROUTE_WHEN_DRAINING},
    {HTTP_DELETE, "/workers/{pid}", NULL, api_worker_delete, 0, 0},
};

struct router api_router(void)
{
    return (struct router) {.routes = routes, .count = ARRAY_SIZE(routes)};
}
