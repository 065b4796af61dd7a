#include "host/args.h"

#include <errno.h>

#include "base/err.h"
#include "ipc/description.h"

static int wrong(const struct prong_param *p, const char *expected, struct err *err)
{
    return err_set(err, -EINVAL, "Parameter %s must be %s.", p->name, expected);
}

static int read_int(const struct prong_param *p, const json_t *value, struct args_value *ret,
                    struct err *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < p->int_min ||
        json_integer_value(value) > p->int_max)
        return wrong(p, "an integer within its bounds", err);
    ret->integer = json_integer_value(value);
    return 0;
}

static int read_real(const struct prong_param *p, const json_t *value, struct args_value *ret,
                     struct err *err)
{
    double real = json_number_value(value);

    if (!json_is_number(value) || !(real >= p->real_min && real <= p->real_max))
        return wrong(p, "a number within its bounds", err);
    ret->real = real;
    return 0;
}

static int read_text(const struct prong_param *p, const json_t *value, struct args_value *ret,
                     struct err *err)
{
    const char *text = json_string_value(value);

    if (text == NULL || strlen(text) != json_string_length(value) ||
        json_string_length(value) > p->count_max)
        return wrong(p, "a text without NUL within its bound", err);
    ret->text = text;
    return 0;
}

static int read_choice(const struct prong_param *p, const char *word, struct args_value *ret,
                       struct err *err)
{
    for (int64_t i = 0; word != NULL && p->choices[i] != NULL; i++) {
        if (strcmp(p->choices[i], word) == 0) {
            ret->integer = i;
            ret->text = p->choices[i];
            return 0;
        }
    }
    return wrong(p, "one of its choices", err);
}

static int read_json(const struct prong_param *p, const json_t *value, struct args_value *ret,
                     struct err *err)
{
    ret->owned = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    if (ret->owned == NULL)
        return err_set(err, -ENOMEM, "There is no memory for parameter %s.", p->name);
    if (strlen(ret->owned) > p->count_max)
        return wrong(p, "JSON within its bound", err);
    ret->text = ret->owned;
    return 0;
}

static int read_given(const struct prong_param *p, const json_t *value, struct args_value *ret,
                      struct err *err)
{
    switch (p->type) {
    case PRONG_INT:
        return read_int(p, value, ret, err);
    case PRONG_REAL:
        return read_real(p, value, ret, err);
    case PRONG_TEXT:
        return read_text(p, value, ret, err);
    case PRONG_CHOICE:
        return read_choice(p, json_string_value(value), ret, err);
    case PRONG_JSON:
        return read_json(p, value, ret, err);
    case PRONG_VALUES:
        return wrong(p, "the input, not a parameter", err);
    }
    return -EINVAL;
}

static int read_default(const struct prong_param *p, struct args_value *ret, struct err *err)
{
    if (p->type == PRONG_VALUES)
        return 0;
    if (p->required)
        return err_set(err, -EINVAL, "Parameter %s is missing.", p->name);
    ret->integer = p->int_default;
    ret->real = p->real_default;
    if (p->text_default != NULL)
        ret->text = p->text_default;
    return p->type == PRONG_CHOICE ? read_choice(p, p->text_default, ret, err) : 0;
}

/* All that are given must be known: one that is not would be lost without a word. */
static int check_names(const struct prong_kernel *k, const json_t *params, struct err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)params, name, value)
    {
        uint32_t i = 0;
        while (i < k->param_count && strcmp(description_param_at(k, i)->name, name) != 0)
            i++;
        if (i == k->param_count)
            return err_set(err, -EINVAL, "Kernel %s has no parameter %.80s.", k->name, name);
    }
    return 0;
}

int args_read(const struct prong_kernel *k, const json_t *params, struct args *ret, struct err *err)
{
    int rc = 0;

    *ret = (struct args) {.count = k->param_count};
    for (uint32_t i = 0; i < k->param_count; i++)
        ret->values[i].text = "";
    if (params != NULL && !json_is_object(params))
        return err_set(err, -EINVAL, "The parameters are no object.");
    rc = check_names(k, params, err);
    for (uint32_t i = 0; i < k->param_count && rc == 0; i++) {
        const struct prong_param *p = description_param_at(k, i);
        const json_t *value = json_object_get(params, p->name);
        rc = value == NULL ? read_default(p, &ret->values[i], err)
                           : read_given(p, value, &ret->values[i], err);
    }
    return rc;
}

void args_release(struct args *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        free(a->values[i].owned);
    *a = (struct args) {0};
}
