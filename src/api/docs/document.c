#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/docs/internal.h"
#include "http/response.h"

static const char about[] =
    "An HTTP server that puts CPU-bound work behind HTTP: threads take the requests, forked "
    "processes do the work. "
    "Every answer has an X-Request-Id. Every error is application/problem+json with a sentence "
    "that says what to do, and a "
    "type under /docs. HEAD is answered wherever GET is, and OPTIONS everywhere.";

static const struct {
    const char *name, *description;
} tags[] = {
#define TAG(name, description) {name, description},
#define OPERATION(...)
#include "api/docs/operations.def"
#undef OPERATION
#undef TAG
};

void docs_set(json_t *object, const char *key, json_t *value)
{
    if (value != NULL)
        (void)json_object_set_new(object, key, value);
}

json_t *docs_reference(const json_t *components, const char *kind, const char *name)
{
    char text[128];

    CHECK(json_object_get(json_object_get(components, kind), name) != NULL);
    (void)snprintf(text, sizeof(text), "#/components/%s/%s", kind, name);
    return json_pack("{s:s}", "$ref", text);
}

static json_t *info(void)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "title", "Prong", "version", PRONG_VERSION,
                     "description", about, "license", "name", "MIT", "identifier", "MIT");
}

static json_t *tags_json(void)
{
    json_t *array = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
        (void)json_array_append_new(array, json_pack("{s:s, s:s}", "name", tags[i].name,
                                                     "description", tags[i].description));
    return array;
}

/* ---- problems ---- */

static json_t *problems_json(void)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        const struct problem *p = problem_about(i);
        (void)json_array_append_new(array, json_pack("{s:s, s:i, s:s, s:s}", "name", p->fragment,
                                                     "status", (int)p->status, "title", p->title,
                                                     "advice", p->advice));
    }
    return array;
}

static json_t *problem_types(void)
{
    json_t *types = json_array();
    char type[64];

    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        (void)snprintf(type, sizeof(type), "/docs#%s", problem_about(i)->fragment);
        (void)json_array_append_new(types, json_string(type));
    }
    return json_pack("{s:s, s:s, s:o}", "type", "string", "description",
                     "What kind it is, and where to read of it.", "enum", types);
}

/* ---- the whole ---- */

static json_t *components_json(const struct docs *docs)
{
    static const char *const kinds[] = {"schemas", "parameters", "requestBodies", "responses",
                                        "headers"};
    json_t *components = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        json_t *written = docs_written(kinds[i]);
        if (written == NULL) {
            json_decref(components);
            return NULL;
        }
        docs_set(components, kinds[i], written);
    }
    docs_set(json_object_get(components, "schemas"), "ProblemType", problem_types());
    if (docs->wants_token)
        docs_set(components, "securitySchemes",
                 json_pack("{s:{s:s, s:s, s:s}}", "token", "type", "http", "scheme", "bearer",
                           "description", "The first line of the server's --token-file."));
    return components;
}

static void lower(const char *text, char *out, size_t capacity)
{
    size_t n = 0;

    for (; n < capacity - 1 && text[n] != '\0'; n++)
        out[n] = (char)tolower((unsigned char)text[n]);
    out[n] = '\0';
}

static json_t *paths_json(const struct docs *docs, json_t *components)
{
    json_t *paths = json_object();

    for (size_t i = 0; i < docs->router->count; i++) {
        const struct route *route = &docs->router->routes[i];
        const struct operation *op = docs_find(route->method, route->pattern);
        char method[16];
        if (op == NULL)
            continue;
        if (json_object_get(paths, route->pattern) == NULL)
            docs_set(paths, route->pattern, json_object());
        lower(http_method_names[route->method], method, sizeof(method));
        docs_set(json_object_get(paths, route->pattern), method,
                 docs_operation(docs, route, op, components));
    }
    return paths;
}

json_t *docs_document(const struct docs *docs)
{
    json_t *components = components_json(docs);
    json_t *document, *paths;

    if (components == NULL)
        return NULL;
    paths = paths_json(docs, components);
    docs_add_kernels(docs, paths, components);
    document = json_pack("{s:s, s:o, s:[{s:s}], s:o}", "openapi", "3.1.0", "info", info(),
                         "servers", "url", "/", "tags", tags_json());
    if (docs->wants_token)
        docs_set(document, "security", json_pack("[{s:[]}]", "token"));
    docs_set(document, "paths", paths);
    docs_set(document, "components", components);
    docs_set(document, "x-problems", problems_json());
    return document;
}
