/*
 * F2. A kernel's parameters: checked against its declaration and laid out for the wire (ipc/description.h).
 *
 * May use base, ipc and jansson. Any thread.
 */
#ifndef JOBS_PARAMS_H
#define JOBS_PARAMS_H

#include <jansson.h>

#include "base/buf.h"
#include "ipc/description.h"

/* Which parameter is wrong, how, and what it should be. */
struct params_problem {
    char name[PRONG_NAME_MAX + 1];
    char got[80];
    char text[400];                        /* one sentence: names it, its bounds, what came */
    const struct description_param *param; /* NULL when there is none of that name */
};

struct params {
    struct buf encoded;
    double *values; /* malloc'd; of the PRONG_VALUES parameter */
    size_t value_count;
    bool has_values;
};

void params_init(struct params *p);
void params_release(struct params *p);

/* What was given for each parameter, by its index; owned. */
struct params_given {
    json_t *values[PRONG_PARAMS_MAX];
    uint32_t count; /* of the kernel's parameters */
};

void params_given_init(struct params_given *g, const struct description *d);
void params_given_release(struct params_given *g);

/* Adds one argument of a query string, read as its declared type says; a JSON object's members. -EINVAL fills
 * *ret_problem: no such parameter, not of its type, given before. */
int params_give_query(struct params_given *g, const struct description *d, const char *name,
                      const char *value, struct params_problem *ret_problem);
int params_give_object(struct params_given *g, const struct description *d, json_t *object,
                       struct params_problem *ret_problem);

/* What was given and is good (params_encode), in one form however it was written: by name, integers as such, and the
 * members of a PRONG_JSON by name too. The caller's; NULL when out of memory. */
json_t *params_canonical(const struct params_given *given, const struct description *d);

/* Checks and encodes what was given; absent parameters take their default. -EINVAL fills *ret_problem,
 * also when one is absent that must be given; -ENOMEM. `without_values`: the input comes as raw bytes, so PRONG_VALUES may not be given. */
int params_encode(struct params *p, const struct description *d, const struct params_given *given,
                  bool without_values, struct params_problem *ret_problem);

/* "an integer from 0 to 10", "one of sqrt, exp". */
void params_expectation(const struct description_param *p, char *out, size_t capacity);

/* The JSON Schema of a kernel's parameters; the caller's. */
json_t *params_schema(const struct description *d);

const struct description_param *params_find(const struct description *d, const char *name);

#endif
