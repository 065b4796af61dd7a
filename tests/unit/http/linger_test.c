#include "http/linger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

enum { ANSWER_BYTES = 200 << 10 };

struct pair {
    int server, client;
};

/* A client that has taken nothing of an answer, whose last bytes the server has not read. */
static struct pair half_way(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    static char answer[ANSWER_BYTES];
    struct pair p;

    assert_int_equal(bind(listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    p.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(p.client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(connect(p.client, (struct sockaddr *)&address, bytes), 0);
    p.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(p.server >= 0);
    (void)close(listener);
    assert_int_equal(send(p.client, "more", 4, 0), 4);
    assert_int_equal(send(p.server, answer, sizeof(answer), 0), sizeof(answer));
    return p;
}

/* All that comes until the end; -1 when it is no orderly one. */
static ssize_t take_all(int fd)
{
    char buffer[8192];
    ssize_t n, all = 0;

    while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        all += n;
    return n < 0 ? -1 : all;
}

static int set_up(void **state)
{
    struct err err = {""};
    struct linger_room *room = NULL;
    int rc = linger_new(&room, &err);

    *state = room;
    return rc;
}

static void a_client_that_still_sends_gets_all_of_its_answer(void **state)
{
    struct pair p = half_way();

    linger_take(*state, p.server, false);
    (void)close(p.server);
    assert_int_equal(send(p.client, "and more", 8, MSG_NOSIGNAL), 8);
    assert_int_equal(take_all(p.client), ANSWER_BYTES);
    (void)close(p.client);
    assert_null(linger_free(*state));
}

static void without_it_the_answer_is_cut_off(void **state)
{
    struct pair p = half_way();

    (void)close(p.server);
    assert_int_equal(take_all(p.client), -1);
    (void)close(p.client);
    assert_null(linger_free(*state));
}

/* What it has sent by then was thrown away, so the system goes on by itself. */
static void a_client_that_takes_nothing_holds_nobody_up(void **state)
{
    struct pair p = half_way();

    linger_take(*state, p.server, false);
    (void)close(p.server);
    assert_null(linger_free(*state));
    assert_int_equal(take_all(p.client), ANSWER_BYTES);
    (void)close(p.client);
}

static void a_client_that_goes_is_let_go(void **state)
{
    struct pair p = half_way();

    linger_take(*state, p.server, true);
    (void)close(p.server);
    (void)close(p.client);
    assert_null(linger_free(*state));
}

static void what_is_to_be_reset_does_not_linger(void **state)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct pair p = half_way();

    assert_int_equal(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    linger_take(*state, p.server, true);
    (void)close(p.server);
    assert_int_equal(take_all(p.client), -1);
    (void)close(p.client);
    assert_null(linger_free(*state));
}

static void only_so_many_linger(void **state)
{
    static struct pair pairs[LINGER_MAX + 1];

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        pairs[i] = half_way();
        linger_take(*state, pairs[i].server, false);
        (void)close(pairs[i].server);
    }
    assert_int_equal(take_all(pairs[LINGER_MAX].client), -1);
    for (size_t i = 0; i < LINGER_MAX; i++)
        assert_int_equal(take_all(pairs[i].client), ANSWER_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        (void)close(pairs[i].client);
    assert_null(linger_free(*state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_client_that_still_sends_gets_all_of_its_answer, set_up),
        cmocka_unit_test_setup(without_it_the_answer_is_cut_off, set_up),
        cmocka_unit_test_setup(a_client_that_takes_nothing_holds_nobody_up, set_up),
        cmocka_unit_test_setup(a_client_that_goes_is_let_go, set_up),
        cmocka_unit_test_setup(what_is_to_be_reset_does_not_linger, set_up),
        cmocka_unit_test_setup(only_so_many_linger, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
