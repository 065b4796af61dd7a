#include "kernel/describe.h"

#include <errno.h>
#include <jansson.h>

#include "base/err.h"
#include "base/parse.h"
#include "ipc/description.h"
#include "ipc/proto.h"

/* One object of READY on its way. */
struct reader {
    struct declared *d;
    const char *where; /* "Kernel fib", "Parameter n of kernel fib" */
    struct err *err;
};

#define bad(r, format, ...)                                                                        \
    err_set((r)->err, -EINVAL, "%s in READY: " format, (r)->where, ##__VA_ARGS__)

/* One member of an object. `take` gets NULL when it is absent. */
struct member {
    const char *key;
    int (*take)(struct reader *r, void *to, const json_t *value);
};

/* Takes every member once; one that nobody knows is refused, since it would mean something. */
static int take_members(struct reader *r, json_t *object, const struct member *all, size_t count,
                        void *to)
{
    const char *key;
    json_t *value;
    int rc = 0;

    if (!json_is_object(object))
        return bad(r, "it must be an object.");
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(all[i].key, key) != 0)
            i++;
        if (i == count)
            return bad(r, "there is no member \"%.60s\".", key);
    }
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = all[i].take(r, to, json_object_get(object, all[i].key));
    return rc;
}

/* A copy of a text; `*ret` stays as it is when it is absent. */
static int take_text(struct reader *r, const char *key, const json_t *value, size_t bytes_max,
                     const char **ret)
{
    if (value == NULL)
        return 0;
    if (!json_is_string(value) || json_string_length(value) > bytes_max)
        return bad(r, "%s must be a string of at most %zu bytes.", key, bytes_max);
    *ret = arena_text(&r->d->arena, json_string_value(value), json_string_length(value));
    return *ret == NULL ? err_set(r->err, -ENOMEM, "There is no memory.") : 0;
}

/* ---- parameters ---- */

/* In the order of `param_members`: the type is known, then what depends on it. */
struct param_draft {
    const char *name;
    const json_t *minimum, *maximum, *fallback, *choices, *max_bytes, *max_count;
    enum prong_type type;
    const char *help;
};

static int take_param_name(struct reader *r, void *to, const json_t *value)
{
    struct param_draft *p = to;

    p->name = json_string_value(value);
    if (p->name == NULL || parse_name(p->name, PRONG_NAME_MAX) < 0)
        return bad(r, "a parameter needs a name, 1 to %u of a-z, 0-9, _ and -.", PRONG_NAME_MAX);
    return 0;
}

static int take_param_type(struct reader *r, void *to, const json_t *value)
{
    struct param_draft *p = to;

    if (!json_is_string(value) || declared_type(json_string_value(value), &p->type) < 0)
        return bad(r, "the type of parameter %s must be %s.", p->name, declared_type_words);
    return 0;
}

static int take_param_help(struct reader *r, void *to, const json_t *value)
{
    return take_text(r, "help", value, DESCRIPTION_TEXT_MAX, &((struct param_draft *)to)->help);
}

/* Kept until the type says what it means, and refused when it means nothing for this type. */
#define KEEP(member, types)                                                                        \
    static int keep_##member(struct reader *r, void *to, const json_t *value)                      \
    {                                                                                              \
        struct param_draft *p = to;                                                                \
        p->member = value;                                                                         \
        if (value != NULL && ((types) >> p->type & 1) == 0)                                        \
            return bad(r, "parameter %s is of type %s, which has no such bound or default.",       \
                       p->name, declared_type_name(p->type));                                      \
        return 0;                                                                                  \
    }
#define OF(type) (1u << (type))
KEEP(minimum, OF(PRONG_INT) | OF(PRONG_REAL))
KEEP(maximum, OF(PRONG_INT) | OF(PRONG_REAL))
KEEP(fallback, ~OF(PRONG_VALUES))
KEEP(choices, OF(PRONG_CHOICE))
KEEP(max_bytes, OF(PRONG_TEXT) | OF(PRONG_JSON))
KEEP(max_count, OF(PRONG_VALUES))

static const struct member param_members[] = {
    {"name", take_param_name}, {"type", take_param_type},     {"help", take_param_help},
    {"minimum", keep_minimum}, {"maximum", keep_maximum},     {"default", keep_fallback},
    {"choices", keep_choices}, {"max_bytes", keep_max_bytes}, {"max_count", keep_max_count},
};

static int take_int(struct reader *r, const char *name, const json_t *value, int64_t *ret)
{
    if (value != NULL && !json_is_integer(value))
        return bad(r, "the bounds and the default of %s must be integers.", name);
    if (value != NULL)
        *ret = json_integer_value(value);
    return 0;
}

static int take_real(struct reader *r, const char *name, const json_t *value, double *ret)
{
    if (value != NULL && !json_is_number(value))
        return bad(r, "the bounds and the default of %s must be numbers.", name);
    if (value != NULL)
        *ret = json_number_value(value);
    return 0;
}

static int take_count(struct reader *r, const char *name, const json_t *value, json_int_t max,
                      uint64_t *ret)
{
    json_int_t count = json_integer_value(value);

    if (value != NULL && (!json_is_integer(value) || count < 1 || count > max))
        return bad(r, "the maximum of %s must be an integer from 1 to %lld.", name, (long long)max);
    if (value != NULL)
        *ret = (uint64_t)count;
    return 0;
}

static int take_ints(struct reader *r, const struct param_draft *draft, struct prong_param *p)
{
    int rc = take_int(r, p->name, draft->minimum, &p->int_min);

    rc = rc < 0 ? rc : take_int(r, p->name, draft->maximum, &p->int_max);
    return rc < 0 ? rc : take_int(r, p->name, draft->fallback, &p->int_default);
}

static int take_reals(struct reader *r, const struct param_draft *draft, struct prong_param *p)
{
    int rc = take_real(r, p->name, draft->minimum, &p->real_min);

    rc = rc < 0 ? rc : take_real(r, p->name, draft->maximum, &p->real_max);
    return rc < 0 ? rc : take_real(r, p->name, draft->fallback, &p->real_default);
}

static int take_json_default(struct reader *r, const json_t *value, struct prong_param *p)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    size_t bytes = text == NULL ? 0 : strlen(text);

    if (text != NULL)
        p->text_default = arena_text(&r->d->arena, text, bytes);
    free(text);
    return p->text_default == NULL ? err_set(r->err, -ENOMEM, "There is no memory.") : 0;
}

static int take_texts(struct reader *r, const struct param_draft *draft, struct prong_param *p)
{
    int rc = take_count(r, p->name, draft->max_bytes, DECLARED_TEXT_MAX, &p->count_max);

    if (rc < 0 || draft->fallback == NULL)
        return rc;
    if (p->type == PRONG_JSON)
        return take_json_default(r, draft->fallback, p);
    return take_text(r, "default", draft->fallback, DESCRIPTION_TEXT_MAX, &p->text_default);
}

static int take_choices(struct reader *r, const struct param_draft *draft, struct prong_param *p)
{
    size_t count = json_array_size(draft->choices);
    const char **words;

    if (count == 0 || count > PRONG_CHOICES_MAX)
        return bad(r, "the choices of %s must be an array of 1 to %u words.", p->name,
                   PRONG_CHOICES_MAX);
    words = arena_alloc(&r->d->arena, (count + 1) * sizeof(*words));
    if (words == NULL)
        return err_set(r->err, -ENOMEM, "There is no memory.");
    for (size_t i = 0; i < count; i++) {
        const json_t *word = json_array_get(draft->choices, i);
        int rc;
        words[i] = "";
        rc = take_text(r, "a choice", word, DECLARED_CHOICE_BYTES_MAX, &words[i]);
        if (rc < 0)
            return rc;
        if (*words[i] == '\0')
            return bad(r, "a choice of %s is empty.", p->name);
    }
    p->choices = words;
    return take_text(r, "default", draft->fallback, DECLARED_CHOICE_BYTES_MAX, &p->text_default);
}

static int take_rest(struct reader *r, const struct param_draft *draft, struct prong_param *p)
{
    switch (p->type) {
    case PRONG_INT:
        return take_ints(r, draft, p);
    case PRONG_REAL:
        return take_reals(r, draft, p);
    case PRONG_TEXT:
    case PRONG_JSON:
        return take_texts(r, draft, p);
    case PRONG_CHOICE:
        return take_choices(r, draft, p);
    case PRONG_VALUES:
        return take_count(r, p->name, draft->max_count, DECLARED_COUNT_MAX, &p->count_max);
    }
    return 0;
}

static int take_param(struct reader *r, json_t *value)
{
    const struct prong_kernel *k = &r->d->kernel;
    struct param_draft draft = {.name = NULL};
    struct prong_param *p;
    int rc = take_members(r, value, param_members, ARRAY_SIZE(param_members), &draft);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < k->param_count; i++) {
        if (strcmp(k->params[i].name, draft.name) == 0)
            return bad(r, "there are two parameters called %s.", draft.name);
    }
    p = declared_add(r->d, draft.name, draft.type);
    if (p == NULL)
        return err_set(r->err, -ENOMEM, "There is no memory.");
    p->help = draft.help;
    p->required = draft.fallback == NULL;
    return take_rest(r, &draft, p);
}

/* ---- kernels ---- */

static int take_name(struct reader *r, void *to, const json_t *value)
{
    struct prong_kernel *k = to;
    int rc;

    if (!json_is_string(value) || parse_name(json_string_value(value), PRONG_NAME_MAX) < 0)
        return bad(r, "it needs a name, 1 to %u of a-z, 0-9, _ and -.", PRONG_NAME_MAX);
    rc = take_text(r, "name", value, PRONG_NAME_MAX, &k->name);
    r->where = k->name;
    return rc;
}

static int take_version(struct reader *r, void *to, const json_t *value)
{
    return take_text(r, "version", value, DESCRIPTION_TEXT_MAX,
                     &((struct prong_kernel *)to)->version);
}

static int take_summary(struct reader *r, void *to, const json_t *value)
{
    return take_text(r, "summary", value, DESCRIPTION_TEXT_MAX,
                     &((struct prong_kernel *)to)->summary);
}

static int take_example(struct reader *r, void *to, const json_t *value)
{
    return take_text(r, "example", value, DESCRIPTION_TEXT_MAX,
                     &((struct prong_kernel *)to)->example);
}

static int take_media_type(struct reader *r, void *to, const json_t *value)
{
    if (value != NULL &&
        (!json_is_string(value) || !declared_is_media_type(json_string_value(value))))
        return bad(r, "media_type must be like \"application/json\".");
    return take_text(r, "media_type", value, PROTO_MEDIA_MAX,
                     &((struct prong_kernel *)to)->media_type);
}

static int take_flags(struct reader *r, void *to, const json_t *value)
{
    struct prong_kernel *k = to;

    if (value != NULL && !json_is_array(value))
        return bad(r, "flags must be an array.");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *word = json_string_value(json_array_get(value, i));
        uint32_t flag = 0;
        if (word == NULL || declared_flag(word, &flag) < 0)
            return bad(r, "flags must be some of %s.", declared_flag_words);
        k->flags |= flag;
    }
    return 0;
}

static int take_takes_raw(struct reader *r, void *to, const json_t *value)
{
    if (value != NULL && !json_is_boolean(value))
        return bad(r, "takes_raw must be true or false.");
    ((struct prong_kernel *)to)->takes_raw = json_is_true(value);
    return 0;
}

static int read_op(const char *word, unsigned *ret)
{
    static const struct {
        const char *word;
        unsigned ops;
    } all[] = {
        {"run", DECLARED_MAP},         {"plan", DECLARED_PLAN},     {"map", DECLARED_MAP},
        {"combine", DECLARED_COMBINE}, {"finish", DECLARED_FINISH},
    };

    for (size_t i = 0; word != NULL && i < ARRAY_SIZE(all); i++) {
        if (strcmp(all[i].word, word) == 0) {
            *ret = all[i].ops;
            return 0;
        }
    }
    return -EINVAL;
}

/* Either "run" alone, or "plan" and "map" with whatever else. */
static int take_ops(struct reader *r, void *to, const json_t *value)
{
    unsigned ops = 0, op = 0;
    bool has_run = false;

    (void)to;
    if (value == NULL)
        return 0;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *word = json_string_value(json_array_get(value, i));
        if (read_op(word, &op) < 0)
            return bad(r, "ops must be some of run, plan, map, combine and finish.");
        has_run = has_run || strcmp(word, "run") == 0;
        ops |= op;
    }
    if (has_run ? json_array_size(value) != 1
                : (ops & (DECLARED_PLAN | DECLARED_MAP)) != (DECLARED_PLAN | DECLARED_MAP))
        return bad(r, "ops must be [\"run\"], or hold \"plan\" and \"map\".");
    declared_set_ops(r->d, ops);
    return 0;
}

static int take_params(struct reader *r, void *to, const json_t *value)
{
    int rc = 0;

    (void)to;
    if (value != NULL && (!json_is_array(value) || json_array_size(value) > PRONG_PARAMS_MAX))
        return bad(r, "params must be an array of at most %u.", PRONG_PARAMS_MAX);
    for (size_t i = 0; i < json_array_size(value) && rc == 0; i++)
        rc = take_param(r, json_array_get(value, i));
    return rc;
}

static const struct member kernel_members[] = {
    {"name", take_name},
    {"version", take_version},
    {"summary", take_summary},
    {"example", take_example},
    {"media_type", take_media_type},
    {"flags", take_flags},
    {"takes_raw", take_takes_raw},
    {"ops", take_ops},
    {"params", take_params},
};

static int read_kernel(json_t *value, struct declared **ret, struct err *err)
{
    struct declared *d = declared_new();
    struct reader r = {.d = d, .where = "A kernel", .err = err};
    int rc;

    if (d == NULL)
        return err_set(err, -ENOMEM, "There is no memory.");
    rc = take_members(&r, value, kernel_members, ARRAY_SIZE(kernel_members), &d->kernel);
    if (rc == 0)
        rc = declared_check(d, err);
    if (rc < 0)
        (void)declared_free(d);
    else
        *ret = d;
    return rc;
}

static bool has_name(struct declared *const *all, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(all[i]->kernel.name, name) == 0)
            return true;
    }
    return false;
}

static int read_kernels(const json_t *array, struct declared **ret, uint32_t *ret_count,
                        struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < json_array_size(array) && rc == 0; i++) {
        struct declared *d = NULL;
        rc = read_kernel(json_array_get(array, i), &d, err);
        if (rc == 0 && has_name(ret, *ret_count, d->kernel.name)) {
            rc = err_set(err, -EINVAL, "READY has two kernels called %s.", d->kernel.name);
            (void)declared_free(d);
        }
        if (rc == 0)
            ret[(*ret_count)++] = d;
    }
    return rc;
}

int describe_read(const char *json, size_t bytes, struct declared *ret[DESCRIBE_KERNELS_MAX],
                  uint32_t *ret_count, struct err *err)
{
    json_error_t error;
    json_t *ready, *kernels;
    uint32_t count = 0;
    int rc;

    if (bytes > DESCRIBE_BYTES_MAX)
        return err_set(err, -EINVAL, "READY has more than %d bytes.", DESCRIBE_BYTES_MAX);
    ready = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);
    if (ready == NULL)
        return err_set(err, -EINVAL, "READY is no JSON: %.100s at byte %d.", error.text,
                       error.position);
    kernels = json_object_get(ready, "kernels");
    if (!json_is_object(ready) || json_object_size(ready) != (kernels != NULL) ||
        (kernels != NULL && !json_is_array(kernels)) ||
        json_array_size(kernels) > DESCRIBE_KERNELS_MAX)
        rc = err_set(err, -EINVAL, "READY must be {\"kernels\":[…]} with at most %d, or {}.",
                     DESCRIBE_KERNELS_MAX);
    else
        rc = read_kernels(kernels, ret, &count, err);
    json_decref(ready);
    if (rc == 0) {
        *ret_count = count;
        return 0;
    }
    while (count > 0)
        (void)declared_free(ret[--count]);
    return rc;
}
