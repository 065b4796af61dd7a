/*
 * F2. What an engine of the store must do. There are engine_sqlite and engine_memory; one that shares jobs between many
 * machines has its place here.
 *
 * `begin`, `apply`, `commit` and `rollback` are called on the store's thread alone. `apply` does one write within the
 * transaction, sets its outputs, and returns its rc (store.h); a refusal (-EEXIST, -EBUSY, -EFBIG, -EDQUOT, -ESTALE,
 * -EALREADY, -ENOENT, -ENODATA) leaves the transaction as it was, any other negative number spoils it: the store rolls back
 * and tries each write of the batch alone. A `commit` that fails has rolled back. -ESHUTDOWN from any of them: a sync failed,
 * and nothing can be believed any more.
 * All others are called on any thread, many at once, also during a transaction.
 */
#ifndef JOBS_STORE_ENGINE_H
#define JOBS_STORE_ENGINE_H

#include <string.h>

#include "jobs/store/store.h"

struct engine {
    int (*open)(void **ret, const struct store_config *config, struct err *err);
    void (*close)(void *e);

    int (*begin)(void *e);
    int (*apply)(void *e, struct store_write *w);
    int (*commit)(void *e);
    void (*rollback)(void *e);
    /* Nothing has been written for a while: what was put off can be done now. */
    void (*idle)(void *e);

    int (*find)(void *e, const char *id, struct record *ret);
    int (*list)(void *e, const struct store_filter *filter, size_t max, struct record *ret);
    int (*attempts)(void *e, uint64_t seq, struct record_attempt **ret);
    int (*payload)(void *e, uint64_t seq, struct payload *ret);
    int (*params)(void *e, uint64_t seq, char **ret);
    int (*result)(void *e, uint64_t seq, struct store_result *ret);
    int (*position)(void *e, const struct record *record, uint64_t *ret);
    void (*count)(void *e, struct store_counts *ret);
    int (*each_state)(void *e,
                      int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                      void *arg, uint64_t *ret_version);
    int (*find_state)(void *e, const char *key, char **ret_value, uint64_t *ret_version);
    const char *(*name)(void *e);
};

extern const struct engine engine_memory, engine_sqlite;

/* Whether something of this payload goes when the job does not need it any more: all of its input, and parameters
 * above STORE_PARAMS_KEPT_MAX. */
static inline bool engine_payload_is_large(const struct store_submit *w)
{
    size_t params_bytes = strlen(w->params);
    bool has_input = w->input_kind != PRONG_INPUT_NONE;

    return params_bytes > STORE_PARAMS_KEPT_MAX ||
           (has_input && params_bytes + w->input_bytes > STORE_PAYLOAD_SMALL_MAX);
}

/* store_open over this engine, whatever the configuration names. */
int store_open_engine(struct store **ret, const struct engine *engine,
                      const struct store_config *config, struct err *err);

#endif
