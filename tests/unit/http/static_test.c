#include "http/static.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "client.h"
#include "config.h"
#include "http/response.h"
#include "http/server.h"
#include "thread/thread.h"

/* A directory of files, and a server in front of it. */

enum { BIG_BYTES = 300000 };

static char directory[] = "/tmp/prong-files-XXXXXX";

static void path_of(char out[256], const char *name)
{
    (void)snprintf(out, 256, "%s/%s", directory, name);
}

static void write_file(const char *name, const char *text, size_t bytes)
{
    char path[256];
    FILE *f;

    path_of(path, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static void hello(struct request *r)
{
    respond_text(r, 200, "hello\n");
}

static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/api", .handle = hello},
    {.method = HTTP_POST, .pattern = "/only-post", .handle = hello},
};

static int set_up_all(void **state)
{
    struct server_config config = config_of(routes, ARRAY_SIZE(routes), 2, 64);
    char path[256], *big = malloc(BIG_BYTES);
    struct server *s;
    struct err err;

    config.www = directory;
    log_init("files_test", LOG_INFO);
    assert_non_null(mkdtemp(directory));
    path_of(path, "sub");
    assert_int_equal(mkdir(path, 0755), 0);
    write_file("index.html", "<p>home", 7);
    write_file("sub/index.html", "<p>sub", 6);
    write_file("lab.html", "<p>lab", 6);
    write_file("app.js", "let a;", 6);
    write_file("only-post", "file", 4);
    write_file(".secret", "s", 1);
    write_file("empty.txt", "", 0);
    memset(big, 'b', BIG_BYTES);
    write_file("big.txt", big, BIG_BYTES);
    free(big);
    path_of(path, "link.html");
    assert_int_equal(symlink("index.html", path), 0);
    path_of(path, "out");
    assert_int_equal(symlink("/etc", path), 0);
    path_of(path, "pipe");
    assert_int_equal(mkfifo(path, 0644), 0);
    if (server_start(&s, &config, &err) < 0)
        fail_msg("%s", err.text);
    *state = s;
    return 0;
}

static int tear_down_all(void **state)
{
    char command[300];

    (void)server_stop(*state);
    (void)snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

static struct answer ask(struct server *s, const char *method, const char *path,
                         const char *headers)
{
    struct client c = client_open(server_url(s));
    char request[1024];
    struct answer a;

    (void)snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: test\r\n%s\r\n", method, path,
                   headers);
    client_send(&c, request);
    a = client_receive(&c, strcmp(method, "HEAD") == 0);
    client_close(&c);
    return a;
}

static void assert_answer(struct server *s, const char *path, int status, const char *body)
{
    struct answer a = ask(s, "GET", path, "");

    if (a.status != status)
        fail_msg("%s: %d, not %d", path, a.status, status);
    if (body != NULL)
        assert_string_equal(a.body, body);
    answer_release(&a);
}

static void paths_lead_to_files(void **state)
{
    for (int i = 0; i < 2; i++) { /* from the disk, then from the cache */
        assert_answer(*state, "/", 200, "<p>home");
        assert_answer(*state, "/index.html?x=1", 200, "<p>home");
        assert_answer(*state, "/sub/", 200, "<p>sub");
        assert_answer(*state, "/lab", 200, "<p>lab");
        assert_answer(*state, "/%6cab", 200, "<p>lab");
        assert_answer(*state, "/empty.txt", 200, "");
        assert_answer(*state, "/api", 200, "hello\n");
    }
}

static void nothing_else_is_served(void **state)
{
    static const char *const paths[] = {
        "/.secret", "/%2esecret", "/sub/../.secret", "/../etc/passwd", "/out/passwd",
        "/out/",    "/link.html", "/link",           "/pipe",          "/sub%2findex.html",
        "//",       "/sub//",     "/lab.html/",      "/nothing",       "/..%2f..%2fetc%2fpasswd",
        "/%5c",     "/.",         "/sub/."};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        assert_answer(*state, paths[i], 404, NULL);
}

static void a_page_says_what_it_may_do(void **state)
{
    struct answer a = ask(*state, "GET", "/", "");

    assert_string_equal(answer_header(&a, "Content-Type"), "text/html; charset=utf-8");
    assert_memory_equal(answer_header(&a, "Content-Security-Policy"), "default-src 'none'; ", 20);
    assert_string_equal(answer_header(&a, "Referrer-Policy"), "no-referrer");
    assert_string_equal(answer_header(&a, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(answer_header(&a, "Cache-Control"), "no-cache");
    answer_release(&a);
    a = ask(*state, "GET", "/app.js", "");
    assert_string_equal(answer_header(&a, "Content-Type"), "text/javascript; charset=utf-8");
    answer_release(&a);
}

static void a_directory_leads_to_its_index(void **state)
{
    struct answer a = ask(*state, "GET", "/sub?a=1&b=%2F", "");

    assert_int_equal(a.status, 308);
    assert_string_equal(answer_header(&a, "Location"), "/sub/?a=1&b=%2F");
    answer_release(&a);
}

static void head_tells_the_length(void **state)
{
    struct answer a = ask(*state, "HEAD", "/", "");

    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "Content-Length"), "7");
    answer_release(&a);
    a = ask(*state, "HEAD", "/big.txt", "");
    assert_string_equal(answer_header(&a, "Content-Length"), "300000");
    answer_release(&a);
}

static void other_methods_are_405(void **state)
{
    struct answer a = ask(*state, "POST", "/app.js", "Content-Length: 0\r\n");

    assert_int_equal(a.status, 405);
    assert_string_equal(answer_header(&a, "Allow"), "GET, HEAD, OPTIONS");
    answer_release(&a);
    a = ask(*state, "OPTIONS", "/", "");
    assert_int_equal(a.status, 204);
    assert_string_equal(answer_header(&a, "Allow"), "GET, HEAD, OPTIONS");
    answer_release(&a);
    a = ask(*state, "DELETE", "/nothing", "");
    assert_int_equal(a.status, 404);
    answer_release(&a);
    /* A route's path is the route's, also for methods that it does not have. */
    a = ask(*state, "GET", "/only-post", "");
    assert_int_equal(a.status, 405);
    answer_release(&a);
}

static void assert_conditional(struct server *s, const char *path)
{
    struct answer a = ask(s, "GET", path, "");
    char header[600];

    (void)snprintf(header, sizeof(header), "If-None-Match: \"x\", W/%s\r\n",
                   answer_header(&a, "ETag"));
    answer_release(&a);
    a = ask(s, "GET", path, header);
    assert_int_equal(a.status, 304);
    assert_int_equal(a.bytes, 0);
    (void)snprintf(header, sizeof(header), "If-Modified-Since: %s\r\n",
                   answer_header(&a, "Last-Modified"));
    answer_release(&a);
    a = ask(s, "GET", path, header);
    assert_int_equal(a.status, 304);
    answer_release(&a);
    a = ask(s, "GET", path, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_int_equal(a.status, 200);
    answer_release(&a);
    a = ask(s, "GET", path,
            "If-None-Match: \"x\"\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n");
    assert_int_equal(a.status, 200);
    answer_release(&a);
}

static void a_known_file_is_not_sent_again(void **state)
{
    assert_conditional(*state, "/app.js");
    assert_conditional(*state, "/big.txt");
}

static void a_big_file_comes_whole(void **state)
{
    struct answer a = ask(*state, "GET", "/big.txt", "");

    assert_int_equal(a.status, 200);
    assert_int_equal(a.bytes, BIG_BYTES);
    assert_int_equal(strspn(a.body, "b"), BIG_BYTES);
    answer_release(&a);
}

/* Asks until the path answers this. A thread may believe its own copy for a second. */
static void await_answer(struct server *s, const char *path, int status, const char *body)
{
    uint64_t deadline_ns = clock_now_ns() + 3 * CLOCK_NS_PER_S;
    bool done = false;

    while (!done && clock_now_ns() < deadline_ns) {
        struct answer a = ask(s, "GET", path, "");
        done = a.status == status && (body == NULL || strcmp(a.body, body) == 0);
        answer_release(&a);
    }
    assert_true(done);
}

static void a_replaced_file_is_seen_within_a_second(void **state)
{
    char from[256], to[256];

    write_file("live.txt", "one", 3);
    assert_answer(*state, "/live.txt", 200, "one");
    write_file("next.txt", "two", 3);
    path_of(from, "next.txt");
    path_of(to, "live.txt");
    assert_int_equal(rename(from, to), 0);
    await_answer(*state, "/live.txt", 200, "two");
    assert_int_equal(unlink(to), 0);
    await_answer(*state, "/live.txt", 404, NULL);
    write_file("live.txt", "three", 5);
    await_answer(*state, "/live.txt", 200, "three");
}

static void *ask_many(void *arg)
{
    struct server *s = arg;
    char path[32];

    for (int i = 0; i < 600; i++) {
        struct answer a;
        (void)snprintf(path, sizeof(path), "/n%d.txt", i % 300);
        a = ask(s, "GET", path, "");
        CHECK(a.status == 200 && strcmp(a.body, path) == 0);
        answer_release(&a);
    }
    return NULL;
}

static void more_files_than_are_kept_are_served(void **state)
{
    struct thread threads[4];
    char path[32];

    for (int i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof(path), "/n%d.txt", i);
        write_file(path + 1, path, strlen(path));
    }
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(thread_start(&threads[i], "asker", ask_many, *state), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        thread_join(&threads[i]);
}

static void a_missing_directory_is_told(void **state)
{
    struct static_files *files;
    struct err err = {.text = ""};

    (void)state;
    assert_true(static_files_new(&files, "/nonexistent", &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_to_files),
        cmocka_unit_test(nothing_else_is_served),
        cmocka_unit_test(a_page_says_what_it_may_do),
        cmocka_unit_test(a_directory_leads_to_its_index),
        cmocka_unit_test(head_tells_the_length),
        cmocka_unit_test(other_methods_are_405),
        cmocka_unit_test(a_known_file_is_not_sent_again),
        cmocka_unit_test(a_big_file_comes_whole),
        cmocka_unit_test(a_replaced_file_is_seen_within_a_second),
        cmocka_unit_test(more_files_than_are_kept_are_served),
        cmocka_unit_test(a_missing_directory_is_told),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
