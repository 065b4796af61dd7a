/*
 * Our HTTP server with one route, GET /events, whose streams get four events a second each.
 *
 * streams THREADS PARTS: every quarter of a second is cut into PARTS, and in each of them a PARTS-th of the streams
 * gets its event. Prints the port, and serves until its standard input ends.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/server.h"
#include "http/stream.h"
#include "thread/lock.h"

enum { STREAMS_MAX = 4096, CONNECTIONS = 8192, ANSWER_S = 5 };

static const uint64_t period_ns = CLOCK_NS_PER_S / 4;
static const char event[] = "{\"done\":1234567,\"total\":9999999,\"workers\":2,\"queued\":17}";

static struct {
    struct lock lock;
    struct stream *streams[STREAMS_MAX];
    size_t count;
} all;

static void open_stream(struct request *r)
{
    struct stream *s = stream_open(r);
    bool fits;

    if (s == NULL)
        return;
    lock_take(&all.lock);
    fits = all.count < STREAMS_MAX;
    if (fits)
        all.streams[all.count++] = s;
    lock_drop(&all.lock);
    if (!fits)
        stream_end(s, NULL, 0, NULL, 0);
}

/* They stay where they are, so the lock is not held while something is done to them. */
static size_t count_streams(void)
{
    LOCKED(&all.lock);

    return all.count;
}

static void post(size_t first, size_t step)
{
    size_t count = count_streams();

    for (size_t i = first; i < count; i += step)
        (void)stream_post(all.streams[i], "progress", 0, event, sizeof(event) - 1);
}

static bool input_ends_before(uint64_t deadline_ns)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / CLOCK_NS_PER_S),
                            .tv_nsec = (long)(left_ns % CLOCK_NS_PER_S)};

    return ppoll(&input, 1, &left, NULL) != 0;
}

static void post_until_told(size_t parts)
{
    uint64_t next_ns = clock_now_ns();

    for (size_t part = 0;; part = (part + 1) % parts) {
        next_ns += period_ns / parts;
        if (input_ends_before(next_ns))
            return;
        post(part, parts);
    }
}

static void stop(struct server *s)
{
    uint64_t deadline_ns = clock_now_ns() + ANSWER_S * CLOCK_NS_PER_S;
    size_t count;

    server_drain(s, deadline_ns);
    count = count_streams();
    for (size_t i = 0; i < count; i++)
        stream_end(all.streams[i], NULL, 0, NULL, 0);
    if (server_wait_parked(s, deadline_ns) == 0)
        (void)server_stop(s);
}

int main(int argc, char **argv)
{
    static const struct route routes[] = {{.pattern = "/events", .handle = open_stream}};
    const uint64_t never_ns = 3600 * CLOCK_NS_PER_S;
    unsigned threads = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    size_t parts = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    const struct server_config config = {
        .listen = "127.0.0.1:0",
        .threads = threads,
        .connections = CONNECTIONS,
        .slow = {never_ns, never_ns, never_ns, never_ns, 1},
        .bodies_max = 1 << 20,
        .target_bytes_max = 8 << 10,
        .header_bytes_max = 16 << 10,
        .headers_max = 100,
        .router = {.routes = routes, .count = 1},
    };
    struct server *server;
    struct err err = {""};

    if (threads == 0 || parts == 0) {
        fprintf(stderr, "usage: streams THREADS PARTS\n");
        return 64;
    }
    lock_init(&all.lock, LOCK_PARK);
    if (server_start(&server, &config, &err) < 0) {
        fprintf(stderr, "streams: %s\n", err.text);
        return 69;
    }
    printf("%s\n", server_url(server));
    (void)fflush(stdout);
    post_until_told(parts);
    stop(server);
    return EXIT_SUCCESS;
}
