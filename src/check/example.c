#include "check/example.h"

#include <errno.h>

#include "base/err.h"
#include "base/parse.h"
#include "ipc/description.h"

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, c | 0x20);

    return c == '\0' || at == NULL ? -1 : (int)(at - digits);
}

/* Percent signs and pluses of a query string, in place. */
static void decode(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%' && hex(at[1]) >= 0 && hex(at[2]) >= 0) {
            *to++ = (char)(hex(at[1]) << 4 | hex(at[2]));
            at += 2;
        } else {
            *to++ = *at == '+' ? ' ' : *at;
        }
    }
    *to = '\0';
}

/* Numbers with or without brackets around them. */
static json_t *read_values(const char *text)
{
    size_t room = strlen(text) + 3;
    char *array = malloc(room);
    json_t *values = NULL;

    if (array != NULL && *text == '[')
        values = json_loads(text, 0, NULL);
    else if (array != NULL) {
        (void)snprintf(array, room, "[%s]", text);
        values = json_loads(array, 0, NULL);
    }
    free(array);
    return values;
}

/* What prong would make of it; NULL when it is not of the parameter's type. */
static json_t *read_text(const struct prong_param *p, const char *text)
{
    int64_t integer;
    double real;

    switch (p->type) {
    case PRONG_INT:
        if (parse_real(text, &real) < 0)
            return NULL;
        return parse_i64(text, &integer) == 0 ? json_integer(integer)
                                              : json_integer((json_int_t)real);
    case PRONG_REAL:
        return parse_real(text, &real) < 0 ? NULL : json_real(real);
    case PRONG_TEXT:
    case PRONG_CHOICE:
        return json_string(text);
    case PRONG_JSON:
        return json_loads(text, JSON_DECODE_ANY, NULL);
    case PRONG_VALUES:
        return read_values(text);
    }
    return NULL;
}

static const struct prong_param *find(const struct prong_kernel *k, const char *name)
{
    for (uint32_t i = 0; i < k->param_count; i++) {
        if (strcmp(description_param_at(k, i)->name, name) == 0)
            return description_param_at(k, i);
    }
    return NULL;
}

/* Another kernel of the same program may be meant by the rest. One that only its manifest describes has
 * whatever is given. */
static int take_others(const struct prong_kernel *k, json_t *to, const json_t *over)
{
    const char *name;
    json_t *value;
    int rc = 0;

    json_object_foreach((json_t *)(uintptr_t)over, name, value)
    {
        if (k->param_count == 0 || find(k, name) != NULL)
            rc |= json_object_set(to, name, value);
    }
    return rc;
}

static int take_pair(const struct prong_kernel *k, char *pair, json_t *to, struct err *err)
{
    char *value = strchr(pair, '=');
    const struct prong_param *p;
    json_t *json;

    if (value != NULL)
        *value++ = '\0';
    decode(pair);
    if (value != NULL)
        decode(value);
    p = find(k, pair);
    if (p == NULL)
        return err_set(err, -EINVAL, "The example names a parameter %.80s, which there is not.",
                       pair);
    json = value == NULL ? NULL : read_text(p, value);
    if (json == NULL)
        return err_set(err, -EINVAL, "The example's %s is not of its type.", p->name);
    return json_object_set_new(to, p->name, json);
}

static int take_query(const struct prong_kernel *k, json_t *to, struct err *err)
{
    CLEANUP_FREE char *query = strdup(k->example == NULL ? "" : k->example);
    char *rest = query, *pair;
    int rc = query == NULL ? -ENOMEM : 0;

    while (rc == 0 && (pair = strsep(&rest, "&")) != NULL) {
        if (*pair != '\0')
            rc = take_pair(k, pair, to, err);
    }
    return rc;
}

static json_t *default_of(const struct prong_param *p)
{
    const char *text = p->text_default == NULL ? "" : p->text_default;

    if (p->required || p->type == PRONG_VALUES)
        return NULL;
    if (p->type == PRONG_INT)
        return json_integer(p->int_default);
    if (p->type == PRONG_REAL)
        return json_real(p->real_default);
    return read_text(p, text);
}

/* The values leave the parameters and become the input. */
static int take_values(struct example *e, const char *name, struct err *err)
{
    const json_t *array = json_object_get(e->params, name);
    size_t count = json_array_size(array);
    double *values;

    if (array == NULL)
        return 0;
    values = calloc(MAX(count, (size_t)1), sizeof(*values));
    if (values == NULL)
        return err_set(err, -ENOMEM, "There is no memory.");
    for (size_t i = 0; i < count; i++)
        values[i] = json_number_value(json_array_get(array, i));
    e->input_kind = "values";
    e->input = values;
    e->input_bytes = count * sizeof(*values);
    return json_object_del(e->params, name);
}

void example_set_raw(struct example *e, size_t bytes)
{
    static const char text[] = "one two three\n";

    free(e->input);
    e->input = malloc(bytes + 1);
    CHECK(e->input != NULL);
    for (size_t i = 0; i < bytes; i++)
        ((char *)e->input)[i] = text[i % (sizeof(text) - 1)];
    e->input_kind = "raw";
    e->input_bytes = bytes;
}

static int complete(const struct prong_kernel *k, struct example *e, struct err *err)
{
    int rc = 0;

    for (uint32_t i = 0; i < k->param_count && rc == 0; i++) {
        const struct prong_param *p = description_param_at(k, i);
        json_t *value;
        if (p->type == PRONG_VALUES) {
            rc = take_values(e, p->name, err);
            continue;
        }
        if (json_object_get(e->params, p->name) != NULL)
            continue;
        value = default_of(p);
        if (value == NULL)
            return err_set(err, -EINVAL, "Its example gives no %s; say --params '{\"%s\":…}'.",
                           p->name, p->name);
        rc = json_object_set_new(e->params, p->name, value);
    }
    return rc;
}

int example_read(const struct prong_kernel *k, const json_t *over, struct example *ret,
                 struct err *err)
{
    int rc;

    *ret = (struct example) {.params = json_object(), .input_kind = "none"};
    rc = take_query(k, ret->params, err);
    if (rc == 0 && over != NULL)
        rc = take_others(k, ret->params, over);
    if (rc == 0)
        rc = complete(k, ret, err);
    if (rc < 0)
        example_release(ret);
    return rc;
}

void example_release(struct example *e)
{
    json_decref(e->params);
    free(e->input);
    *e = (struct example) {0};
}

json_t *example_wrong_value(const struct prong_param *p)
{
    switch (p->type) {
    case PRONG_INT:
    case PRONG_REAL:
        return json_string("many");
    case PRONG_TEXT:
        return json_integer(17);
    case PRONG_CHOICE:
        return json_string("none of its words");
    case PRONG_JSON:
    case PRONG_VALUES:
        return NULL;
    }
    return NULL;
}
