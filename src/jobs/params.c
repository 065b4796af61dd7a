#include "jobs/params.h"

#include <errno.h>

#include "base/parse.h"
#include "ipc/proto.h"
#include "ipc/wire.h"
#include "jobs/json.h"

void params_init(struct params *p)
{
    *p = (struct params) {0};
    buf_init(&p->encoded, PROTO_PARAMS_MAX);
}

void params_release(struct params *p)
{
    buf_release(&p->encoded);
    free(p->values);
    params_init(p);
}

const struct description_param *params_find(const struct description *d, const char *name)
{
    for (uint32_t i = 0; i < d->param_count; i++) {
        if (strcmp(d->params[i].name, name) == 0)
            return &d->params[i];
    }
    return NULL;
}

static void list_words(char *out, size_t capacity, const char *const *words, uint32_t count)
{
    size_t n = strlen(out);

    for (uint32_t i = 0; i < count && n < capacity; i++)
        n += (size_t)snprintf(out + n, capacity - n, "%s%s", i == 0 ? "" : ", ", words[i]);
}

void params_expectation(const struct description_param *p, char *out, size_t capacity)
{
    switch (p->type) {
    case PRONG_INT:
        (void)snprintf(out, capacity, "an integer from %lld to %lld", (long long)p->int_min,
                       (long long)p->int_max);
        return;
    case PRONG_REAL:
        (void)snprintf(out, capacity, "a number from %.15g to %.15g", p->real_min, p->real_max);
        return;
    case PRONG_TEXT:
        (void)snprintf(out, capacity, "text of at most %llu bytes without NUL",
                       (unsigned long long)p->count_max);
        return;
    case PRONG_CHOICE:
        (void)snprintf(out, capacity, "one of ");
        list_words(out, capacity, p->choices, p->choice_count);
        return;
    case PRONG_VALUES:
        (void)snprintf(out, capacity, "an array of at most %llu numbers",
                       (unsigned long long)p->count_max);
        return;
    case PRONG_JSON:
        (void)snprintf(out, capacity, "JSON of at most %llu bytes",
                       (unsigned long long)p->count_max);
        return;
    }
}

static int unknown(const struct description *d, const char *name, struct params_problem *ret)
{
    const char *names[PRONG_PARAMS_MAX];

    *ret = (struct params_problem) {0};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    for (uint32_t i = 0; i < d->param_count; i++)
        names[i] = d->params[i].name;
    (void)snprintf(ret->text, sizeof(ret->text), "Kernel %s has no parameter %s; it has ", d->name,
                   ret->name);
    if (d->param_count == 0)
        (void)snprintf(ret->text, sizeof(ret->text), "Kernel %s has no parameters, so no %s",
                       d->name, ret->name);
    list_words(ret->text, sizeof(ret->text) - 2, names, d->param_count);
    ret->text[MIN(strlen(ret->text), sizeof(ret->text) - 2)] = '\0';
    ret->text[strlen(ret->text)] = '.';
    return -EINVAL;
}

static int wrong(const struct description_param *p, const char *got, struct params_problem *ret)
{
    char expected[200];

    *ret = (struct params_problem) {.param = p};
    params_expectation(p, expected, sizeof(expected));
    (void)snprintf(ret->name, sizeof(ret->name), "%s", p->name);
    (void)snprintf(ret->got, sizeof(ret->got), "%s", got);
    (void)snprintf(ret->text, sizeof(ret->text), "Parameter %s must be %s; got %s.", p->name,
                   expected, ret->got);
    return -EINVAL;
}

static int wrong_value(const struct description_param *p, json_t *value, struct params_problem *ret)
{
    char got[80];

    json_brief(value, got, sizeof(got));
    return wrong(p, got, ret);
}

/* An integer, also when it was written as 1e6; not when it was rounded to be one. */
static bool as_integer(const json_t *value, int64_t *ret)
{
    double real;

    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    real = json_real_value(value);
    if (!json_is_real(value) || !(real >= -(double)JSON_INTEGER_MAX) ||
        !(real <= (double)JSON_INTEGER_MAX) || real != (double)(int64_t)real)
        return false;
    *ret = (int64_t)real;
    return true;
}

static bool encode_text(struct buf *b, const struct description_param *p, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) > p->count_max)
        return false;
    if (memchr(json_string_value(value), '\0', json_string_length(value)) != NULL)
        return false;
    wire_put_text_n(b, json_string_value(value), json_string_length(value));
    return true;
}

/* False when it is too long; out of memory is told by the buffer. */
static bool encode_json(struct buf *b, const struct description_param *p, json_t *value)
{
    size_t bytes = 0;
    CLEANUP_FREE char *text = json_write_sorted(value, &bytes);

    if (text == NULL)
        b->failed = true;
    else if (bytes > p->count_max)
        return false;
    else
        wire_put_text_n(b, text, bytes);
    return true;
}

static bool encode_choice(struct buf *b, const struct description_param *p, const json_t *value)
{
    for (uint32_t i = 0; json_is_string(value) && i < p->choice_count; i++) {
        if (strcmp(p->choices[i], json_string_value(value)) == 0) {
            wire_put_u32(b, i);
            return true;
        }
    }
    return false;
}

static bool take_values(struct params *out, const struct description_param *p, const json_t *value)
{
    size_t count = json_array_size(value);

    if (!json_is_array(value) || count > p->count_max)
        return false;
    free(out->values);
    out->values = malloc(MAX(count, (size_t)1) * sizeof(double));
    if (out->values == NULL) {
        out->encoded.failed = true;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(value, i);
        if (!json_is_number(number))
            return false;
        out->values[i] = json_number_value(number);
    }
    out->value_count = count;
    out->has_values = true;
    return true;
}

/* False when the value is not what the declaration says. */
static bool encode_given(struct params *out, const struct description_param *p, json_t *value)
{
    int64_t integer;
    double real;

    switch (p->type) {
    case PRONG_INT:
        if (!as_integer(value, &integer) || integer < p->int_min || integer > p->int_max)
            return false;
        wire_put_i64(&out->encoded, integer);
        return true;
    case PRONG_REAL:
        real = json_number_value(value);
        if (!json_is_number(value) || !(real >= p->real_min) || !(real <= p->real_max))
            return false;
        wire_put_f64(&out->encoded, real);
        return true;
    case PRONG_TEXT:
        return encode_text(&out->encoded, p, value);
    case PRONG_CHOICE:
        return encode_choice(&out->encoded, p, value);
    case PRONG_VALUES:
        return take_values(out, p, value);
    case PRONG_JSON:
        return encode_json(&out->encoded, p, value);
    }
    return false;
}

static uint32_t choice_index(const struct description_param *p, const char *word)
{
    uint32_t i = 0;

    while (i + 1 < p->choice_count && strcmp(p->choices[i], word) != 0)
        i++;
    return i;
}

static void encode_default(struct params *out, const struct description_param *p)
{
    switch (p->type) {
    case PRONG_INT:
        wire_put_i64(&out->encoded, p->int_default);
        return;
    case PRONG_REAL:
        wire_put_f64(&out->encoded, p->real_default);
        return;
    case PRONG_TEXT:
    case PRONG_JSON:
        wire_put_text(&out->encoded, p->text_default);
        return;
    case PRONG_CHOICE:
        wire_put_u32(&out->encoded, choice_index(p, p->text_default));
        return;
    case PRONG_VALUES:
        return;
    }
}

/* The PRONG_VALUES parameter has no default: it is there, or the input is raw. */
static int missing_values(const struct description_param *p, struct params_problem *ret)
{
    (void)wrong(p, "nothing", ret);
    (void)snprintf(ret->text, sizeof(ret->text),
                   "Parameter %s is missing: send {\"%s\":[1,2,3]} as application/json, or raw "
                   "little-endian float64 as application/octet-stream.",
                   p->name, p->name);
    return -EINVAL;
}

static int missing(const struct description_param *p, struct params_problem *ret)
{
    char expected[200];

    if (p->type == PRONG_VALUES)
        return missing_values(p, ret);
    (void)wrong(p, "nothing", ret);
    params_expectation(p, expected, sizeof(expected));
    (void)snprintf(ret->text, sizeof(ret->text), "Parameter %s is missing: give %s.", p->name,
                   expected);
    return -EINVAL;
}

int params_encode(struct params *p, const struct description *d, const struct params_given *given,
                  bool without_values, struct params_problem *ret_problem)
{
    int rc = 0;

    for (uint32_t i = 0; i < d->param_count && rc == 0; i++) {
        const struct description_param *param = &d->params[i];
        json_t *value = given->values[i];

        if (param->type == PRONG_VALUES && without_values && value == NULL)
            continue;
        if (value == NULL && (param->required || param->type == PRONG_VALUES))
            rc = missing(param, ret_problem);
        else if (value == NULL)
            encode_default(p, param);
        else if (param->type == PRONG_VALUES && without_values)
            rc = wrong(param, "it beside a raw body, which is the input already", ret_problem);
        else if (!encode_given(p, param, value))
            rc = wrong_value(param, value, ret_problem);
    }
    return rc < 0 ? rc : buf_failed(&p->encoded);
}

/* ---- what was given ---- */

void params_given_init(struct params_given *g, const struct description *d)
{
    g->count = d->param_count;
    memset(g->values, 0, g->count * sizeof(g->values[0]));
}

void params_given_release(struct params_given *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        json_decref(g->values[i]);
    g->count = 0;
}

/* `value` is stolen. */
static int give(struct params_given *g, const struct description *d,
                const struct description_param *p, json_t *value, struct params_problem *ret)
{
    size_t i = (size_t)(p - d->params);

    if (g->values[i] == NULL) {
        g->values[i] = value;
        return 0;
    }
    json_decref(value);
    *ret = (struct params_problem) {.param = p};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", p->name);
    (void)snprintf(ret->text, sizeof(ret->text), "Parameter %s is given twice: give it once.",
                   p->name);
    return -EINVAL;
}

int params_give_object(struct params_given *g, const struct description *d, json_t *object,
                       struct params_problem *ret_problem)
{
    const char *key;
    json_t *value;
    int rc;

    json_object_foreach(object, key, value)
    {
        const struct description_param *p = params_find(d, key);
        rc = p == NULL ? unknown(d, key, ret_problem)
                       : give(g, d, p, json_incref(value), ret_problem);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static json_t *read_values(const char *text)
{
    struct json_problem ignored;
    CLEANUP_FREE char *wrapped = NULL;

    if (*text == '[')
        return json_read(text, strlen(text), &ignored);
    if (asprintf(&wrapped, "[%s]", text) < 0)
        return NULL;
    return json_read(wrapped, strlen(wrapped), &ignored);
}

/* In an array, so that it is nested no deeper than a body's may be. */
static json_t *read_any(const char *text)
{
    struct json_problem ignored;
    CLEANUP_FREE char *wrapped = NULL;
    json_t *array, *value = NULL;

    if (asprintf(&wrapped, "[%s]", text) < 0)
        return NULL;
    array = json_read(wrapped, strlen(wrapped), &ignored);
    if (json_array_size(array) == 1)
        value = json_incref(json_array_get(array, 0));
    json_decref(array);
    return value;
}

static json_t *read_as(const struct description_param *p, const char *value)
{
    struct json_problem ignored;
    double real;

    if (p->type == PRONG_TEXT || p->type == PRONG_CHOICE)
        return json_string(value);
    if (p->type == PRONG_VALUES)
        return read_values(value);
    if (p->type == PRONG_JSON)
        return read_any(value);
    return parse_real(value, &real) < 0 ? NULL : json_read(value, strlen(value), &ignored);
}

int params_give_query(struct params_given *g, const struct description *d, const char *name,
                      const char *value, struct params_problem *ret_problem)
{
    const struct description_param *p = params_find(d, name);
    char got[80];
    json_t *read;

    if (p == NULL)
        return unknown(d, name, ret_problem);
    read = read_as(p, value);
    if (read != NULL)
        return give(g, d, p, read, ret_problem);
    (void)snprintf(got, sizeof(got), "\"%.60s\"", value);
    return wrong(p, got, ret_problem);
}

/* The parameter that was given and whose name comes next after `name` (NULL: the first). */
static const struct description_param *next_given(const struct params_given *g,
                                                  const struct description *d, const char *name)
{
    const struct description_param *next = NULL;

    for (uint32_t i = 0; i < d->param_count; i++) {
        const struct description_param *p = &d->params[i];
        if (g->values[i] != NULL && (name == NULL || strcmp(p->name, name) > 0) &&
            (next == NULL || strcmp(p->name, next->name) < 0))
            next = p;
    }
    return next;
}

static json_t *canonical_json(json_t *value)
{
    struct json_problem ignored;
    size_t bytes = 0;
    CLEANUP_FREE char *text = json_write_sorted(value, &bytes);

    return text == NULL ? NULL : json_read(text, bytes, &ignored);
}

/* NULL when out of memory. */
static json_t *canonical_value(const struct description_param *p, json_t *value)
{
    int64_t integer;

    switch (p->type) {
    case PRONG_INT:
        return as_integer(value, &integer) ? json_integer(integer) : json_incref(value);
    case PRONG_REAL:
        return json_real(json_number_value(value));
    case PRONG_JSON:
        return canonical_json(value);
    default:
        return json_incref(value);
    }
}

json_t *params_canonical(const struct params_given *given, const struct description *d)
{
    json_t *object = json_object();
    const struct description_param *p = NULL;

    while (object != NULL && (p = next_given(given, d, p == NULL ? NULL : p->name)) != NULL) {
        json_t *value = given->values[p - d->params];
        if (json_object_set_new(object, p->name, canonical_value(p, value)) < 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}
