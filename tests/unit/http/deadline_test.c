#include "http/deadline.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "state/metrics.h"

/* Pairs of connected sockets, one end of which the wheel guards. Times are given a lower bound each; the upper one is
 * patience. */

#define MS(n) ((n)*CLOCK_NS_PER_MS)

enum { PATIENCE_MS = 20000, RATE = 1 << 20 };

static const struct deadline_rules rules = {
    .header_ns = MS(200),
    .body_ns = MS(200),
    .answer_ns = MS(300),
    .idle_ns = MS(300),
    .bytes_per_s = RATE,
};

struct pair {
    struct deadline deadline;
    int server, client;
};

static struct deadlines *start(const struct deadline_rules *wanted)
{
    struct deadlines *all;
    struct err err = {.text = ""};

    if (deadlines_new(&all, wanted, &err) < 0)
        fail_msg("%s", err.text);
    return all;
}

/* A TCP connection; the client's buffer is small, so that it is soon full. */
static void connect_pair(struct pair *p)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    const int small = 4096;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    p->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(p->client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(connect(p->client, (struct sockaddr *)&address, sizeof(address)), 0);
    p->server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(p->server >= 0);
    assert_int_equal(close(listener), 0);
}

static void begin(struct deadlines *all, struct pair *p)
{
    connect_pair(p);
    deadline_begin(all, &p->deadline, p->server, true, clock_now_ns());
}

static void end(struct pair *p)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0}; /* leaves no port in TIME_WAIT */

    deadline_end(&p->deadline);
    (void)setsockopt(p->server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    assert_int_equal(close(p->server), 0);
    assert_int_equal(close(p->client), 0);
}

/* What the client reads until the end, as text; its errno (0: an orderly end) in *ret_error. */
static const char *read_to_end(int fd, int *ret_error)
{
    static char text[8 << 20];
    size_t done = 0;
    ssize_t n;

    do {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, PATIENCE_MS) <= 0)
            fail_msg("it was not shut");
        n = recv(fd, text + done, sizeof(text) - 1 - done, 0);
        done += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    text[done] = '\0';
    *ret_error = n == 0 ? 0 : errno;
    return text;
}

static bool is_open(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) == 0;
}

static void sleep_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

/* As much as the system takes. */
static size_t fill(int fd)
{
    static const char data[64 << 10];
    size_t done = 0;
    ssize_t n;

    while ((n = send(fd, data, sizeof(data), MSG_NOSIGNAL)) > 0)
        done += (size_t)n;
    return done;
}

static uint64_t late(const char *phase)
{
    return metrics_value(METRIC_HTTP_LATE, metrics_label(METRIC_HTTP_LATE, phase));
}

static int set_up(void **state)
{
    *state = start(&rules);
    return 0;
}

static int tear_down(void **state)
{
    assert_null(deadlines_free(*state));
    return 0;
}

static void assert_told(const char *text, const char *status, const char *fragment)
{
    const char *body = strstr(text, "\r\n\r\n");
    char line[64];

    assert_non_null(body);
    body += 4;
    assert_memory_equal(text, status, strlen(status));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: application/problem+json\r\n"));
    (void)snprintf(line, sizeof(line), "\r\nContent-Length: %zu\r\n", strlen(body));
    assert_non_null(strstr(text, line));
    (void)snprintf(line, sizeof(line), "\"type\":\"/docs#%s\"", fragment);
    assert_non_null(strstr(body, line));
}

/* ---- headers ---- */

static void slow_headers_get_408(void **state)
{
    uint64_t began_ns = clock_now_ns(), before = late("headers");
    struct pair p;
    int error;

    begin(*state, &p);
    assert_int_equal(send(p.client, "G", 1, 0), 1);
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 408 ", "too-slow");
    assert_int_equal(error, 0);
    assert_true(clock_now_ns() - began_ns >= rules.header_ns);
    assert_int_equal(late("headers"), before + 1);
    end(&p);
}

static void who_never_sent_a_byte_is_told_nothing(void **state)
{
    uint64_t began_ns = clock_now_ns(), before = late("idle");
    struct pair p;
    int error;

    begin(*state, &p);
    assert_string_equal(read_to_end(p.client, &error), "");
    assert_int_equal(error, 0);
    assert_true(clock_now_ns() - began_ns >= rules.header_ns);
    assert_int_equal(late("idle"), before + 1);
    end(&p);
}

static void nothing_in_clear_text_goes_into_tls(void **state)
{
    struct pair p;
    int error;

    connect_pair(&p);
    deadline_begin(*state, &p.deadline, p.server, false, clock_now_ns());
    assert_int_equal(send(p.client, "G", 1, 0), 1);
    assert_string_equal(read_to_end(p.client, &error), "");
    end(&p);
}

/* The request line does not begin a second time for the headers. */
static void a_new_connection_has_header_ns_once(void **state)
{
    const struct deadline_rules patient = {.header_ns = MS(100),
                                           .body_ns = MS(100),
                                           .answer_ns = MS(300),
                                           .idle_ns = MS(100),
                                           .bytes_per_s = 1};
    struct deadlines *all = start(&patient);
    struct pair p;
    int error;

    (void)state;
    begin(all, &p);
    assert_int_equal(send(p.client, "G", 1, 0), 1);
    deadline_headers(&p.deadline, clock_now_ns() + 3600 * CLOCK_NS_PER_S);
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 408 ", "too-slow");
    end(&p);
    (void)deadlines_free(all);
}

static void a_later_request_has_header_ns_of_its_own(void **state)
{
    uint64_t began_ns;
    struct pair p;
    int error;

    begin(*state, &p);
    assert_int_equal(send(p.client, "G", 1, 0), 1);
    deadline_idle(&p.deadline, clock_now_ns() + 3600 * CLOCK_NS_PER_S);
    sleep_ms(250);
    assert_true(is_open(p.client));
    began_ns = clock_now_ns();
    deadline_headers(&p.deadline, began_ns);
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 408 ", "too-slow");
    assert_true(clock_now_ns() - began_ns >= rules.header_ns);
    end(&p);
}

/* ---- idle ---- */

static void an_idle_one_is_shut_without_a_word(void **state)
{
    uint64_t began_ns, before = late("idle");
    struct pair p;
    int error;

    begin(*state, &p);
    assert_int_equal(send(p.client, "G", 1, 0), 1);
    began_ns = clock_now_ns();
    deadline_idle(&p.deadline, began_ns);
    assert_string_equal(read_to_end(p.client, &error), "");
    assert_int_equal(error, 0);
    assert_true(clock_now_ns() - began_ns >= rules.idle_ns);
    assert_int_equal(late("idle"), before + 1);
    end(&p);
}

/* libmicrohttpd is done when the system has taken the last bytes, the client may not be. */
static void an_idle_one_that_takes_nothing_is_reset(void **state)
{
    struct pair p;
    int error;

    begin(*state, &p);
    deadline_idle(&p.deadline, clock_now_ns());
    assert_true(fill(p.server) > 0);
    while (is_open(p.server))
        sleep_ms(1);
    deadline_end(&p.deadline);
    assert_int_equal(close(p.server), 0);
    (void)read_to_end(p.client, &error);
    assert_int_equal(error, ECONNRESET);
    assert_int_equal(close(p.client), 0);
}

static void an_idle_one_that_still_takes_is_waited_for(void **state)
{
    const struct deadline_rules gentle = {.header_ns = MS(100),
                                          .body_ns = MS(100),
                                          .answer_ns = MS(300),
                                          .idle_ns = MS(300),
                                          .bytes_per_s = 64 << 10};
    struct deadlines *all = start(&gentle);
    static char data[16384];
    size_t sent, got = 0;
    ssize_t n = 1;
    struct pair p;

    (void)state;
    begin(all, &p);
    sent = fill(p.server);
    deadline_idle(&p.deadline, clock_now_ns());
    for (int i = 0; i < 100; i++) {
        n = recv(p.client, data, sizeof(data), 0);
        assert_true(n > 0);
        got += (size_t)n;
        sleep_ms(5);
    }
    assert_true(got < sent);
    assert_true(is_open(p.server));
    while ((n = recv(p.client, data, sizeof(data), 0)) > 0)
        got += (size_t)n;
    assert_int_equal(n, 0);
    assert_int_equal(got, sent);
    end(&p);
    (void)deadlines_free(all);
}

/* ---- bodies ---- */

static void a_body_that_does_not_come_gets_408(void **state)
{
    uint64_t began_ns = clock_now_ns(), before = late("body");
    struct pair p;
    int error;

    begin(*state, &p);
    deadline_body(&p.deadline, began_ns);
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 408 ", "too-slow");
    assert_true(clock_now_ns() - began_ns >= rules.body_ns);
    assert_int_equal(late("body"), before + 1);
    end(&p);
}

static void every_byte_of_a_body_buys_time(void **state)
{
    uint64_t began_ns = clock_now_ns();
    struct pair p;
    int error;

    begin(*state, &p);
    deadline_body(&p.deadline, began_ns);
    for (int i = 0; i < 10; i++)
        deadline_body_took(&p.deadline, RATE / 50);
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 408 ", "too-slow");
    assert_true(clock_now_ns() - began_ns >= rules.body_ns + MS(199));
    end(&p);
}

static void the_next_body_begins_with_nothing(void **state)
{
    struct pair p;
    int error;

    begin(*state, &p);
    deadline_body(&p.deadline, clock_now_ns());
    deadline_body_took(&p.deadline, UINT64_C(3600) * RATE);
    deadline_body(&p.deadline, clock_now_ns());
    deadline_body_took(&p.deadline, 1);
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 408 ", "too-slow");
    end(&p);
}

/* ---- answers ---- */

static void reset_when_nothing_is_taken(struct deadlines *all, const char *phase,
                                        void (*enter)(struct deadline *d))
{
    uint64_t before = late(phase), began_ns;
    struct pair p;
    int error;

    begin(all, &p);
    enter(&p.deadline);
    began_ns = clock_now_ns();
    assert_true(fill(p.server) > 0);
    while (is_open(p.server))
        sleep_ms(1);
    assert_true(clock_now_ns() - began_ns >= rules.answer_ns);
    assert_int_equal(late(phase), before + 1);
    deadline_end(&p.deadline);
    assert_int_equal(close(p.server), 0);
    (void)read_to_end(p.client, &error);
    assert_int_equal(error, ECONNRESET);
    assert_int_equal(close(p.client), 0);
}

static void who_takes_no_answer_is_reset(void **state)
{
    reset_when_nothing_is_taken(*state, "answer", deadline_answer);
}

static void who_takes_no_events_is_reset(void **state)
{
    reset_when_nothing_is_taken(*state, "parked", deadline_parked);
}

static void an_answer_that_has_nothing_to_say_may_wait(void **state)
{
    struct pair p[2];

    begin(*state, &p[0]);
    begin(*state, &p[1]);
    deadline_answer(&p[0].deadline);
    deadline_parked(&p[1].deadline);
    sleep_ms(1000);
    assert_true(is_open(p[0].client));
    assert_true(is_open(p[1].client));
    end(&p[0]);
    end(&p[1]);
}

/* Far less than bytes_per_s, but all there is. */
static void who_takes_all_there_is_may_go_on(void **state)
{
    struct pair p;
    char data[16];

    begin(*state, &p);
    deadline_answer(&p.deadline);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(send(p.server, "event", 5, MSG_NOSIGNAL), 5);
        sleep_ms(5);
        assert_int_equal(recv(p.client, data, sizeof(data), 0), 5);
    }
    end(&p);
}

/* At many times the floor in small bits, over many answer_ns, while the server's side is always full. */
static void who_takes_enough_may_go_on(void **state)
{
    const struct deadline_rules gentle = {.header_ns = MS(100),
                                          .body_ns = MS(100),
                                          .answer_ns = MS(300),
                                          .idle_ns = MS(100),
                                          .bytes_per_s = 64 << 10};
    struct deadlines *all = start(&gentle);
    static char data[8192];
    struct pair p;

    (void)state;
    begin(all, &p);
    deadline_answer(&p.deadline);
    for (int i = 0; i < 400; i++) {
        (void)fill(p.server);
        assert_true(recv(p.client, data, sizeof(data), MSG_DONTWAIT) != 0);
        sleep_ms(2);
    }
    assert_true(is_open(p.server));
    end(&p);
    (void)deadlines_free(all);
}

/* A client's system makes room only when a segment fits again: here 2 KiB at a time, once in two answer_ns. */
static void room_that_comes_in_steps_is_no_standstill(void **state)
{
    const struct deadline_rules slow = {.header_ns = MS(50),
                                        .body_ns = MS(50),
                                        .answer_ns = MS(50),
                                        .idle_ns = MS(50),
                                        .bytes_per_s = 500};
    struct deadlines *all = start(&slow);
    static char data[600];
    struct pair p;

    (void)state;
    begin(all, &p);
    deadline_answer(&p.deadline);
    for (int i = 0; i < 20; i++) {
        (void)fill(p.server);
        assert_true(recv(p.client, data, sizeof(data), MSG_DONTWAIT) != 0);
        sleep_ms(100);
    }
    assert_true(is_open(p.server));
    end(&p);
    (void)deadlines_free(all);
}

static void what_is_no_tcp_is_not_judged_by_what_it_takes(void **state)
{
    struct pair p;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    p.server = fds[0];
    p.client = fds[1];
    deadline_begin(*state, &p.deadline, p.server, true, clock_now_ns());
    deadline_answer(&p.deadline);
    assert_true(fill(p.server) > 0);
    sleep_ms(1000);
    assert_true(is_open(p.client));
    end(&p);
}

/* ---- both threads ---- */

static void no_answer_leaves_after_408(void **state)
{
    struct pair p;

    begin(*state, &p);
    assert_int_equal(send(p.client, "G", 1, 0), 1);
    while (is_open(p.server))
        sleep_ms(1);
    deadline_answer(&p.deadline);
    assert_int_equal(send(p.server, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    end(&p);
}

static void who_has_ended_is_left_alone(void **state)
{
    struct pair p;

    begin(*state, &p);
    deadline_end(&p.deadline);
    sleep_ms(300);
    assert_true(is_open(p.client));
    assert_int_equal(close(p.server) + close(p.client), 0);
}

static void many_at_once(void **state)
{
    enum { COUNT = 400 };
    struct pair *pairs = calloc(COUNT, sizeof(*pairs));
    uint64_t before = late("idle");
    int error;

    assert_non_null(pairs);
    for (int i = 0; i < COUNT; i++) {
        begin(*state, &pairs[i]);
        deadline_idle(&pairs[i].deadline, clock_now_ns() + (i % 2 == 0 ? 0 : MS(3600 * 1000)));
    }
    for (int i = 0; i < COUNT; i += 2)
        assert_string_equal(read_to_end(pairs[i].client, &error), "");
    for (int i = 1; i < COUNT; i += 2)
        assert_true(is_open(pairs[i].client));
    assert_int_equal(late("idle"), before + COUNT / 2);
    for (int i = 0; i < COUNT; i++)
        end(&pairs[i]);
    free(pairs);
}

static void stop_for(unsigned s)
{
    pid_t self = getpid(), child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)poll(NULL, 0, (int)s * 1000);
        (void)kill(self, SIGCONT);
        _exit(0);
    }
    (void)kill(self, SIGSTOP);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The whole wheel is due at once. */
static void it_goes_on_after_a_standstill(void **state)
{
    struct pair p[40], late_one;
    int error;

    for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
        begin(*state, &p[i]);
        deadline_idle(&p[i].deadline, clock_now_ns() + MS(3600 * 1000));
        sleep_ms(5);
    }
    stop_for(1);
    begin(*state, &late_one);
    assert_string_equal(read_to_end(late_one.client, &error), "");
    end(&late_one);
    for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
        assert_true(is_open(p[i].client));
        end(&p[i]);
    }
}

/* How often the thread of this name has slept; -1 without one. */
static long sleeps_of(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    long found = -1;

    assert_non_null(tasks);
    while (found < 0 && (entry = readdir(tasks)) != NULL) {
        char path[320], line[128];
        bool is_it = false;
        FILE *f;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        f = fopen(path, "r");
        while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
            if (strncmp(line, "Name:\t", 6) == 0)
                is_it = strncmp(line + 6, name, strlen(name)) == 0;
            if (is_it && sscanf(line, "voluntary_ctxt_switches: %ld", &found) == 1)
                break;
        }
        if (f != NULL)
            (void)fclose(f);
    }
    (void)closedir(tasks);
    return found;
}

static void nobody_is_woken_for_nothing(void **state)
{
    struct pair p;
    long before;

    begin(*state, &p);
    end(&p);
    sleep_ms(500); /* for the slot that is empty now */
    before = sleeps_of("deadlines");
    assert_true(before > 0);
    sleep_ms(400);
    assert_int_equal(sleeps_of("deadlines"), before);
}

/* ---- the drain ---- */

static void a_drain_ends_bodies_with_503(void **state)
{
    struct pair p;
    int error;

    begin(*state, &p);
    deadline_body(&p.deadline, clock_now_ns());
    deadline_body_took(&p.deadline, UINT64_C(3600) * RATE);
    deadlines_drain(*state, clock_now_ns() + MS(100));
    assert_told(read_to_end(p.client, &error), "HTTP/1.1 503 ", "draining");
    end(&p);
}

static void a_drain_leaves_the_others(void **state)
{
    struct pair p[2];

    begin(*state, &p[0]);
    begin(*state, &p[1]);
    deadline_idle(&p[0].deadline, clock_now_ns() + MS(3600 * 1000));
    deadline_parked(&p[1].deadline);
    deadlines_drain(*state, clock_now_ns());
    sleep_ms(200);
    assert_true(is_open(p[0].client));
    assert_true(is_open(p[1].client));
    end(&p[0]);
    end(&p[1]);
}

/* ---- an end that was overlooked ---- */

/* Edge-triggered, as libmicrohttpd has it. */
static int watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll;
}

static bool is_readable(int epoll, int ms)
{
    struct epoll_event event = {.events = 0};

    return epoll_wait(epoll, &event, 1, ms) == 1 && (event.events & EPOLLIN) != 0;
}

static void an_end_is_told_again(void **state)
{
    struct pair p;
    char data[100];
    int epoll;

    begin(*state, &p);
    deadline_idle(&p.deadline, clock_now_ns() + MS(3600 * 1000));
    deadline_end(&p.deadline);
    epoll = watch(p.server);
    assert_int_equal(send(p.client, "bytes", 5, 0), 5);
    assert_int_equal(shutdown(p.client, SHUT_WR), 0);
    while (is_open(p.server))
        sleep_ms(1);
    while (is_readable(epoll, 10))
        ;
    assert_int_equal(recv(p.server, data, sizeof(data), 0), 5);
    assert_false(is_readable(epoll, 50));
    deadline_retell_end(&p.deadline);
    assert_true(is_readable(epoll, PATIENCE_MS));
    assert_int_equal(recv(p.server, data, sizeof(data), 0), 0);
    assert_int_equal(send(p.server, "answer", 6, MSG_NOSIGNAL), 6);
    assert_int_equal(recv(p.client, data, sizeof(data), 0), 6);
    assert_int_equal(close(epoll) + close(p.server) + close(p.client), 0);
}

static void no_end_is_told_where_there_is_none(void **state)
{
    struct pair p;
    char data[100];

    begin(*state, &p);
    deadline_end(&p.deadline);
    deadline_retell_end(&p.deadline);
    assert_int_equal(send(p.client, "bytes", 5, 0), 5);
    deadline_retell_end(&p.deadline);
    assert_int_equal(recv(p.server, data, sizeof(data), 0), 5);
    assert_int_equal(recv(p.server, data, sizeof(data), 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(close(p.server) + close(p.client), 0);
}

static void the_wheel_tells_it_to_those_who_wait(void **state)
{
    struct pair p;
    char data[100];
    int epoll;

    begin(*state, &p);
    deadline_idle(&p.deadline, clock_now_ns() + MS(3600 * 1000));
    epoll = watch(p.server);
    assert_int_equal(send(p.client, "bytes", 5, 0), 5);
    assert_int_equal(shutdown(p.client, SHUT_WR), 0);
    while (is_open(p.server))
        sleep_ms(1);
    assert_int_equal(recv(p.server, data, sizeof(data), 0), 5);
    while (is_readable(epoll, 0)) /* what was told before */
        ;
    assert_true(is_readable(epoll, PATIENCE_MS));
    assert_int_equal(close(epoll), 0);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(slow_headers_get_408),
        TEST(who_never_sent_a_byte_is_told_nothing),
        TEST(nothing_in_clear_text_goes_into_tls),
        TEST(a_new_connection_has_header_ns_once),
        TEST(a_later_request_has_header_ns_of_its_own),
        TEST(an_idle_one_is_shut_without_a_word),
        TEST(an_idle_one_that_takes_nothing_is_reset),
        TEST(an_idle_one_that_still_takes_is_waited_for),
        TEST(a_body_that_does_not_come_gets_408),
        TEST(every_byte_of_a_body_buys_time),
        TEST(the_next_body_begins_with_nothing),
        TEST(who_takes_no_answer_is_reset),
        TEST(who_takes_no_events_is_reset),
        TEST(an_answer_that_has_nothing_to_say_may_wait),
        TEST(who_takes_all_there_is_may_go_on),
        TEST(who_takes_enough_may_go_on),
        TEST(room_that_comes_in_steps_is_no_standstill),
        TEST(what_is_no_tcp_is_not_judged_by_what_it_takes),
        TEST(no_answer_leaves_after_408),
        TEST(who_has_ended_is_left_alone),
        TEST(many_at_once),
        TEST(it_goes_on_after_a_standstill),
        TEST(nobody_is_woken_for_nothing),
        TEST(a_drain_ends_bodies_with_503),
        TEST(a_drain_leaves_the_others),
        TEST(an_end_is_told_again),
        TEST(no_end_is_told_where_there_is_none),
        TEST(the_wheel_tells_it_to_those_who_wait),
#undef TEST
    };
    struct rlimit files;

    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
