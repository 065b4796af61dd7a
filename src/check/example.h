/*
 * Above the zygote's parts. What a kernel's example asks for, as prong would make it a JOB: the parameters,
 * with defaults filled in, and the input. Uses kernel, ipc, base and jansson.
 */
#ifndef CHECK_EXAMPLE_H
#define CHECK_EXAMPLE_H

#include <jansson.h>
#include <stdbool.h>

#include "prong/kernel.h"

struct err;

struct example {
    json_t *params;
    const char *input_kind; /* "none", "raw" or "values" */
    void *input;            /* owned; NULL: it has none */
    size_t input_bytes;
};

/* From the query string that `k` gives as its example; what is in `over`, an object or NULL, counts more,
 * as far as it names parameters of this kernel.
 * -EINVAL with a sentence when a parameter is missing or not of its type. */
int example_read(const struct prong_kernel *k, const json_t *over, struct example *ret,
                 struct err *err);
void example_release(struct example *e);

/* Raw input instead of what it has: `bytes` bytes of text. */
void example_set_raw(struct example *e, size_t bytes);

/* A value that this parameter cannot have; NULL when there is none, as for JSON. */
json_t *example_wrong_value(const struct prong_param *p);

#endif
