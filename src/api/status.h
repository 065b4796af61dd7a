/*
 * F5. What GET /status says, for those who ask and those who listen.
 */
#ifndef API_STATUS_H
#define API_STATUS_H

#include "api/api.h"

/* NULL when out of memory. Any thread. */
json_t *status_json(struct api *api);

/* The same as text, malloc'd; `api` is a struct api. */
char *status_text(void *api);

#endif
