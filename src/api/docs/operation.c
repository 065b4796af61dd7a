#include <stdio.h>
#include <string.h>

#include "api/docs/internal.h"
#include "http/response.h"

enum { WORD_BYTES = 64, TEXT_BYTES = 1024 };

static const struct operation operations[] = {
#define TAG(name, description)
#define OPERATION(method, pattern, tag, id, summary, description, takes, body, answers, problems)  \
    {HTTP_##method, pattern, tag, id, summary, description, takes, body, answers, problems},
#include "api/docs/operations.def"
#undef OPERATION
#undef TAG
};

const struct operation *docs_operations(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(operations);
    return operations;
}

const struct operation *docs_find(enum http_method method, const char *pattern)
{
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        if (operations[i].method == method && strcmp(operations[i].pattern, pattern) == 0)
            return &operations[i];
    }
    return NULL;
}

/* The next word of a list, up to a blank, a comma, a dot or a brace; false at its end. */
static bool next_word(const char **list, char word[WORD_BYTES])
{
    size_t n;

    *list += strspn(*list, " ,.");
    n = strcspn(*list, " ,.}");
    CHECK(n < WORD_BYTES);
    memcpy(word, *list, n);
    word[n] = '\0';
    *list += n;
    return n > 0;
}

/* ---- what it takes ---- */

static json_t *parameters(const struct operation *op, const json_t *components)
{
    json_t *array = json_array();
    char word[WORD_BYTES];

    for (const char *p = strchr(op->pattern, '{'); p != NULL; p = strchr(p, '{')) {
        p++;
        CHECK(next_word(&p, word));
        (void)json_array_append_new(array, docs_reference(components, "parameters", word));
    }
    for (const char *p = op->takes; next_word(&p, word);)
        (void)json_array_append_new(array, docs_reference(components, "parameters", word));
    return array;
}

/* ---- what it answers ---- */

static const struct problem *problem_of(const char *fragment)
{
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        if (strcmp(problem_about(i)->fragment, fragment) == 0)
            return problem_about(i);
    }
    CHECK(false);
}

/* An answer that is one of these problems, "poison.reload-failed"; each is named in the text, and for programs under
 * x-problems. */
static json_t *problem_answer(const char *fragments, const json_t *components)
{
    json_t *answer =
        json_deep_copy(json_object_get(json_object_get(components, "responses"), "Problem"));
    json_t *names = json_array();
    char text[TEXT_BYTES], word[WORD_BYTES];
    size_t n = 0;

    for (const char *p = fragments; next_word(&p, word);) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s`%s`: %s.", n == 0 ? "" : " ", word,
                              problem_of(word)->title);
        CHECK(n < sizeof(text));
        (void)json_array_append_new(names, json_string(word));
    }
    docs_set(answer, "description", json_string(text));
    docs_set(answer, "x-problems", names);
    return answer;
}

/* Many operations have the same ones, so they are components. */
static json_t *problem_reference(const char *fragments, json_t *components)
{
    json_t *responses = json_object_get(components, "responses");

    if (json_object_get(responses, fragments) == NULL)
        docs_set(responses, fragments, problem_answer(fragments, components));
    return docs_reference(components, "responses", fragments);
}

/* The problems by status, the fragments of each with dots between. */
static json_t *problems_by_status(const struct operation *op)
{
    json_t *object = json_object();
    char word[WORD_BYTES], status[8], joined[TEXT_BYTES];

    for (const char *p = op->problems; next_word(&p, word);) {
        const char *before;
        (void)snprintf(status, sizeof(status), "%u", problem_of(word)->status);
        before = json_string_value(json_object_get(object, status));
        (void)snprintf(joined, sizeof(joined), "%s%s%s", before == NULL ? "" : before,
                       before == NULL ? "" : ".", word);
        docs_set(object, status, json_string(joined));
    }
    return object;
}

static json_t *answers(const struct operation *op, json_t *components)
{
    json_t *object = json_object(), *problems = problems_by_status(op), *fragments;
    char status[WORD_BYTES], name[WORD_BYTES];
    const char *of;

    for (const char *p = op->answers; next_word(&p, status);) {
        CHECK(next_word(&p, name));
        docs_set(object, status, docs_reference(components, "responses", name));
    }
    json_object_foreach(problems, of, fragments)
    {
        docs_set(object, of, problem_reference(json_string_value(fragments), components));
    }
    docs_set(object, "default", docs_reference(components, "responses", "Problem"));
    json_decref(problems);
    return object;
}

json_t *docs_operation(const struct docs *docs, const struct route *route,
                       const struct operation *op, json_t *components)
{
    json_t *json = json_pack("{s:[s], s:s, s:s}", "tags", op->tag, "operationId", op->id, "summary",
                             op->summary);

    if (*op->description != '\0')
        docs_set(json, "description", json_string(op->description));
    docs_set(json, "parameters", parameters(op, components));
    if (*op->body != '\0')
        docs_set(json, "requestBody", docs_reference(components, "requestBodies", op->body));
    docs_set(json, "responses", answers(op, components));
    if (docs->wants_token && (route->flags & ROUTE_OPEN) != 0)
        docs_set(json, "security", json_array());
    return json;
}
