/*
 * F5. What the reading (state.c) and the changing (state_change.c) of the shared state have in common.
 */
#ifndef API_STATE_H
#define API_STATE_H

#include "api/api.h"

/* "7" with its quotes, as ETag sends it; also bare, for curl. False when it is neither. */
bool api_state_read_version(const char *text, uint64_t *ret);

/* `value` is JSON text. */
void api_state_respond(struct request *r, unsigned status, const char *key, const char *value,
                       uint64_t version);

/* What kv_get, kv_put, kv_add and kv_delete have refused; `key` is for -ENOENT. */
void api_state_refuse(struct request *r, int rc, const char *key);

#endif
