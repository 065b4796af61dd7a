#include "http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

enum { ALL_OF_ITEMS = 1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_PUT | 1u << HTTP_OPTIONS };

static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/items"},
    {.method = HTTP_GET, .pattern = "/items/{key}"},
    {.method = HTTP_PUT, .pattern = "/items/{key}"},
    {.method = HTTP_POST, .pattern = "/items/{key}/add"},
    {.method = HTTP_GET, .pattern = "/items/{key}/of/{owner}"},
    {.method = HTTP_DELETE, .pattern = "/"},
    {.method = HTTP_POST, .pattern = "/sheet", .flags = ROUTE_BESIDE_PAGE},
};
static const struct router router = {.routes = routes, .count = ARRAY_SIZE(routes)};

struct found {
    const struct route *route;
    const char *parts[REQUEST_PATH_PARTS_MAX];
    unsigned allowed;
    char storage[256];
};

static void find_in(struct found *f, const struct router *table, enum http_method method,
                    const char *path)
{
    memset(f, 0, sizeof(*f));
    f->route =
        router_find(table, method, path, f->parts, f->storage, sizeof(f->storage), &f->allowed);
}

/* The same, whether the table is prepared or not. */
static struct found *find(enum http_method method, const char *path)
{
    static struct found f;
    struct router prepared = router;
    struct found unprepared;

    router_prepare(&prepared);
    find_in(&unprepared, &router, method, path);
    find_in(&f, &prepared, method, path);
    assert_ptr_equal(f.route, unprepared.route);
    assert_int_equal(f.allowed, unprepared.allowed);
    return &f;
}

static void a_literal_path_is_found(void **state)
{
    (void)state;
    assert_ptr_equal(find(HTTP_GET, "/items")->route, &routes[0]);
    assert_ptr_equal(find(HTTP_DELETE, "/")->route, &routes[5]);
}

static void head_is_served_by_get(void **state)
{
    (void)state;
    assert_ptr_equal(find(HTTP_HEAD, "/items")->route, &routes[0]);
}

static void names_become_decoded_parts(void **state)
{
    const struct found *f = find(HTTP_GET, "/items/caf%C3%A9/of/a%20b");

    (void)state;
    assert_ptr_equal(f->route, &routes[4]);
    assert_string_equal(f->parts[0], "caf\xc3\xa9");
    assert_string_equal(f->parts[1], "a b");
}

static void an_escaped_slash_is_no_border(void **state)
{
    const struct found *f = find(HTTP_PUT, "/items/a%2Fb");

    (void)state;
    assert_ptr_equal(f->route, &routes[2]);
    assert_string_equal(f->parts[0], "a/b");
    assert_null(find(HTTP_GET, "%2Fitems")->route);
}

static void an_escaped_letter_is_that_letter(void **state)
{
    (void)state;
    assert_ptr_equal(find(HTTP_GET, "/%69tems")->route, &routes[0]);
}

static void a_route_that_begins_with_a_name_takes_any_letter(void **state)
{
    static const struct route any[] = {{.method = HTTP_PUT, .pattern = "/fixed"},
                                       {.method = HTTP_GET, .pattern = "/{name}"}};
    struct router table = {.routes = any, .count = ARRAY_SIZE(any)};
    struct found f;

    (void)state;
    router_prepare(&table);
    find_in(&f, &table, HTTP_GET, "/\xc3\xa9");
    assert_ptr_equal(f.route, &any[1]);
    find_in(&f, &table, HTTP_GET, "/fixed");
    assert_ptr_equal(f.route, &any[1]);
}

static void a_table_without_routes_knows_none(void **state)
{
    struct router empty = {.count = 0};
    struct found f;

    (void)state;
    router_prepare(&empty);
    find_in(&f, &empty, HTTP_GET, "/");
    assert_null(f.route);
    assert_int_equal(f.allowed, 0);
}

static void what_only_resembles_a_route_is_none(void **state)
{
    static const char *const paths[] = {"/item",      "/itemss",    "/items/",
                                        "//items",    "/items//",   "/items/a/",
                                        "/items/a/b", "items",      "",
                                        "*",          "/Items",     "/items/{key}/x",
                                        "/items/%",   "/items/%4",  "/items/%zz",
                                        "/items/%00", "/items/a b", "/a/b/c/d/e/f/g/h/i/j"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        const struct found *f = find(HTTP_GET, paths[i]);
        assert_null(f->route);
        assert_int_equal(f->allowed, 0);
    }
}

static void another_method_tells_which_are_allowed(void **state)
{
    const struct found *f = find(HTTP_DELETE, "/items/a");
    char text[64];

    (void)state;
    assert_null(f->route);
    assert_int_equal(f->allowed, ALL_OF_ITEMS);
    router_allow_text(f->allowed, text, sizeof(text));
    assert_string_equal(text, "GET, HEAD, PUT, OPTIONS");
    assert_int_equal(find(HTTP_GET, "/items/a/add")->allowed, 1u << HTTP_POST | 1u << HTTP_OPTIONS);
}

static void a_page_may_have_the_path_of_a_route(void **state)
{
    (void)state;
    assert_ptr_equal(find(HTTP_POST, "/sheet")->route, &routes[6]);
    assert_int_equal(find(HTTP_GET, "/sheet")->allowed, 0);
    assert_int_equal(find(HTTP_HEAD, "/sheet")->allowed, 0);
    assert_int_equal(find(HTTP_PUT, "/sheet")->allowed,
                     1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_POST | 1u << HTTP_OPTIONS);
}

static void parts_that_do_not_fit_are_no_match(void **state)
{
    char path[400] = "/items/";

    (void)state;
    memset(path + 7, 'x', 300);
    assert_null(find(HTTP_GET, path)->route);
}

static void allow_text_is_cut_where_it_does_not_fit(void **state)
{
    char text[8];

    (void)state;
    router_allow_text(ALL_OF_ITEMS, text, sizeof(text));
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_path_is_found),
        cmocka_unit_test(head_is_served_by_get),
        cmocka_unit_test(names_become_decoded_parts),
        cmocka_unit_test(an_escaped_slash_is_no_border),
        cmocka_unit_test(an_escaped_letter_is_that_letter),
        cmocka_unit_test(a_route_that_begins_with_a_name_takes_any_letter),
        cmocka_unit_test(a_table_without_routes_knows_none),
        cmocka_unit_test(what_only_resembles_a_route_is_none),
        cmocka_unit_test(another_method_tells_which_are_allowed),
        cmocka_unit_test(a_page_may_have_the_path_of_a_route),
        cmocka_unit_test(parts_that_do_not_fit_are_no_match),
        cmocka_unit_test(allow_text_is_cut_where_it_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
