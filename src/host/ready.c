#include "host/ready.h"

#include <jansson.h>

#include "base/check.h"
#include "ipc/description.h"
#include "kernel/declared.h"

/* jansson takes a NULL value as a failure of the whole, so text that is absent is not set at all. */
static int set_text(json_t *object, const char *key, const char *text)
{
    return text == NULL || *text == '\0' ? 0 : json_object_set_new(object, key, json_string(text));
}

static int set_count(json_t *object, const char *key, uint64_t count, uint64_t max)
{
    return json_object_set_new(object, key, json_integer((json_int_t)MIN(count, max)));
}

static int set_ints(json_t *object, const struct prong_param *p)
{
    int bad = json_object_set_new(object, "minimum", json_integer(p->int_min)) |
              json_object_set_new(object, "maximum", json_integer(p->int_max));

    return p->required ? bad
                       : bad | json_object_set_new(object, "default", json_integer(p->int_default));
}

static int set_reals(json_t *object, const struct prong_param *p)
{
    int bad = json_object_set_new(object, "minimum", json_real(p->real_min)) |
              json_object_set_new(object, "maximum", json_real(p->real_max));

    return p->required ? bad
                       : bad | json_object_set_new(object, "default", json_real(p->real_default));
}

/* The default of a text may be empty, and is there all the same. */
static int set_default_text(json_t *object, const struct prong_param *p)
{
    const char *text = p->text_default == NULL ? "" : p->text_default;

    if (p->required)
        return 0;
    if (p->type != PRONG_JSON)
        return json_object_set_new(object, "default", json_string(text));
    return json_object_set_new(object, "default", json_loads(text, JSON_DECODE_ANY, NULL));
}

static int set_choices(json_t *object, const struct prong_param *p)
{
    json_t *words = json_array();
    int bad = words == NULL;

    for (size_t i = 0; p->choices[i] != NULL && !bad; i++)
        bad = json_array_append_new(words, json_string(p->choices[i]));
    return bad | json_object_set_new(object, "choices", words) | set_default_text(object, p);
}

static int set_by_type(json_t *object, const struct prong_param *p)
{
    switch (p->type) {
    case PRONG_INT:
        return set_ints(object, p);
    case PRONG_REAL:
        return set_reals(object, p);
    case PRONG_TEXT:
    case PRONG_JSON:
        return set_count(object, "max_bytes", p->count_max, DECLARED_TEXT_MAX) |
               set_default_text(object, p);
    case PRONG_CHOICE:
        return set_choices(object, p);
    case PRONG_VALUES:
        return set_count(object, "max_count", p->count_max, DECLARED_COUNT_MAX);
    }
    return -1;
}

static json_t *param_json(const struct prong_param *p)
{
    json_t *object = json_object();

    if (set_text(object, "name", p->name) | set_text(object, "help", p->help) |
        set_text(object, "type", declared_type_name(p->type)) | set_by_type(object, p)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *params_json(const struct prong_kernel *k)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < k->param_count; i++) {
        if (json_array_append_new(array, param_json(description_param_at(k, i))) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The names of those that are set. */
static json_t *words_json(const char *const *words, const bool *set, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        if (set[i])
            (void)json_array_append_new(array, json_string(words[i]));
    }
    return array;
}

static json_t *flags_json(const struct prong_kernel *k)
{
    static const char *const words[] = {"pure", "idempotent", "associative", "partial_ok"};
    const bool set[] = {
        (k->flags & PRONG_PURE) != 0,
        (k->flags & PRONG_IDEMPOTENT) != 0,
        (k->flags & PRONG_ASSOCIATIVE) != 0,
        (k->flags & PRONG_PARTIAL_OK) != 0,
    };

    return words_json(words, set, ARRAY_SIZE(words));
}

static json_t *ops_json(const struct prong_kernel *k)
{
    static const char *const words[] = {"run", "plan", "map", "combine", "finish"};
    bool split = k->plan != NULL;
    const bool set[] = {!split, split, split, split && k->combine != NULL,
                        split && k->finish != NULL};

    return words_json(words, set, ARRAY_SIZE(words));
}

static json_t *kernel_json(const struct prong_kernel *k)
{
    json_t *object = json_object();

    if (set_text(object, "name", k->name) | set_text(object, "version", k->version) |
        set_text(object, "summary", k->summary) | set_text(object, "example", k->example) |
        set_text(object, "media_type", k->media_type) |
        json_object_set_new(object, "takes_raw", json_boolean(k->takes_raw != 0)) |
        json_object_set_new(object, "flags", flags_json(k)) |
        json_object_set_new(object, "ops", ops_json(k)) |
        json_object_set_new(object, "params", params_json(k))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

char *ready_text(const struct prong_kernel *k)
{
    json_t *kernel = kernel_json(k);
    json_t *ready = kernel == NULL ? NULL : json_pack("{s:[o]}", "kernels", kernel);
    char *text = ready == NULL ? NULL : json_dumps(ready, JSON_COMPACT);

    json_decref(ready);
    return text;
}
