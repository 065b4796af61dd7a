#include "http/stream.h"

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
#include "thread/thread.h"

static struct {
    struct lock lock;
    pthread_cond_t changed;
    struct stream *opened;
} seen;

static void open_stream(struct request *r)
{
    struct stream *s = stream_open(r);

    lock_take(&seen.lock);
    seen.opened = s;
    pthread_cond_broadcast(&seen.changed);
    lock_drop(&seen.lock);
}

static struct stream *opened(void)
{
    struct stream *s;

    lock_take(&seen.lock);
    while (seen.opened == NULL)
        pthread_cond_wait(&seen.changed, &seen.lock.mutex);
    s = take_ptr(seen.opened);
    lock_drop(&seen.lock);
    return s;
}

static const struct route routes[] = {{.method = HTTP_GET, .pattern = "/s", .handle = open_stream}};

static int set_up(void **state)
{
    struct server_config config = config_of(routes, ARRAY_SIZE(routes), 2, 64);
    struct server *s;
    struct err err;

    seen.opened = NULL;
    if (server_start(&s, &config, &err) < 0)
        return -1;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    (void)server_stop(*state);
    return 0;
}

static struct client request_stream(struct server *server)
{
    struct client c = client_open(server_url(server));

    client_send(&c, "GET /s HTTP/1.1\r\nHost: test\r\n\r\n");
    return c;
}

static bool post(struct stream *s, const char *event, const char *data)
{
    return stream_post(s, event, 0, data, strlen(data));
}

static void events_arrive_as_they_are_posted(void **state)
{
    struct client c = request_stream(*state);
    struct stream *s = opened();
    char *text = client_take_to(&c, ":\n\n");

    assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
    free(text);
    assert_true(post(s, "progress", "{\"done\":1}"));
    text = client_take_to(&c, "\n\n");
    assert_non_null(strstr(text, "event: progress\ndata: {\"done\":1}\n\n"));
    free(text);
    free(client_take_to(&c, "\r\n")); /* of the chunk */
    assert_false(client_hears(&c, 50));
    assert_false(stream_is_gone(s));
    assert_int_equal(server_parked(*state), 1);
    stream_end(s, "result", 0, "x", 1);
    text = client_take_to(&c, "\r\n0\r\n\r\n");
    assert_non_null(strstr(text, "event: result\ndata: x\n\n"));
    free(text);
    client_close(&c);
}

static void lines_of_data_are_lines_of_data(void **state)
{
    struct client c = request_stream(*state);
    struct stream *s = opened();
    struct answer a;

    assert_true(post(s, "a", "1\n2\r\n3\r4"));
    assert_true(post(s, "b", ""));
    assert_true(post(s, "c", "end\n"));
    stream_end(s, NULL, 0, NULL, 0);
    a = client_receive(&c, false);
    assert_string_equal(a.body, ":\n\nevent: a\ndata: 1\ndata: 2\ndata: 3\ndata: 4\n\n"
                                "event: b\ndata: \n\nevent: c\ndata: end\ndata: \n\n");
    answer_release(&a);
    /* The connection lives on. */
    client_send(&c, "GET /s HTTP/1.1\r\nHost: test\r\n\r\n");
    stream_end(opened(), NULL, 0, NULL, 0);
    a = client_receive(&c, false);
    assert_string_equal(a.body, ":\n\n");
    answer_release(&a);
    client_close(&c);
}

static void the_last_event_always_fits(void **state)
{
    struct client c = request_stream(*state);
    struct stream *s = opened();
    char *block = calloc(1, 100001), *lines = calloc(1, 100001);
    int posted = 0, arrived = 0;
    struct answer a;

    memset(block, 'x', 100000);
    memset(lines, '\n', 100000);
    for (int i = 0; i < 200; i++) /* the client does not read: the socket's buffers fill */
        posted += post(s, "block", block);
    assert_true(posted < 200);
    stream_end(s, "last", 0, lines, 100000);
    a = client_receive(&c, false);
    for (const char *p = a.body; (p = strstr(p, "event: block\n")) != NULL; p++)
        arrived++;
    assert_int_equal(arrived, posted);
    assert_memory_equal(a.body + a.bytes - 14, "data: \ndata: \n\n" + 1, 14);
    assert_non_null(strstr(a.body, "event: last\n"));
    answer_release(&a);
    client_close(&c);
    free(block);
    free(lines);
}

static void a_gone_client_is_noticed(void **state)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct client c = request_stream(*state);
    struct stream *s = opened();

    free(client_take_to(&c, ":\n\n"));
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    client_close(&c);
    while (!stream_is_gone(s))
        (void)post(s, "still", "there?");
    assert_false(post(s, "no", "more"));
    stream_end(s, "too", 0, "late", 4);
}

struct poster {
    struct stream *stream;
    int count;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < p->count; i++)
        CHECK(post(p->stream, "n", "0123456789"));
    return NULL;
}

static void many_threads_may_post(void **state)
{
    struct client c = request_stream(*state);
    struct poster poster = {.stream = opened(), .count = 2000};
    struct thread threads[4];
    int arrived = 0;
    struct answer a;

    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(thread_start(&threads[i], "poster", post_many, &poster), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        thread_join(&threads[i]);
    stream_end(poster.stream, NULL, 0, NULL, 0);
    a = client_receive(&c, false);
    for (const char *p = a.body; (p = strstr(p, "event: n\ndata: 0123456789\n\n")) != NULL; p++)
        arrived++;
    assert_int_equal(arrived, 8000);
    answer_release(&a);
    client_close(&c);
}

static void head_has_a_stream_without_events(void **state)
{
    struct client c = client_open(server_url(*state));
    struct stream *s;

    client_send(&c, "HEAD /s HTTP/1.1\r\nHost: test\r\n\r\n");
    s = opened();
    free(client_take_to(&c, "\r\n\r\n"));
    while (!stream_is_gone(s))
        ;
    stream_end(s, "x", 0, "y", 1);
    client_close(&c);
}

static void an_old_client_gets_all_until_the_end(void **state)
{
    struct client c = client_open(server_url(*state));
    struct stream *s;
    char *text;

    client_send(&c, "GET /s HTTP/1.0\r\n\r\n");
    s = opened();
    stream_end(s, "result", 0, "z", 1);
    text = client_take_to(&c, "event: result\ndata: z\n\n");
    assert_non_null(text);
    assert_true(client_is_closed(&c));
    free(text);
    client_close(&c);
}

static void a_drain_waits_for_the_end_of_a_stream(void **state)
{
    struct client c = request_stream(*state);
    struct stream *s = opened();
    struct answer a;

    server_drain(*state, CLOCK_NEVER);
    assert_true(post(s, "after", "drain"));
    assert_int_equal(server_wait_parked(*state, clock_now_ns() + 50 * CLOCK_NS_PER_MS), 1);
    assert_true(post(s, "and", "more"));
    stream_end(s, "result", 0, "x", 1);
    a = client_receive(&c, false);
    assert_non_null(strstr(a.body, "event: after\n"));
    assert_non_null(strstr(a.body, "event: result\n"));
    answer_release(&a);
    assert_int_equal(server_wait_parked(*state, clock_now_ns() + 5 * CLOCK_NS_PER_S), 0);
    client_close(&c);
}

static void events_have_ids_to_come_back_with(void **state)
{
    struct client c = request_stream(*state);
    struct stream *s = opened();
    struct answer a;

    stream_retry(s, 1500);
    assert_true(stream_post(s, "state", 7, "{}", 2));
    stream_touch(s);
    stream_end(s, "result", UINT64_MAX, "x", 1);
    a = client_receive(&c, false);
    assert_string_equal(a.body, ":\n\nretry: 1500\n\nid: 7\nevent: state\ndata: {}\n\n:\n\n"
                                "id: 18446744073709551615\nevent: result\ndata: x\n\n");
    answer_release(&a);
    client_close(&c);
}

static int set_up_all(void **state)
{
    (void)state;
    log_init("stream_test", LOG_INFO);
    lock_init(&seen.lock, LOCK_LIMITS);
    return pthread_cond_init(&seen.changed, NULL);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(events_arrive_as_they_are_posted),
        WITH_SERVER(lines_of_data_are_lines_of_data),
        WITH_SERVER(events_have_ids_to_come_back_with),
        WITH_SERVER(the_last_event_always_fits),
        WITH_SERVER(a_gone_client_is_noticed),
        WITH_SERVER(many_threads_may_post),
        WITH_SERVER(head_has_a_stream_without_events),
        WITH_SERVER(an_old_client_gets_all_until_the_end),
        WITH_SERVER(a_drain_waits_for_the_end_of_a_stream),
    };

    return cmocka_run_group_tests(tests, set_up_all, NULL);
}
