#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/docs/internal.h"
#include "http/target.h"
#include "jobs/params.h"

static const char generic[] = "/compute/{kernel}";
static const char tag[] = "Kernels";

/* A kernel with what its example gives, by parameter. */
struct subject {
    const struct description *about;
    struct params_given example;
    json_t *schema; /* of its parameters */
    bool takes_raw;
};

/* What cannot be read of it is left out: a kernel may say anything there. */
static void read_example(struct subject *s)
{
    const char *text = s->about->example;
    char *decoded = malloc(target_arguments_bytes(strlen(text)));
    const char *at = decoded;
    struct params_problem ignored;
    size_t count;

    if (decoded == NULL)
        return;
    count =
        *text != '\0' && target_is_sound(text, strlen(text)) ? target_arguments(text, decoded) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *value = at + strlen(at) + 1;
        (void)params_give_query(&s->example, s->about, at, value, &ignored);
        at = value + strlen(value) + 1;
    }
    free(decoded);
}

static bool takes_values(const struct description *about)
{
    for (uint32_t i = 0; i < about->param_count; i++) {
        if (about->params[i].type == PRONG_VALUES)
            return true;
    }
    return false;
}

/* ---- what it takes ---- */

/* In a query, arrays and what may be anything are JSON text. */
static bool is_json_text(enum prong_type type)
{
    return type == PRONG_VALUES || type == PRONG_JSON;
}

/* With a body the example is there, and none here: what is given in both is refused. */
static json_t *query_parameter(const struct subject *s, uint32_t i, bool has_body)
{
    const struct description_param *p = &s->about->params[i];
    bool is_required = !has_body && (p->required || p->type == PRONG_VALUES);
    json_t *json = json_pack("{s:s, s:s, s:b, s:s}", "name", p->name, "in", "query", "required",
                             is_required, "description", p->help);
    json_t *form = json;

    if (is_json_text(p->type)) {
        form = json_object();
        docs_set(json, "content", json_pack("{s:o}", "application/json", form));
    }
    docs_set(form, "schema",
             json_incref(json_object_get(json_object_get(s->schema, "properties"), p->name)));
    if (!has_body && s->example.values[i] != NULL)
        docs_set(form, "example", json_incref(s->example.values[i]));
    return json;
}

/* In the place of the one that says which kernel. With a body they are only of use beside the input itself, which stands in
 * the place of the values. */
static json_t *parameters(const struct subject *s, const json_t *general, bool has_body)
{
    json_t *array = json_array(), *rest;
    size_t i;

    for (uint32_t at = 0; at < s->about->param_count; at++) {
        if (!has_body || (s->takes_raw && s->about->params[at].type != PRONG_VALUES))
            (void)json_array_append_new(array, query_parameter(s, at, has_body));
    }
    json_array_foreach(general, i, rest)
    {
        if (i > 0)
            (void)json_array_append(array, rest);
    }
    return array;
}

static json_t *example_object(const struct subject *s)
{
    json_t *object = json_object();

    for (uint32_t i = 0; i < s->about->param_count; i++) {
        if (s->example.values[i] != NULL)
            docs_set(object, s->about->params[i].name, json_incref(s->example.values[i]));
    }
    return object;
}

static json_t *body(const struct subject *s, const json_t *components, const char *schema_name)
{
    json_t *json =
        json_deep_copy(json_object_get(json_object_get(components, "requestBodies"), "Compute"));
    json_t *content = json_object_get(json, "content");
    json_t *as_json =
        json_pack("{s:o, s:o}", "schema", docs_reference(components, "schemas", schema_name),
                  "example", example_object(s));

    if (!s->takes_raw) {
        docs_set(json, "description", json_string("The parameters."));
        (void)json_object_clear(content);
    }
    docs_set(content, "application/json", as_json);
    return json;
}

/* ---- what it answers ---- */

static json_t *answer(const struct subject *s, const json_t *components)
{
    json_t *json =
        json_deep_copy(json_object_get(json_object_get(components, "responses"), "Computed"));
    json_t *general = json_object_get(json, "content");
    json_t *content = json_pack("{s:{}}", s->about->media_type);

    if (takes_values(s->about))
        docs_set(content, "application/octet-stream", json_object());
    docs_set(content, "text/event-stream",
             json_incref(json_object_get(general, "text/event-stream")));
    docs_set(json, "content", content);
    return json;
}

static json_t *description(const struct description *about)
{
    char text[DESCRIPTION_TEXT_MAX + 256];

    (void)snprintf(text, sizeof(text), "Version %s.%s%s%s%s%s",
                   *about->version == '\0' ? "?" : about->version,
                   (about->flags & PRONG_PURE) != 0 ? " Pure." : "",
                   (about->flags & PRONG_IDEMPOTENT) != 0 ? " Idempotent." : "",
                   about->has_plan ? " Split over all workers." : "",
                   *about->broken == '\0' ? "" : " It cannot be used: ", about->broken);
    return json_string(text);
}

/* ---- its operations ---- */

static json_t *operation(const struct subject *s, const char *method, const json_t *general,
                         const json_t *components, const char *schema_name)
{
    json_t *json = json_deep_copy(general);
    bool has_body = json_object_get(general, "requestBody") != NULL;
    char id[PRONG_NAME_MAX + 32];

    (void)snprintf(id, sizeof(id), "%s_compute_%s", method, s->about->name);
    docs_set(json, "tags", json_pack("[s]", tag));
    docs_set(json, "operationId", json_string(id));
    docs_set(json, "summary", json_string(s->about->summary));
    docs_set(json, "description", description(s->about));
    docs_set(json, "parameters", parameters(s, json_object_get(general, "parameters"), has_body));
    if (has_body)
        docs_set(json, "requestBody", body(s, components, schema_name));
    docs_set(json_object_get(json, "responses"), "200", answer(s, components));
    return json;
}

static void add_kernel(const struct description *about, json_t *paths, json_t *components)
{
    struct subject s = {.about = about, .schema = params_schema(about)};
    json_t *item = json_object(), *operations = json_object_get(paths, generic), *general;
    char path[PRONG_NAME_MAX + 16], schema_name[PRONG_NAME_MAX + 16];
    const char *method;

    params_given_init(&s.example, about);
    read_example(&s);
    s.takes_raw = about->takes_raw || takes_values(about);
    (void)snprintf(path, sizeof(path), "/compute/%s", about->name);
    (void)snprintf(schema_name, sizeof(schema_name), "%s.params", about->name);
    docs_set(json_object_get(components, "schemas"), schema_name, json_incref(s.schema));
    json_object_foreach(operations, method, general)
    {
        if (strcmp(method, "get") != 0 || (about->flags & PRONG_PURE) != 0)
            docs_set(item, method, operation(&s, method, general, components, schema_name));
    }
    docs_set(paths, path, item);
    params_given_release(&s.example);
    json_decref(s.schema);
}

void docs_add_kernels(const struct docs *docs, json_t *paths, json_t *components)
{
    for (unsigned i = 0; i < docs->kernel_count; i++)
        add_kernel(docs->kernels[i]->about, paths, components);
}
