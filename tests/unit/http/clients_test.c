#include "http/clients.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "thread/thread.h"

#define S(n) ((n)*CLOCK_NS_PER_S)

/* The address that the text stands for; good until the next call of this thread. */
static const struct sockaddr *address(const char *text)
{
    static _Thread_local struct sockaddr_in v4;
    static _Thread_local struct sockaddr_in6 v6;

    v4 = (struct sockaddr_in) {.sin_family = AF_INET};
    v6 = (struct sockaddr_in6) {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return (const struct sockaddr *)&v4;
    CHECK(inet_pton(AF_INET6, text, &v6.sin6_addr) == 1);
    return (const struct sockaddr *)&v6;
}

static struct client *enter(struct clients *clients, const char *text)
{
    bool is_full = true;
    struct client *client = clients_enter(clients, address(text), &is_full);

    assert_int_equal(is_full, client == NULL);
    return client;
}

static unsigned asked(struct client *client, uint64_t now_ns, unsigned times)
{
    struct client_quota quota;
    unsigned n = 0;

    while (times-- > 0)
        n += client_may_ask(client, now_ns, &quota);
    return n;
}

static void without_limits_anybody_may(void **state)
{
    struct clients *clients = clients_new((struct clients_limits) {0, 0, 0});
    struct client *all[100];
    struct client_quota quota;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        all[i] = enter(clients, "10.0.0.1");
        assert_non_null(all[i]);
        assert_true(client_may_ask(all[i], 0, &quota));
        assert_int_equal(quota.limit, 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        client_leave(all[i]);
    assert_null(clients_free(clients));
}

static void connections_of_an_address_are_counted(void **state)
{
    struct clients *clients = clients_new((struct clients_limits) {.connections = 3});
    struct client *mine[3], *other;

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            assert_non_null(mine[i] = enter(clients, "10.0.0.1"));
        assert_null(enter(clients, "10.0.0.1"));
        assert_null(enter(clients, "10.0.0.1"));
        assert_non_null(other = enter(clients, "10.0.0.2"));
        client_leave(mine[1]);
        assert_non_null(mine[1] = enter(clients, "10.0.0.1"));
        assert_null(enter(clients, "10.0.0.1"));
        for (int i = 0; i < 3; i++)
            client_leave(mine[i]);
        client_leave(other);
    }
    (void)clients_free(clients);
}

static void who_is_one_address(void **state)
{
    static const struct {
        const char *one, *two;
        bool is_same;
    } pairs[] = {
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1", "::ffff:10.0.0.1", true},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.2", false},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"10.0.0.1", "a00:1::", false},
        {"0.0.0.0", "::", false},
        {"::1", "::ffff:0.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct clients *clients = clients_new((struct clients_limits) {.connections = 1});
        struct client *one = enter(clients, pairs[i].one), *two = enter(clients, pairs[i].two);
        assert_non_null(one);
        assert_int_equal(two == NULL, pairs[i].is_same);
        if (two != NULL)
            client_leave(two);
        client_leave(one);
        (void)clients_free(clients);
    }
}

static void a_bucket_empties_and_fills(void **state)
{
    struct clients *clients =
        clients_new((struct clients_limits) {.requests_per_s = 10, .burst = 5});
    struct client *client = enter(clients, "10.0.0.1");
    uint64_t now_ns = S(1000);
    struct client_quota quota;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_true(client_may_ask(client, now_ns, &quota));
        assert_false(quota.is_refused);
        assert_int_equal(quota.limit, 5);
        assert_int_equal(quota.remaining, 4 - i);
        assert_int_equal(quota.refill_ns, (i + 1) * S(1) / 10);
        assert_int_equal(quota.wait_ns, 0);
    }
    assert_false(client_may_ask(client, now_ns, &quota));
    assert_true(quota.is_refused);
    assert_int_equal(quota.limit, 5);
    assert_int_equal(quota.remaining, 0);
    assert_int_equal(quota.refill_ns, S(1) / 2);
    assert_int_equal(quota.wait_ns, S(1) / 10);
    /* A refused one costs nothing: the wait gets shorter with time alone. */
    assert_int_equal(asked(client, now_ns, 1000), 0);
    assert_int_equal(asked(client, now_ns + S(1) / 10 - 1, 10), 0);
    assert_int_equal(asked(client, now_ns + S(1) / 10, 10), 1);
    assert_int_equal(asked(client, now_ns + S(1) / 2, 10), 4);
    /* It is never more than full. */
    assert_int_equal(asked(client, now_ns + S(3600), 10), 5);
    client_leave(client);
    (void)clients_free(clients);
}

static void a_burst_is_at_least_one(void **state)
{
    struct clients *clients = clients_new((struct clients_limits) {.requests_per_s = 10});
    struct client *client = enter(clients, "10.0.0.1");

    (void)state;
    assert_int_equal(asked(client, S(10), 5), 1);
    client_leave(client);
    (void)clients_free(clients);
}

static void the_rate_is_kept(void **state)
{
    struct clients *clients =
        clients_new((struct clients_limits) {.requests_per_s = 100, .burst = 20});
    struct client *client = enter(clients, "10.0.0.1");
    unsigned n = 0;

    (void)state;
    for (uint64_t ms = 0; ms < 10000; ms++)
        n += asked(client, S(5) + ms * CLOCK_NS_PER_MS, 3);
    assert_in_range(n, 20 + 999, 20 + 1000);
    client_leave(client);
    (void)clients_free(clients);
}

/* Threads read the clock one after the other and ask in another order. */
static void time_may_go_back_a_little(void **state)
{
    struct clients *clients =
        clients_new((struct clients_limits) {.requests_per_s = 10, .burst = 2});
    struct client *client = enter(clients, "10.0.0.1");
    struct client_quota quota;

    (void)state;
    assert_int_equal(asked(client, S(10), 5), 2);
    assert_false(client_may_ask(client, S(9), &quota));
    assert_int_equal(quota.remaining, 0);
    client_leave(client);
    (void)clients_free(clients);
}

static void addresses_have_buckets_of_their_own(void **state)
{
    struct clients *clients =
        clients_new((struct clients_limits) {.requests_per_s = 1, .burst = 3});
    struct client *one = enter(clients, "10.0.0.1"), *same = enter(clients, "10.0.0.1");
    struct client *other = enter(clients, "10.0.0.2");

    (void)state;
    assert_int_equal(asked(one, S(10), 2), 2);
    assert_int_equal(asked(same, S(10), 5), 1);
    assert_int_equal(asked(one, S(10), 5), 0);
    assert_int_equal(asked(other, S(10), 5), 3);
    client_leave(one);
    client_leave(same);
    client_leave(other);
    (void)clients_free(clients);
}

static void to_leave_does_not_refill(void **state)
{
    struct clients *clients =
        clients_new((struct clients_limits) {.requests_per_s = 1, .burst = 100});
    struct client *client = enter(clients, "10.0.0.1");
    uint64_t now_ns = clock_now_ns();

    (void)state;
    assert_int_equal(asked(client, now_ns, 200), 100);
    for (int i = 0; i < 10; i++) {
        client_leave(client);
        client = enter(clients, "10.0.0.1");
        assert_int_equal(asked(client, now_ns, 10), 0);
    }
    client_leave(client);
    (void)clients_free(clients);
}

/* Each leaves a bucket that is soon full, and one leaves one that is not. All that were here would be 20 MB. */
static void who_has_left_is_forgotten(void **state)
{
    enum { COUNT = 100000, BYTES_MAX = 8 << 20 };
    struct clients *clients =
        clients_new((struct clients_limits) {.requests_per_s = 100000, .burst = 1 << 30});
    struct client *client = enter(clients, "10.0.0.1");
    size_t before;
    char text[32];

    (void)state;
    assert_true(asked(client, clock_now_ns() + S(3600), 1));
    client_leave(client);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    before = SIZE_MAX - BYTES_MAX; /* they have allocators of their own */
#else
    before = mallinfo2().uordblks;
#endif
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof(text), "11.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        client = enter(clients, text);
        assert_non_null(client);
        assert_int_equal(asked(client, clock_now_ns(), 1), 1);
        client_leave(client);
    }
    assert_in_range(mallinfo2().uordblks, 0, before + BYTES_MAX);
    (void)clients_free(clients);
}

struct crowd {
    struct clients *clients;
    struct client *client;
    _Atomic unsigned allowed;
    _Atomic int present, most;
};

static void *ask_much(void *arg)
{
    struct crowd *crowd = arg;

    atomic_fetch_add(&crowd->allowed, asked(crowd->client, S(7), 20000));
    return NULL;
}

static void a_crowd(void *(*run)(void *), struct crowd *crowd)
{
    struct thread threads[4];

    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(thread_start(&threads[i], "test", run, crowd), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        thread_join(&threads[i]);
}

static void threads_share_one_bucket_exactly(void **state)
{
    struct crowd crowd = {
        .clients = clients_new((struct clients_limits) {.requests_per_s = 1000, .burst = 30000})};

    (void)state;
    crowd.client = enter(crowd.clients, "10.0.0.1");
    a_crowd(ask_much, &crowd);
    assert_int_equal(crowd.allowed, 30000);
    client_leave(crowd.client);
    (void)clients_free(crowd.clients);
}

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    bool is_full;

    for (int i = 0; i < 20000; i++) {
        struct client *client = clients_enter(crowd->clients, address("10.0.0.1"), &is_full);
        int present;
        if (client == NULL) {
            CHECK(is_full);
            continue;
        }
        present = atomic_fetch_add(&crowd->present, 1) + 1;
        if (present > atomic_load(&crowd->most))
            atomic_store(&crowd->most, present);
        atomic_fetch_add(&crowd->allowed, asked(client, clock_now_ns(), 1));
        atomic_fetch_sub(&crowd->present, 1);
        client_leave(client);
    }
    return NULL;
}

static void threads_are_counted_exactly(void **state)
{
    struct crowd crowd = {.clients = clients_new((struct clients_limits) {
                              .connections = 2, .requests_per_s = 1000000, .burst = 1})};

    (void)state;
    a_crowd(come_and_go, &crowd);
    assert_in_range(crowd.most, 1, 2);
    assert_true(crowd.allowed > 0);
    (void)clients_free(crowd.clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_anybody_may),
        cmocka_unit_test(connections_of_an_address_are_counted),
        cmocka_unit_test(who_is_one_address),
        cmocka_unit_test(a_bucket_empties_and_fills),
        cmocka_unit_test(a_burst_is_at_least_one),
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(time_may_go_back_a_little),
        cmocka_unit_test(addresses_have_buckets_of_their_own),
        cmocka_unit_test(to_leave_does_not_refill),
        cmocka_unit_test(who_has_left_is_forgotten),
        cmocka_unit_test(threads_share_one_bucket_exactly),
        cmocka_unit_test(threads_are_counted_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
