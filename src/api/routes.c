#include "api/api.h"

enum { JSON_SMALL = 64 << 10, VALUE_MAX = KV_VALUE_BYTES_MAX };

/* How much compute takes is decided by the media type, in api_compute_begin. */
#define COMPUTE_MAX SIZE_MAX

static const struct route routes[] = {
    {HTTP_GET, "/compute", NULL, api_catalog, 0, false},
    {HTTP_GET, "/compute/{kernel}", api_compute_begin, api_compute, 0, false},
    {HTTP_POST, "/compute/{kernel}", api_compute_begin, api_compute, COMPUTE_MAX, false},

    {HTTP_GET, "/state", NULL, api_state_list, 0, false},
    {HTTP_GET, "/state/{key}", NULL, api_state_get, 0, false},
    {HTTP_PUT, "/state/{key}", NULL, api_state_put, VALUE_MAX, false},
    {HTTP_POST, "/state/{key}/add", NULL, api_state_add, JSON_SMALL, false},
    {HTTP_DELETE, "/state/{key}", NULL, api_state_delete, 0, false},

    {HTTP_GET, "/livez", NULL, api_livez, 0, true},
    {HTTP_GET, "/readyz", NULL, api_readyz, 0, true},
    {HTTP_GET, "/status", NULL, api_status, 0, true},
    {HTTP_GET, "/metrics", NULL, api_metrics, 0, true},
    {HTTP_DELETE, "/workers/{pid}", NULL, api_worker_delete, 0, false},
};

struct router api_router(void)
{
    return (struct router) {.routes = routes, .count = ARRAY_SIZE(routes)};
}
