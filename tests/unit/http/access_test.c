#include "http/access.h"

#include <errno.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "http/response.h"
#include "http/router.h"

static const struct route route = {.pattern = "/"};

static struct access *made(struct access_config config)
{
    struct access *access = NULL;
    struct err err;

    if (config.url == NULL)
        config.url = "http://127.0.0.1:8080";
    if (config.listen == NULL)
        config.listen = "127.0.0.1:8080";
    assert_int_equal(access_new(&access, &config, &err), 0);
    return access;
}

static struct request asked(enum http_method method, const char *host, const char *origin,
                            const char *site)
{
    struct request r = {.method = method, .route = &route};

    r.headers.values[HEADER_HOST] = host;
    r.headers.values[HEADER_ORIGIN] = origin;
    r.headers.values[HEADER_SEC_FETCH_SITE] = site;
    return r;
}

/* The status of the refusal; 0: it may go on. */
static unsigned judge(const struct access *access, struct request *r, bool is_open)
{
    bool may = access_judge(access, r, is_open);

    assert_int_equal(may, !request_is_answered(r));
    return may ? 0 : r->status;
}

static unsigned judge_once(const struct access *access, struct request r)
{
    unsigned status = judge(access, &r, false);

    if (r.response != NULL)
        MHD_destroy_response(r.response);
    return status;
}

static void assert_host(const struct access *access, const char *host, unsigned status)
{
    unsigned got = judge_once(access, asked(HTTP_GET, host, NULL, NULL));

    if (got != status)
        fail_msg("Host %s: %u, not %u", host, got, status);
}

static void only_our_names_are_ours(void **state)
{
    struct access *access = made((struct access_config) {
        .url = "http://127.0.0.2:8080", .listen = "Box:8080", .hosts = "prong.example, 10.0.0.7"});
    static const char *const ours[] = {"localhost",       "LOCALHOST.:1",      "127.0.0.1:8080",
                                       "127.0.0.1:65535", "localhost:",        "[::1]",
                                       "[0:0::1]:99",     "127.0.0.2",         "box",
                                       "BOX:8080",        "Prong.Example:443", "prong.example.",
                                       "10.0.0.7"};
    static const char *const others[] = {"",
                                         "evil.example",
                                         "prong.example.evil",
                                         "10.0.0.8",
                                         "xlocalhost",
                                         "127.0.0.3",
                                         "[::2]",
                                         "localhost@evil",
                                         "*",
                                         "localhost,x",
                                         "evil.example:8080",
                                         "127.0.0.1:65536",
                                         "127.0.0.1:99999999999999999999",
                                         "localhost:80x",
                                         "localhost:80:80",
                                         "localhost:+1",
                                         "local"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        assert_host(access, ours[i], 0);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_host(access, others[i], 421);
    access = access_free(access);
}

static void a_wildcard_address_takes_addresses_but_no_names(void **state)
{
    static const char *const wildcards[] = {"http://0.0.0.0:1", "http://[::]:1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wildcards); i++) {
        struct access *access =
            made((struct access_config) {.url = wildcards[i], .listen = wildcards[i] + 7});
        assert_host(access, "192.0.2.1:1", 0);
        assert_host(access, "[2001:db8::1]", 0);
        assert_host(access, "localhost", 0);
        assert_host(access, "evil.example", 421);
        assert_host(access, "192.0.2.1.evil.example", 421);
        access = access_free(access);
    }
}

static void a_star_takes_any_name_but_no_rubbish(void **state)
{
    struct access *access = made((struct access_config) {.hosts = "x,*"});

    (void)state;
    assert_host(access, "anything.example", 0);
    assert_host(access, "a b", 421);
    access = access_free(access);
}

static void an_absolute_target_counts_for_more(void **state)
{
    struct access *access = made((struct access_config) {.hosts = NULL});
    struct request r = asked(HTTP_GET, "localhost", NULL, NULL);

    (void)state;
    r.parts_of_target.authority = "evil.example/path";
    r.parts_of_target.authority_bytes = 12;
    assert_int_equal(judge_once(access, r), 421);
    r = asked(HTTP_GET, "evil.example", NULL, NULL);
    r.parts_of_target.authority = "localhost:80/path";
    r.parts_of_target.authority_bytes = 12;
    assert_int_equal(judge_once(access, r), 0);
    access = access_free(access);
}

static void http_1_0_may_be_nameless_on_loopback_only(void **state)
{
    struct access *here = made((struct access_config) {.hosts = NULL});
    struct access *there =
        made((struct access_config) {.url = "http://0.0.0.0:1", .listen = "0.0.0.0:1"});
    struct request r = asked(HTTP_GET, NULL, NULL, NULL);

    (void)state;
    assert_int_equal(judge_once(here, r), 421);
    r.is_http_1_0 = true;
    assert_int_equal(judge_once(here, r), 0);
    assert_int_equal(judge_once(there, r), 421);
    here = access_free(here);
    there = access_free(there);
}

static void pages_of_others_change_nothing(void **state)
{
    static const struct {
        const char *origin, *site;
        unsigned status;
    } cases[] = {
        {NULL, NULL, 0},
        {NULL, "none", 0},
        {NULL, "same-origin", 0},
        {NULL, "cross-site", 403},
        {NULL, "Same-Site", 403},
        {"http://127.0.0.1:8080", "same-origin", 0},
        {"http://127.0.0.1:8080", NULL, 0},
        {"https://127.0.0.1:8080", NULL, 403},
        {"http://127.0.0.1:3000", "same-site", 403},
        {"http://127.0.0.1", NULL, 403},
        {"http://localhost:8080", NULL, 403},
        {"http://evil.example", "cross-site", 403},
        {"null", NULL, 403},
        {"", NULL, 403},
        {"http://127.0.0.1:8080 http://evil.example", NULL, 403},
        {"https://lab.example", "cross-site", 0},
        {"https://LAB.example:443", "cross-site", 0},
        {"http://lab.example", NULL, 403},
        {"https://lab.example:8443", NULL, 403},
        {"https://x.lab.example", NULL, 403},
    };
    static const enum http_method changing[] = {HTTP_POST, HTTP_PUT, HTTP_DELETE};
    static const enum http_method reading[] = {HTTP_GET, HTTP_HEAD, HTTP_OPTIONS};
    struct access *access =
        made((struct access_config) {.origins = "https://lab.example, http://other.example:1"});

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(changing); k++) {
            unsigned status = judge_once(
                access, asked(changing[k], "127.0.0.1:8080", cases[i].origin, cases[i].site));
            if (status != cases[i].status)
                fail_msg("Origin %s, %s: %u", cases[i].origin, cases[i].site, status);
        }
        for (size_t k = 0; k < ARRAY_SIZE(reading); k++)
            assert_int_equal(judge_once(access, asked(reading[k], "127.0.0.1:8080", cases[i].origin,
                                                      cases[i].site)),
                             0);
    }
    access = access_free(access);
}

static void our_own_origin_has_our_scheme(void **state)
{
    struct access *access = made((struct access_config) {.url = "https://127.0.0.1:443"});

    (void)state;
    assert_int_equal(judge_once(access, asked(HTTP_POST, "localhost", "https://localhost", NULL)),
                     0);
    assert_int_equal(
        judge_once(access, asked(HTTP_POST, "localhost:443", "https://localhost", NULL)), 0);
    assert_int_equal(judge_once(access, asked(HTTP_POST, "localhost", "http://localhost", NULL)),
                     403);
    access = access_free(access);
}

static void bad_options_are_named(void **state)
{
    static const char *const hosts[] = {"",     "a,",       ",a",  "a,,b", "a b",
                                        "a:80", "http://a", "a/b", "::1",  "*.example"};
    static const char *const origins[] = {
        "",       "*", "null", "lab.example", "https://a/", "https://a,", "https://a https://b",
        "ftp://a"};
    struct access_config config = {.url = "http://127.0.0.1:1", .listen = "127.0.0.1:1"};
    struct access *access = NULL;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        config.hosts = hosts[i];
        assert_int_equal(access_new(&access, &config, &err), -EINVAL);
        assert_non_null(strstr(err.text, "--hosts"));
    }
    config.hosts = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(origins); i++) {
        config.origins = origins[i];
        assert_int_equal(access_new(&access, &config, &err), -EINVAL);
        assert_non_null(strstr(err.text, "--origins"));
    }
    assert_null(access);
}

static const char *header_of(struct request *r, const char *name)
{
    const char *value = MHD_get_response_header(r->response, name);

    return value == NULL ? "" : value;
}

static void assert_shared(const struct access *access, struct request r, const char *origin,
                          const char *methods)
{
    respond_empty(&r, 204);
    access_preflight(access, &r, "GET, OPTIONS");
    access_complete(access, &r);
    assert_string_equal(header_of(&r, "Access-Control-Allow-Origin"), origin);
    assert_string_equal(header_of(&r, "Access-Control-Allow-Methods"), methods);
    assert_string_equal(header_of(&r, "Cross-Origin-Resource-Policy"),
                        *origin == '\0' ? "same-origin" : "cross-origin");
    assert_string_equal(header_of(&r, "Access-Control-Max-Age"), *methods == '\0' ? "" : "600");
    MHD_destroy_response(r.response);
}

static void answers_are_shared_with_configured_pages_only(void **state)
{
    struct access *access = made((struct access_config) {.origins = "https://lab.example"});
    struct access *alone = made((struct access_config) {.origins = NULL});
    struct request r = asked(HTTP_OPTIONS, "localhost", "https://lab.example", NULL);
    struct request evil = asked(HTTP_OPTIONS, "localhost", "https://evil.example", NULL);

    (void)state;
    assert_shared(access, r, "https://lab.example", "");
    r.headers.values[HEADER_ACCESS_CONTROL_REQUEST_METHOD] = "PUT";
    evil.headers.values[HEADER_ACCESS_CONTROL_REQUEST_METHOD] = "PUT";
    assert_shared(access, r, "https://lab.example", "GET, OPTIONS");
    assert_shared(access, evil, "", "");
    assert_shared(alone, r, "", "");
    r.headers.values[HEADER_ORIGIN] = NULL;
    assert_shared(access, r, "", "");
    r.headers.values[HEADER_ORIGIN] = "https://lab.example";
    r.route = NULL; /* a page */
    assert_shared(access, r, "", "");
    access = access_free(access);
    alone = access_free(alone);
}

static void caches_are_told_that_the_origin_matters(void **state)
{
    struct access *access = made((struct access_config) {.origins = "https://lab.example"});
    struct access *alone = made((struct access_config) {.origins = NULL});
    struct request r = asked(HTTP_GET, "localhost", NULL, NULL);

    (void)state;
    respond_empty(&r, 204);
    access_complete(alone, &r);
    assert_string_equal(header_of(&r, "Vary"), "");
    access_complete(access, &r);
    assert_string_equal(header_of(&r, "Vary"), "Origin");
    MHD_destroy_response(r.response);
    access = access_free(access);
    alone = access_free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_our_names_are_ours),
        cmocka_unit_test(a_wildcard_address_takes_addresses_but_no_names),
        cmocka_unit_test(a_star_takes_any_name_but_no_rubbish),
        cmocka_unit_test(an_absolute_target_counts_for_more),
        cmocka_unit_test(http_1_0_may_be_nameless_on_loopback_only),
        cmocka_unit_test(pages_of_others_change_nothing),
        cmocka_unit_test(our_own_origin_has_our_scheme),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(answers_are_shared_with_configured_pages_only),
        cmocka_unit_test(caches_are_told_that_the_origin_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
