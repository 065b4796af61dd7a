#include "lab/spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "jobs/json.h"

enum { WORKERS = 2, REPEAT = 3 }; /* unless asked otherwise */

#define BIT LAB_MODE_BIT

static const struct {
    uint64_t n, n_max;
    unsigned modes;
} experiments[LAB_EXPERIMENT_COUNT] = {
    [LAB_CPU] = {100000000, 1000000000,
                 BIT(LAB_SEQUENTIAL) | BIT(LAB_THREADS) | BIT(LAB_GIL) | BIT(LAB_PROCESSES) |
                     LAB_PYTHON},
    [LAB_IO] = {8, 1000,
                BIT(LAB_SEQUENTIAL) | BIT(LAB_THREADS) | BIT(LAB_GIL) | BIT(LAB_PROCESSES) |
                    LAB_PYTHON},
    [LAB_RACE] = {1000000, 10000000, BIT(LAB_UNLOCKED) | BIT(LAB_LOCKED) | BIT(LAB_ATOMIC)},
    [LAB_CRASH] = {10000000, 100000000, BIT(LAB_THREADS) | BIT(LAB_PROCESSES)},
};

const char *const lab_experiment_names[LAB_EXPERIMENT_COUNT] = {
    [LAB_CPU] = "cpu", [LAB_IO] = "io", [LAB_RACE] = "race", [LAB_CRASH] = "crash"};

const char *const lab_mode_names[LAB_MODE_COUNT] = {
    [LAB_SEQUENTIAL] = "sequential",
    [LAB_THREADS] = "threads",
    [LAB_GIL] = "threads+gil",
    [LAB_PROCESSES] = "processes",
    [LAB_PY_SEQUENTIAL] = "python-sequential",
    [LAB_PY_THREADS] = "python-threads",
    [LAB_PY_PROCESSES] = "python-processes",
    [LAB_UNLOCKED] = "unlocked",
    [LAB_LOCKED] = "locked",
    [LAB_ATOMIC] = "atomic",
};

unsigned lab_modes_of(enum lab_experiment experiment)
{
    return experiments[experiment].modes;
}

uint64_t lab_n_max(enum lab_experiment experiment)
{
    return experiments[experiment].n_max;
}

PRINTF_LIKE(4, 5)
static int bad(struct lab_problem *p, const char *parameter, json_t *got, const char *format, ...)
{
    va_list args;

    *p = (struct lab_problem) {.parameter = parameter};
    if (got != NULL)
        json_brief(got, p->got, sizeof(p->got));
    va_start(args, format);
    (void)vsnprintf(p->text, sizeof(p->text), format, args);
    va_end(args);
    return -EINVAL;
}

/* The index of a text among `names`, or -1. */
static int find(json_t *value, const char *const *names, int count)
{
    const char *text = json_string_value(value);

    for (int i = 0; i < count && text != NULL; i++) {
        if (strcmp(names[i], text) == 0)
            return i;
    }
    return -1;
}

static int take_experiment(json_t *body, struct lab_spec *spec, struct lab_problem *p)
{
    json_t *value = json_object_get(body, "experiment");
    int found = find(value, lab_experiment_names, LAB_EXPERIMENT_COUNT);

    if (found < 0)
        return bad(p, "experiment", value, "experiment must be cpu, io, race or crash.");
    spec->experiment = (enum lab_experiment)found;
    return 0;
}

/* One that is not given stays as it is. */
static int take_count(json_t *body, const char *name, uint64_t max, uint64_t *ret,
                      struct lab_problem *p)
{
    json_t *value = json_object_get(body, name);
    json_int_t given = json_integer_value(value);

    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || given < 1 || (uint64_t)given > max)
        return bad(p, name, value, "%s must be an integer from 1 to %llu.", name,
                   (unsigned long long)max);
    *ret = (uint64_t)given;
    return 0;
}

static int take_counts(json_t *body, struct lab_spec *spec, struct lab_problem *p)
{
    uint64_t workers = WORKERS, repeat = REPEAT, seed = 0;
    int rc;

    spec->n = experiments[spec->experiment].n;
    rc = take_count(body, "n", lab_n_max(spec->experiment), &spec->n, p);
    if (rc == 0)
        rc = take_count(body, "workers", LAB_WORKERS_MAX, &workers, p);
    if (rc == 0)
        rc = take_count(body, "repeat", LAB_REPEAT_MAX, &repeat, p);
    if (rc == 0)
        rc = take_count(body, "seed", LAB_SEED_MAX, &seed, p);
    spec->workers = (unsigned)workers;
    spec->repeat = (unsigned)repeat;
    spec->seed = (uint32_t)seed;
    spec->has_seed = seed != 0;
    return rc;
}

static void name_modes(unsigned modes, char *out, size_t capacity)
{
    size_t n = 0;

    for (int i = 0; i < LAB_MODE_COUNT; i++) {
        if ((modes & BIT(i)) != 0 && n < capacity)
            n += (size_t)snprintf(out + n, capacity - n, "%s%s", n > 0 ? ", " : "",
                                  lab_mode_names[i]);
    }
}

static int bad_mode(struct lab_problem *p, const struct lab_spec *spec, json_t *value)
{
    char names[160];

    name_modes(lab_modes_of(spec->experiment), names, sizeof(names));
    return bad(p, "modes", value, "modes must be an array with some of %s.", names);
}

static int take_modes(json_t *body, struct lab_spec *spec, struct lab_problem *p)
{
    json_t *list = json_object_get(body, "modes"), *value;
    size_t i;

    spec->modes = lab_modes_of(spec->experiment);
    if (list == NULL)
        return 0;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return bad_mode(p, spec, list);
    spec->modes = 0;
    json_array_foreach(list, i, value)
    {
        int mode = find(value, lab_mode_names, LAB_MODE_COUNT);
        if (mode < 0 || (lab_modes_of(spec->experiment) & BIT(mode)) == 0)
            return bad_mode(p, spec, value);
        spec->modes |= BIT(mode);
    }
    return 0;
}

static int refuse_others(json_t *body, struct lab_problem *p)
{
    static const char *const known[] = {"experiment", "n", "workers", "repeat", "modes", "seed"};
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        size_t i = 0;
        while (i < ARRAY_SIZE(known) && strcmp(known[i], name) != 0)
            i++;
        if (i < ARRAY_SIZE(known))
            continue;
        (void)bad(p, name, value,
                  "There is no member %.60s; a lab has experiment, n, workers, repeat, modes and "
                  "seed.",
                  name);
        return -EINVAL;
    }
    return 0;
}

int lab_spec_read(json_t *body, struct lab_spec *ret, struct lab_problem *ret_problem)
{
    struct lab_spec spec = {0};
    int rc;

    if (!json_is_object(body))
        return bad(ret_problem, NULL, body,
                   "Send a JSON object, such as {\"experiment\":\"cpu\"}.");
    rc = refuse_others(body, ret_problem);
    if (rc == 0)
        rc = take_experiment(body, &spec, ret_problem);
    if (rc == 0)
        rc = take_counts(body, &spec, ret_problem);
    if (rc == 0)
        rc = take_modes(body, &spec, ret_problem);
    if (rc == 0)
        *ret = spec;
    return rc;
}
