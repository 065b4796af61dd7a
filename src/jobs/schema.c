#include "jobs/json.h"
#include "jobs/params.h"

static const char *const type_names[] = {
    [PRONG_INT] = "integer",   [PRONG_REAL] = "number",  [PRONG_TEXT] = "string",
    [PRONG_CHOICE] = "string", [PRONG_VALUES] = "array", [PRONG_JSON] = NULL, /* any */
};

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static void add_default(json_t *schema, const struct description_param *p)
{
    switch (p->type) {
    case PRONG_INT:
        set(schema, "default", json_integer(p->int_default));
        return;
    case PRONG_REAL:
        set(schema, "default", json_real(p->real_default));
        return;
    case PRONG_TEXT:
    case PRONG_CHOICE:
        set(schema, "default", json_string(p->text_default));
        return;
    case PRONG_VALUES:
        return;
    case PRONG_JSON: /* what is no JSON text is left out */
        set(schema, "default", json_loads(p->text_default, JSON_DECODE_ANY, NULL));
        return;
    }
}

static void add_bounds(json_t *schema, const struct description_param *p)
{
    json_t *words;

    switch (p->type) {
    case PRONG_INT:
        /* A bound that no JSON number can pass says nothing, and many programs cannot read it. */
        if (p->int_min >= -JSON_INTEGER_MAX)
            set(schema, "minimum", json_integer(p->int_min));
        if (p->int_max <= JSON_INTEGER_MAX)
            set(schema, "maximum", json_integer(p->int_max));
        return;
    case PRONG_REAL:
        set(schema, "minimum", json_real(p->real_min));
        set(schema, "maximum", json_real(p->real_max));
        return;
    case PRONG_TEXT:
        set(schema, "maxLength", json_integer((json_int_t)p->count_max));
        return;
    case PRONG_CHOICE:
        words = json_array();
        for (uint32_t i = 0; i < p->choice_count; i++)
            (void)json_array_append_new(words, json_string(p->choices[i]));
        set(schema, "enum", words);
        return;
    case PRONG_VALUES:
        set(schema, "items", json_pack("{s:s}", "type", "number"));
        set(schema, "maxItems", json_integer((json_int_t)p->count_max));
        return;
    case PRONG_JSON:
        return;
    }
}

static json_t *param_schema(const struct description_param *p)
{
    json_t *schema = json_object();

    if (type_names[p->type] != NULL)
        set(schema, "type", json_string(type_names[p->type]));
    set(schema, "description", json_string(p->help));
    add_bounds(schema, p);
    if (!p->required)
        add_default(schema, p);
    return schema;
}

json_t *params_schema(const struct description *d)
{
    json_t *properties = json_object();
    json_t *required = json_array();

    for (uint32_t i = 0; i < d->param_count; i++) {
        set(properties, d->params[i].name, param_schema(&d->params[i]));
        if (d->params[i].required || d->params[i].type == PRONG_VALUES)
            (void)json_array_append_new(required, json_string(d->params[i].name));
    }
    return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required",
                     required, "additionalProperties", 0);
}
