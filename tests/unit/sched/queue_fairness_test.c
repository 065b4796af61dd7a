/* How clients of one class take turns in src/sched/queue.c. */
#include "queue_items.h"

static void a_client_with_one_entry_at_a_time_gets_its_share(void **state)
{
    struct queue *q = *state;
    int ones = 0;

    (void)push(q, QUEUE_NORMAL, 1, MS);
    for (int i = 0; i < 50; i++)
        (void)push(q, QUEUE_NORMAL, 2, MS);
    for (int i = 0; i < 9000; i++) {
        uint64_t who = pop(q).who;
        ones += who == 1;
        (void)push(q, QUEUE_NORMAL, who, MS);
    }
    assert_in_range(ones, 4400, 4600);
}

static void a_turn_ends_when_another_is_served_meanwhile(void **state)
{
    struct queue *q = *state;

    (void)push(q, QUEUE_NORMAL, 1, MS);
    for (int i = 0; i < 50; i++)
        (void)push(q, QUEUE_NORMAL, 2, MS);
    assert_int_equal(pop(q).who, 1);
    assert_int_equal(pop(q).who, 2);
    for (int i = 0; i < 50; i++)
        (void)push(q, QUEUE_NORMAL, 1, MS);
    for (int i = 1; i < QUANTUM_MS; i++)
        assert_int_equal(pop(q).who, 2);
    for (int i = 0; i < QUANTUM_MS; i++)
        assert_int_equal(pop(q).who, 1);
    assert_int_equal(pop(q).who, 2);
}

static void a_flood_delays_another_by_no_more_than_its_turn(void **state)
{
    struct queue *q = *state;
    uint64_t waited_ns = 0;

    for (int i = 0; i < 5000; i++)
        (void)push(q, QUEUE_NORMAL, 1, 1 * MS);
    for (int i = 0; i < 33; i++)
        (void)pop(q);
    (void)push(q, QUEUE_NORMAL, 2, 1 * MS);
    for (;;) {
        struct item out = pop(q);
        if (out.who == 2)
            break;
        waited_ns += out.entry.cost_ns;
    }
    assert_in_range(waited_ns, 0, QUEUE_QUANTUM_NS);
}

static void clients_share_by_cost_not_by_count(void **state)
{
    const uint64_t cost[] = {1 * MS, 7 * MS, 90 * MS};
    struct queue *q = *state;
    double used[3] = {0};

    for (uint64_t who = 0; who < 3; who++)
        (void)push(q, QUEUE_NORMAL, who, cost[who]);
    for (uint64_t who = 0; who < 3; who++)
        (void)push(q, QUEUE_NORMAL, who, cost[who]);
    for (int i = 0; i < 30000; i++) {
        struct item out = pop(q);
        used[out.who] += (double)out.entry.cost_ns;
        (void)push(q, QUEUE_NORMAL, out.who, cost[out.who]);
    }
    for (int i = 1; i < 3; i++)
        assert_true(used[i] > used[0] * 0.97 && used[i] < used[0] * 1.03);
}

static void costs_far_above_the_quantum_are_quick(void **state)
{
    const uint64_t year_ns = 365ULL * 86400 * 1000 * MS;
    struct queue *q = *state;

    for (int i = 0; i < 10; i++) {
        for (uint64_t who = 0; who < 50; who++)
            (void)push(q, QUEUE_NORMAL, who, year_ns);
    }
    for (int i = 0; i < 500; i++)
        assert_int_equal(pop(q).who, i % 50);
}

static void a_cost_of_nothing_does_not_hold_the_turn_for_ever(void **state)
{
    struct queue *q = *state;
    int n = 0;

    for (int i = 0; i < 50000; i++)
        (void)push(q, QUEUE_NORMAL, 1, 0);
    (void)pop(q);
    (void)push(q, QUEUE_NORMAL, 2, 0);
    while (pop(q).who == 1)
        n++;
    assert_in_range(n, 0, 20000);
}

static void a_client_that_comes_back_has_no_credit(void **state)
{
    struct queue *q = *state;
    int ones = 0;

    /* Ten times it leaves with nearly all of its quantum. */
    for (int i = 0; i < 10; i++) {
        (void)push(q, QUEUE_NORMAL, 1, MS / 100);
        (void)pop(q);
    }
    for (int i = 0; i < 100; i++)
        (void)push(q, QUEUE_NORMAL, 1, MS);
    (void)push(q, QUEUE_NORMAL, 2, MS);
    while (pop(q).who == 1)
        ones++;
    assert_int_equal(ones, QUANTUM_MS);
}

static void a_client_that_comes_back_has_its_debt(void **state)
{
    struct queue *q = *state;
    uint64_t others_ns = 0;

    (void)push(q, QUEUE_NORMAL, 1, 1000ULL * MS);
    (void)pop(q);
    for (int i = 0; i < 3000; i++)
        (void)push(q, QUEUE_NORMAL, 2, MS);
    (void)push(q, QUEUE_NORMAL, 1, MS);
    while (pop(q).who == 2)
        others_ns += MS;
    assert_in_range(others_ns, 960ULL * MS, 1020ULL * MS);
}

static void debt_is_paid_while_others_take_their_turns(void **state)
{
    struct queue *q = *state;
    uint64_t others_ns = 0;

    (void)push(q, QUEUE_NORMAL, 1, 1000ULL * MS);
    (void)pop(q);
    for (int i = 0; i < 3000; i++)
        (void)push(q, QUEUE_NORMAL, 2, MS);
    for (int i = 0; i < 1100; i++)
        (void)pop(q);
    (void)push(q, QUEUE_NORMAL, 1, MS);
    while (pop(q).who == 2)
        others_ns += MS;
    assert_in_range(others_ns, 0, QUEUE_QUANTUM_NS);
}

static void the_table_of_debtors_forgets_who_left_first(void **state)
{
    struct queue *q = *state;

    for (uint64_t who = 0; who <= QUEUE_DEBTORS_MAX; who++)
        queue_charge(q, QUEUE_NORMAL, who, who == 0 ? 2000LL * MS : 1000LL * MS);
    (void)push(q, QUEUE_NORMAL, 1, MS); /* in debt */
    (void)push(q, QUEUE_NORMAL, 0, MS); /* forgiven */
    assert_int_equal(pop(q).who, 0);
    assert_int_equal(pop(q).who, 1);
}

static void a_correction_upwards_makes_others_go_first(void **state)
{
    struct queue *q = *state;
    int twos = 0;

    for (int i = 0; i < 200; i++) {
        (void)push(q, QUEUE_NORMAL, 1, MS);
        (void)push(q, QUEUE_NORMAL, 2, MS);
    }
    assert_int_equal(pop(q).who, 1);
    queue_charge(q, QUEUE_NORMAL, 1, 100 * MS);
    while (pop(q).who == 2)
        twos++;
    assert_in_range(twos, 80, 120);
}

static void a_correction_downwards_gives_the_turn_back(void **state)
{
    struct queue *q = *state;

    for (int i = 0; i < 10; i++) {
        (void)push(q, QUEUE_NORMAL, 1, 15 * MS);
        (void)push(q, QUEUE_NORMAL, 2, 15 * MS);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pop(q).who, 1);
        queue_charge(q, QUEUE_NORMAL, 1, -15 * MS);
    }
}

static void corrections_make_up_for_wrong_predictions(void **state)
{
    struct queue *q = *state;
    double used[3] = {0};

    /* Both are predicted 10 ms; client 1 takes 4, client 2 takes 30. */
    for (uint64_t who = 1; who < 3; who++) {
        for (int i = 0; i < 50; i++)
            (void)push(q, QUEUE_NORMAL, who, 10 * MS);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t who = pop(q).who;
        int64_t took = who == 1 ? 4 * MS : 30 * MS;
        used[who] += (double)took;
        queue_charge(q, QUEUE_NORMAL, who, took - 10 * MS);
        (void)push(q, QUEUE_NORMAL, who, 10 * MS);
    }
    assert_true(used[1] > used[2] * 0.95 && used[1] < used[2] * 1.05);
}

static void late_corrections_make_up_too(void **state)
{
    struct queue *q = *state;
    double used[3] = {0};
    int64_t late_ns = 0;

    /* Client 1 is predicted 20 ms and takes 10, which is known only when its turn is over. */
    for (int i = 0; i < 50; i++) {
        (void)push(q, QUEUE_NORMAL, 1, 20 * MS);
        (void)push(q, QUEUE_NORMAL, 2, MS);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t who = pop(q).who;
        used[who] += who == 1 ? 10 * MS : MS;
        (void)push(q, QUEUE_NORMAL, who, who == 1 ? 20 * MS : MS);
        if (who == 1) {
            late_ns -= 10 * MS;
        } else {
            queue_charge(q, QUEUE_NORMAL, 1, late_ns);
            late_ns = 0;
        }
    }
    assert_true(used[1] > used[2] * 0.95 && used[1] < used[2] * 1.05);
}

static void a_large_correction_makes_no_long_turn(void **state)
{
    struct queue *q = *state;
    int ones = 0;

    for (int i = 0; i < 200; i++) {
        (void)push(q, QUEUE_NORMAL, 1, MS);
        (void)push(q, QUEUE_NORMAL, 2, MS);
    }
    queue_charge(q, QUEUE_NORMAL, 1, -1000LL * MS);
    while (pop(q).who == 1)
        ones++;
    assert_in_range(ones, QUANTUM_MS, 2 * QUANTUM_MS);
}

static void corrections_of_any_size_are_safe(void **state)
{
    struct queue *q = *state;

    (void)push(q, QUEUE_NORMAL, 1, UINT64_MAX);
    (void)push(q, QUEUE_NORMAL, 2, MS);
    for (int i = 0; i < 3000; i++)
        queue_charge(q, QUEUE_NORMAL, 1, INT64_MAX);
    assert_int_equal(pop(q).who, 2);
    assert_int_equal(pop(q).who, 1);
    for (int i = 0; i < 3000; i++)
        queue_charge(q, QUEUE_NORMAL, 1, INT64_MIN);
    queue_charge(q, QUEUE_HIGH, 77, INT64_MIN);
    (void)push(q, QUEUE_NORMAL, 1, MS);
    assert_int_equal(pop(q).who, 1);
}

static void short_ones_alone_are_shared_too(void **state)
{
    struct queue *q = *state;
    double used[3] = {0};

    for (int i = 0; i < 100; i++)
        (void)push_kind(q, QUEUE_NORMAL, 0, MS, false);
    for (uint64_t who = 1; who < 3; who++)
        (void)push_kind(q, QUEUE_NORMAL, who, MS, true);
    for (int i = 0; i < 10000; i++) {
        struct item out = pop_want(q, QUEUE_SHORT);
        used[out.who] += (double)out.entry.cost_ns;
        (void)push_kind(q, QUEUE_NORMAL, out.who, out.who * MS, true);
        (void)push_kind(q, QUEUE_NORMAL, out.who, out.who * MS, true);
    }
    assert_true(used[1] > used[2] * 0.95 && used[1] < used[2] * 1.05);
    assert_true(used[0] == 0);
}

static void short_pops_do_not_starve_long_entries(void **state)
{
    struct queue *q = *state;
    int turns = 0;

    for (uint64_t who = 1; who < 4; who++) {
        for (int i = 0; i < 2000; i++)
            (void)push_kind(q, QUEUE_NORMAL, who, MS, true);
    }
    /* An even number, so that each turn begins with a short pop, which must leave 9 its place. */
    (void)pop(q);
    (void)pop(q);
    (void)push_kind(q, QUEUE_NORMAL, 9, MS, false);
    do
        (void)pop_want(q, QUEUE_SHORT);
    while (pop(q).who != 9 && ++turns < 1000);
    assert_in_range(turns, 0, 3 * QUANTUM_MS);
}

static void waiting_through_short_pops_earns_one_turn_at_most(void **state)
{
    struct queue *q = *state;
    int zeros = 0;

    for (int i = 0; i < 500; i++)
        (void)push_kind(q, QUEUE_NORMAL, 0, MS, false);
    for (int i = 0; i < 3000; i++)
        (void)push_kind(q, QUEUE_NORMAL, 1, MS, true);
    queue_charge(q, QUEUE_NORMAL, 0, 1);
    for (int i = 0; i < 2000; i++)
        (void)pop_want(q, QUEUE_SHORT);
    while (pop(q).who == 0)
        zeros++;
    assert_in_range(zeros, 0, QUANTUM_MS);
}

static void one_key_in_two_classes_is_two_clients(void **state)
{
    struct queue *q = *state;

    queue_charge(q, QUEUE_HIGH, 1, 1000LL * MS);
    (void)push(q, QUEUE_NORMAL, 1, MS);
    (void)push(q, QUEUE_NORMAL, 2, MS);
    assert_int_equal(pop(q).who, 1);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(a_client_with_one_entry_at_a_time_gets_its_share),
        QUEUE_TEST(a_turn_ends_when_another_is_served_meanwhile),
        QUEUE_TEST(a_flood_delays_another_by_no_more_than_its_turn),
        QUEUE_TEST(clients_share_by_cost_not_by_count),
        QUEUE_TEST(costs_far_above_the_quantum_are_quick),
        QUEUE_TEST(a_cost_of_nothing_does_not_hold_the_turn_for_ever),
        QUEUE_TEST(a_client_that_comes_back_has_no_credit),
        QUEUE_TEST(a_client_that_comes_back_has_its_debt),
        QUEUE_TEST(debt_is_paid_while_others_take_their_turns),
        QUEUE_TEST(the_table_of_debtors_forgets_who_left_first),
        QUEUE_TEST(a_correction_upwards_makes_others_go_first),
        QUEUE_TEST(a_correction_downwards_gives_the_turn_back),
        QUEUE_TEST(corrections_make_up_for_wrong_predictions),
        QUEUE_TEST(late_corrections_make_up_too),
        QUEUE_TEST(a_large_correction_makes_no_long_turn),
        QUEUE_TEST(corrections_of_any_size_are_safe),
        QUEUE_TEST(short_ones_alone_are_shared_too),
        QUEUE_TEST(short_pops_do_not_starve_long_entries),
        QUEUE_TEST(waiting_through_short_pops_earns_one_turn_at_most),
        QUEUE_TEST(one_key_in_two_classes_is_two_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
