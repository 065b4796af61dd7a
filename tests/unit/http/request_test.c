#include "http/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "client.h"
#include "config.h"
#include "http/response.h"
#include "http/server.h"

/* What a handler is told of a request: asked through a server, since the headers are libmicrohttpd's. */

static void accepts(struct request *r)
{
    respond_text(r, 200, request_accepts(r, request_query(r, "type")) ? "yes" : "no");
}

static void media_type(struct request *r)
{
    char type[20];

    request_media_type(r, type, sizeof(type));
    respond_text(r, 200, type);
}

static int put_argument(void *arg, const char *name, const char *value)
{
    if (strcmp(name, "stop") == 0)
        return 7;
    return buf_printf(arg, "%s=%s;", name, value);
}

static void query(struct request *r)
{
    struct buf b;
    int rc;

    buf_init(&b, 1000);
    rc = request_each_query(r, put_argument, &b);
    (void)buf_printf(&b, "%d", rc);
    respond_bytes(r, 200, "text/plain", b.data, b.size);
}

static void one_query(struct request *r)
{
    const char *value = request_query(r, "x");

    respond_text(r, 200, value == NULL ? "none" : value);
}

static void about(struct request *r)
{
    respond_json(r, 200,
                 json_pack("{s:b, s:b, s:s?}", "socket", request_socket(r) > 2, "client",
                           r->client != 0, "header", request_header(r, HEADER_ORIGIN)));
}

static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/accepts", .handle = accepts},
    {.method = HTTP_GET, .pattern = "/type", .handle = media_type},
    {.method = HTTP_GET, .pattern = "/query", .handle = query},
    {.method = HTTP_GET, .pattern = "/one", .handle = one_query},
    {.method = HTTP_GET, .pattern = "/about", .handle = about},
};

static struct server *server;

static void assert_body(const char *target, const char *headers, const char *body)
{
    struct client c = client_open(server_url(server));
    char request[1024];
    struct answer a;

    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", target,
                   headers);
    client_send(&c, request);
    a = client_receive(&c, false);
    assert_int_equal(a.status, 200);
    if (strcmp(a.body, body) != 0)
        fail_msg("\"%s\", not \"%s\", for %s with %s", a.body, body, target, headers);
    answer_release(&a);
    client_close(&c);
}

static void accept_is_read_with_its_weights(void **state)
{
    static const struct {
        const char *accept, *type, *body;
    } cases[] = {
        {"", "image/png", "yes"},
        {"Accept: */*\r\n", "image/png", "yes"},
        {"Accept: image/*\r\n", "image/png", "yes"},
        {"Accept: IMAGE/PNG\r\n", "image/png", "yes"},
        {"Accept: text/html, application/json;q=0.9\r\n", "application/json", "yes"},
        {"Accept: text/html\r\n", "application/json", "no"},
        {"Accept: image/pn\r\n", "image/png", "no"},
        {"Accept: image/png;q=0\r\n", "image/png", "no"},
        {"Accept: */*, image/png;q=0.000\r\n", "image/png", "no"},
        {"Accept: image/*;q=0, image/png\r\n", "image/png", "yes"},
        {"Accept: image/*;q=0, */*\r\n", "image/png", "no"},
        {"Accept: image/png; v=1; q=0.01\r\n", "image/png", "yes"},
        {"Accept: ,,;q=0\r\n", "image/png", "no"},
        {"Accept: text/event-stream\r\n", "text/plain", "no"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/accepts?type=%s", cases[i].type);
        assert_body(target, cases[i].accept, cases[i].body);
    }
}

static void the_media_type_loses_its_parameters(void **state)
{
    (void)state;
    assert_body("/type", "Content-Type: Text/CSV; charset=x\r\n", "text/csv");
    assert_body("/type", "", "");
    assert_body("/type", "Content-Type: text/much-too-long-for-it\r\n", "");
}

static void arguments_come_decoded_and_in_order(void **state)
{
    (void)state;
    assert_body("/query?b=1&a=%C3%A9+x&b=%26&c", "", "b=1;a=\xc3\xa9 x;b=&;c=;0");
    assert_body("/query", "", "0");
    assert_body("/query?a=1&stop=1&b=2", "", "a=1;7");
}

static void an_argument_may_be_long_and_of_anything(void **state)
{
    char target[1000], expected[1000];

    (void)state;
    (void)snprintf(target, sizeof(target), "/query?%0500d", 0);
    (void)snprintf(expected, sizeof(expected), "%0500d=;0", 0);
    assert_body(target, "", expected);
    assert_body("/query?&&=%ff&", "", "=\xff;0");
}

static void one_argument_is_found_by_name(void **state)
{
    (void)state;
    assert_body("/one?y=1&x=2&x=3", "", "2");
    assert_body("/one?X=1", "", "none");
    assert_body("/one?x", "", "");
}

static void the_client_is_known(void **state)
{
    (void)state;
    assert_body("/about", "Origin: v\r\n", "{\"socket\":true,\"client\":true,\"header\":\"v\"}");
}

static int set_up(void **state)
{
    struct server_config config = config_of(routes, ARRAY_SIZE(routes), 1, 16);
    struct err err;

    (void)state;
    return server_start(&server, &config, &err);
}

static int tear_down(void **state)
{
    (void)state;
    server = server_stop(server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_is_read_with_its_weights),
        cmocka_unit_test(the_media_type_loses_its_parameters),
        cmocka_unit_test(arguments_come_decoded_and_in_order),
        cmocka_unit_test(an_argument_may_be_long_and_of_anything),
        cmocka_unit_test(one_argument_is_found_by_name),
        cmocka_unit_test(the_client_is_known),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
