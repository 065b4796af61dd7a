#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/docs/docs.h"
#include "base/buf.h"

static const char *const words[] = {"sqrt", "exp", NULL};
static const struct prong_param numbers_params[] = {
    PRONG_PARAM_CHOICE("fn", words, "exp", "which"),
    PRONG_PARAM_VALUES("values", 4, "numbers"),
};
static const struct prong_param writer_params[] = {
    PRONG_PARAM_INT("limit", 0, 100, 10, "how far"),
    PRONG_PARAM_TEXT("message", 5, "hello", "what to say"),
    PRONG_PARAM_JSON("doc", 20, "any value"),
};

static const struct prong_kernel numbers = {.size = sizeof(numbers),
                                            .name = "numbers",
                                            .version = "3",
                                            .summary = "Does something to numbers.",
                                            .media_type = "application/json",
                                            .example = "fn=sqrt&values=[1,4.5]",
                                            .flags = PRONG_PURE,
                                            .params = numbers_params,
                                            .param_count = ARRAY_SIZE(numbers_params)};
static const struct prong_kernel writer = {.size = sizeof(writer),
                                           .name = "writer",
                                           .version = "1",
                                           .media_type = "image/png",
                                           .example = "limit=7&message=a%20b&nobody=1&%zz",
                                           .params = writer_params,
                                           .param_count = ARRAY_SIZE(writer_params)};

static struct kernel offered[2];
static const struct kernel *const served[] = {&offered[0], &offered[1]};
static struct router router;
static json_t *document;

static struct description *about(const struct prong_kernel *kernel, const char *broken)
{
    struct description *d = NULL;
    struct buf b;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    assert_int_equal(description_encode(&b, kernel, broken), 0);
    assert_int_equal(description_decode(b.data, b.size, &d), 0);
    buf_release(&b);
    return d;
}

static json_t *made(bool wants_token)
{
    struct docs docs = {
        .router = &router, .kernels = served, .kernel_count = 2, .wants_token = wants_token};
    json_t *json = docs_document(&docs);

    assert_non_null(json);
    return json;
}

static int set_up(void **state)
{
    (void)state;
    offered[0].about = about(&numbers, NULL);
    offered[1].about = about(&writer, "its self-test failed");
    router = api_router();
    document = made(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(document);
    free(offered[0].about);
    free(offered[1].about);
    return 0;
}

/* The member that a JSON pointer's names lead to: at(json, "paths", "/jobs", "get", NULL). */
static json_t *find(json_t *json, const char *name, va_list names)
{
    for (; name != NULL; name = va_arg(names, const char *))
        json = json_object_get(json, name);
    return json;
}

static json_t *at(json_t *json, const char *name, ...)
{
    va_list names;
    json_t *found;

    va_start(names, name);
    found = find(json, name, names);
    va_end(names);
    assert_non_null(found);
    return found;
}

static const char *text_at(json_t *json, const char *name)
{
    const char *text = json_string_value(at(json, name, NULL));

    assert_non_null(text);
    return text;
}

/* ---- the table ---- */

static void test_every_route_is_documented_and_nothing_else(void **state)
{
    size_t count;
    const struct operation *operations = docs_operations(&count);

    (void)state;
    for (size_t i = 0; i < router.count; i++) {
        if (docs_find(router.routes[i].method, router.routes[i].pattern) == NULL)
            fail_msg("src/api/docs/operations.def has no row for %s %s",
                     http_method_names[router.routes[i].method], router.routes[i].pattern);
    }
    for (size_t i = 0; i < count; i++) {
        size_t at_route = 0;
        while (at_route < router.count &&
               (router.routes[at_route].method != operations[i].method ||
                strcmp(router.routes[at_route].pattern, operations[i].pattern) != 0))
            at_route++;
        if (at_route == router.count)
            fail_msg("there is no route %s %s", http_method_names[operations[i].method],
                     operations[i].pattern);
    }
    assert_int_equal(count, router.count);
}

static void test_rows_say_what_they_must(void **state)
{
    size_t count;
    const struct operation *operations = docs_operations(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_true(*operations[i].id != '\0' && *operations[i].summary != '\0');
        assert_true(*operations[i].answers != '\0');
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(operations[i].id, operations[j].id);
        /* Both are anchors of one page. */
        for (unsigned p = 0; p < PROBLEM_COUNT; p++)
            assert_string_not_equal(operations[i].id, problem_about(p)->fragment);
    }
}

static void test_every_tag_is_told(void **state)
{
    json_t *tags = at(document, "tags", NULL), *path, *operation, *tag;
    const char *pattern, *method;
    size_t i;

    (void)state;
    json_object_foreach(at(document, "paths", NULL), pattern, path)
    {
        json_object_foreach(path, method, operation)
        {
            bool is_told = false;
            json_array_foreach(tags, i, tag) is_told |=
                strcmp(text_at(tag, "name"),
                       json_string_value(json_array_get(at(operation, "tags", NULL), 0))) == 0;
            assert_true(is_told);
        }
    }
}

/* ---- references ---- */

/* Calls `each` for the target of every $ref below. */
static void each_reference(json_t *json, void (*each)(const char *target))
{
    json_t *value;
    const char *name;
    size_t i;

    json_array_foreach(json, i, value) each_reference(value, each);
    json_object_foreach(json, name, value)
    {
        if (strcmp(name, "$ref") == 0)
            each(json_string_value(value));
        each_reference(value, each);
    }
}

static json_t *used;

static void resolve(const char *target)
{
    char kind[32], name[256];

    assert_int_equal(sscanf(target, "#/components/%31[^/]/%255s", kind, name), 2);
    if (json_object_get(at(document, "components", kind, NULL), name) == NULL)
        fail_msg("%s is not there", target);
    assert_int_equal(json_object_set_new(used, target, json_true()), 0);
}

static void test_references_lead_somewhere_and_nothing_is_left_over(void **state)
{
    static const char *const only_copied[] = {"#/components/requestBodies/Compute"};
    json_t *kinds = at(document, "components", NULL), *components, *component;
    const char *kind, *name;
    char target[320];

    (void)state;
    used = json_object();
    each_reference(document, resolve);
    for (size_t i = 0; i < ARRAY_SIZE(only_copied); i++)
        (void)json_object_set_new(used, only_copied[i], json_true());
    json_object_foreach(kinds, kind, components)
    {
        json_object_foreach(components, name, component)
        {
            (void)snprintf(target, sizeof(target), "#/components/%s/%s", kind, name);
            if (json_object_get(used, target) == NULL)
                fail_msg("nothing refers to %s", target);
        }
    }
    json_decref(used);
}

/* The parameter itself, wherever it is. */
static json_t *parameter_of(json_t *parameter)
{
    const char *reference = json_string_value(json_object_get(parameter, "$ref"));

    if (reference == NULL)
        return parameter;
    return at(document, "components", "parameters", strrchr(reference, '/') + 1, NULL);
}

static json_t *parameter_named(json_t *operation, const char *in, const char *name)
{
    json_t *parameter, *found = NULL;
    size_t i;

    json_array_foreach(at(operation, "parameters", NULL), i, parameter)
    {
        parameter = parameter_of(parameter);
        if (strcmp(text_at(parameter, "in"), in) == 0 &&
            strcmp(text_at(parameter, "name"), name) == 0) {
            assert_null(found); /* once */
            found = parameter;
        }
    }
    return found;
}

static void test_the_parts_of_a_path_are_parameters(void **state)
{
    json_t *path, *operation;
    const char *pattern, *method;
    char name[64];

    (void)state;
    json_object_foreach(at(document, "paths", NULL), pattern, path)
    {
        json_object_foreach(path, method, operation)
        {
            for (const char *p = strchr(pattern, '{'); p != NULL; p = strchr(p + 1, '{')) {
                assert_int_equal(sscanf(p, "{%63[^}]}", name), 1);
                assert_non_null(parameter_named(operation, "path", name));
            }
        }
    }
}

/* ---- problems ---- */

static void test_every_problem_is_told_with_what_to_do(void **state)
{
    json_t *problems = at(document, "x-problems", NULL);
    json_t *types = at(document, "components", "schemas", "ProblemType", "enum", NULL);

    (void)state;
    assert_int_equal(json_array_size(problems), PROBLEM_COUNT);
    assert_int_equal(json_array_size(types), PROBLEM_COUNT);
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        json_t *problem = json_array_get(problems, i);
        const char *advice = text_at(problem, "advice");
        char type[64];
        assert_string_equal(text_at(problem, "name"), problem_about(i)->fragment);
        assert_int_equal(json_integer_value(at(problem, "status", NULL)), problem_about(i)->status);
        assert_true(isupper((unsigned char)advice[0]) && advice[strlen(advice) - 1] == '.');
        (void)snprintf(type, sizeof(type), "/docs#%s", problem_about(i)->fragment);
        assert_string_equal(json_string_value(json_array_get(types, i)), type);
    }
}

static void test_problems_of_one_status_are_one_answer(void **state)
{
    json_t *answers = at(document, "paths", "/jobs/{id}/result", "get", "responses", NULL);
    json_t *answer = at(document, "components", "responses", "conflict.not-done", NULL);

    (void)state;
    assert_string_equal(text_at(at(answers, "409", NULL), "$ref"),
                        "#/components/responses/conflict.not-done");
    assert_int_equal(json_array_size(at(answer, "x-problems", NULL)), 2);
    assert_string_equal(text_at(answer, "description"),
                        "`conflict`: Conflict. `not-done`: The job has not ended.");
    assert_non_null(at(answers, "default", NULL));
}

/* ---- kernels ---- */

static void test_a_pure_kernel_has_both_methods(void **state)
{
    json_t *get = at(document, "paths", "/compute/numbers", "get", NULL);
    json_t *values = parameter_named(get, "query", "values");
    json_t *fn = parameter_named(get, "query", "fn");

    (void)state;
    assert_string_equal(text_at(get, "operationId"), "get_compute_numbers");
    assert_string_equal(text_at(get, "summary"), "Does something to numbers.");
    assert_true(json_is_true(at(values, "required", NULL)));
    assert_int_equal(json_array_size(at(values, "content", "application/json", "example", NULL)),
                     2);
    assert_true(json_is_false(at(fn, "required", NULL)));
    assert_string_equal(text_at(fn, "example"), "sqrt");
    assert_int_equal(json_array_size(at(fn, "schema", "enum", NULL)), 2);
    assert_non_null(parameter_named(get, "header", "Prong-Timeout"));
    assert_null(parameter_named(get, "path", "kernel"));
    assert_non_null(at(document, "paths", "/compute/numbers", "post", NULL));
}

static void test_the_input_stands_in_the_place_of_the_values(void **state)
{
    json_t *post = at(document, "paths", "/compute/numbers", "post", NULL);
    json_t *content = at(post, "requestBody", "content", NULL);
    json_t *answer = at(post, "responses", "200", "content", NULL);

    (void)state;
    assert_null(parameter_named(post, "query", "values"));
    assert_true(json_is_false(at(parameter_named(post, "query", "fn"), "required", NULL)));
    assert_null(json_object_get(parameter_named(post, "query", "fn"), "example"));
    assert_non_null(at(content, "application/octet-stream", NULL));
    assert_string_equal(text_at(at(content, "application/json", "schema", NULL), "$ref"),
                        "#/components/schemas/numbers.params");
    assert_string_equal(text_at(at(content, "application/json", "example", NULL), "fn"), "sqrt");
    assert_non_null(at(answer, "application/octet-stream", NULL));
    assert_non_null(at(answer, "text/event-stream", "x-events", "result", NULL));
}

static void test_a_kernel_that_is_not_pure_takes_post_alone(void **state)
{
    json_t *path = at(document, "paths", "/compute/writer", NULL);
    json_t *post = at(path, "post", NULL);
    json_t *content = at(post, "requestBody", "content", NULL);

    (void)state;
    assert_int_equal(json_object_size(path), 1);
    assert_int_equal(json_object_size(content), 1); /* nothing but JSON */
    assert_null(parameter_named(post, "query", "limit"));
    assert_non_null(at(post, "responses", "200", "content", "image/png", NULL));
    assert_null(json_object_get(at(post, "responses", "200", "content", NULL), "application/json"));
    assert_non_null(strstr(text_at(post, "description"), "its self-test failed"));
}

static void test_an_example_that_cannot_be_read_is_left_out(void **state)
{
    json_t *example = at(document, "paths", "/compute/writer", "post", "requestBody", "content",
                         "application/json", "example", NULL);

    (void)state;
    assert_int_equal(json_object_size(example), 0);
}

/* ---- the token ---- */

static void test_the_token_is_told_when_it_is_wanted(void **state)
{
    json_t *guarded = made(true);

    (void)state;
    assert_null(json_object_get(document, "security"));
    assert_null(json_object_get(at(document, "components", NULL), "securitySchemes"));
    assert_string_equal(
        text_at(at(guarded, "components", "securitySchemes", "token", NULL), "scheme"), "bearer");
    assert_int_equal(json_array_size(at(guarded, "security", NULL)), 1);
    assert_int_equal(json_array_size(at(guarded, "paths", "/livez", "get", "security", NULL)), 0);
    assert_null(json_object_get(at(guarded, "paths", "/status", "get", NULL), "security"));
    json_decref(guarded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_documented_and_nothing_else),
        cmocka_unit_test(test_rows_say_what_they_must),
        cmocka_unit_test(test_every_tag_is_told),
        cmocka_unit_test(test_references_lead_somewhere_and_nothing_is_left_over),
        cmocka_unit_test(test_the_parts_of_a_path_are_parameters),
        cmocka_unit_test(test_every_problem_is_told_with_what_to_do),
        cmocka_unit_test(test_problems_of_one_status_are_one_answer),
        cmocka_unit_test(test_a_pure_kernel_has_both_methods),
        cmocka_unit_test(test_the_input_stands_in_the_place_of_the_values),
        cmocka_unit_test(test_a_kernel_that_is_not_pure_takes_post_alone),
        cmocka_unit_test(test_an_example_that_cannot_be_read_is_left_out),
        cmocka_unit_test(test_the_token_is_told_when_it_is_wanted),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
