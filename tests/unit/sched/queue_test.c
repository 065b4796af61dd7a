#include "queue_items.h"

static void nothing_comes_out_of_an_empty_queue(void **state)
{
    assert_null(queue_pop(*state, QUEUE_ANY));
    assert_null(queue_pop(*state, QUEUE_SHORT));
    assert_null(queue_peek(*state, QUEUE_ANY));
    assert_int_equal(queue_length_all(*state), 0);
    assert_null(queue_free(NULL));
}

static void one_client_leaves_in_order_of_arrival(void **state)
{
    unsigned last = 0;

    for (int i = 0; i < 100; i++)
        (void)push_kind(*state, QUEUE_NORMAL, 1, (uint64_t)(i % 7) * MS, i % 3 == 0);
    for (int i = 0; i < 100; i++) {
        unsigned serial = pop(*state).serial;
        assert_true(i == 0 || serial == last + 1);
        last = serial;
    }
}

static void lengths_and_cost_follow(void **state)
{
    struct queue *q = *state;
    struct item *middle;

    (void)push(q, QUEUE_HIGH, 1, 5);
    middle = push(q, QUEUE_LOW, 1, 70);
    (void)push(q, QUEUE_LOW, 2, 900);
    assert_int_equal(queue_length(q, QUEUE_HIGH), 1);
    assert_int_equal(queue_length(q, QUEUE_NORMAL), 0);
    assert_int_equal(queue_length(q, QUEUE_LOW), 2);
    assert_int_equal(queue_cost_ns(q), 975);
    queue_remove(q, &middle->entry);
    free(middle);
    assert_int_equal(queue_length_all(q), 2);
    assert_int_equal(queue_cost_ns(q), 905);
    drain(q);
    assert_int_equal(queue_cost_ns(q), 0);
}

static void removal_in_the_middle_keeps_the_rest_in_order(void **state)
{
    struct queue *q = *state;
    struct item *items[9];

    for (size_t i = 0; i < 9; i++)
        items[i] = push_kind(q, QUEUE_NORMAL, 1, MS, i % 2 == 0);
    for (size_t i = 0; i < 9; i += 3) {
        queue_remove(q, &items[i]->entry);
        assert_null(items[i]->entry.client);
    }
    for (size_t i = 0; i < 9; i++) {
        if (i % 3 == 0)
            free(items[i]);
        else
            assert_ptr_equal(queue_peek(q, QUEUE_ANY), &items[i]->entry);
        if (i % 3 != 0)
            (void)pop(q);
    }
}

static void a_client_whose_last_entry_is_removed_is_gone(void **state)
{
    struct queue *q = *state;
    struct item *only = push(q, QUEUE_NORMAL, 1, MS);

    (void)push(q, QUEUE_NORMAL, 2, MS);
    queue_remove(q, &only->entry);
    free(only);
    assert_int_equal(pop(q).who, 2);
}

/* Keeps all classes full, and measures what share of the cost each one gets. */
static void shares(struct queue *q, const uint64_t cost_ns[], double ret_share[])
{
    double used[QUEUE_CLASS_COUNT] = {0};
    double sum = 0;

    for (int c = 0; c < QUEUE_CLASS_COUNT; c++) {
        for (uint64_t who = 0; who < 3; who++)
            (void)push(q, (enum queue_class)c, who, cost_ns[c]);
    }
    for (int i = 0; i < 20000; i++) {
        struct item out = pop(q);
        used[out.entry.class] += (double)out.entry.cost_ns;
        sum += (double)out.entry.cost_ns;
        (void)push(q, out.entry.class, out.who, cost_ns[out.entry.class]);
    }
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        ret_share[c] = used[c] / sum;
}

static void assert_shares_are_8_3_1(const double share[])
{
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++) {
        double wanted = queue_class_weights[c] / 12.0;
        assert_true(share[c] > wanted * 0.97 && share[c] < wanted * 1.03);
    }
}

static void classes_share_8_3_1_with_equal_costs(void **state)
{
    const uint64_t costs[] = {2 * MS, 2 * MS, 2 * MS};
    double share[QUEUE_CLASS_COUNT];

    shares(*state, costs, share);
    assert_shares_are_8_3_1(share);
}

static void classes_share_8_3_1_with_unequal_costs(void **state)
{
    const uint64_t costs[] = {300 * MS, 1 * MS, 40 * MS};
    double share[QUEUE_CLASS_COUNT];

    shares(*state, costs, share);
    assert_shares_are_8_3_1(share);
}

static void a_class_that_comes_back_has_saved_up_nothing(void **state)
{
    struct queue *q = *state;
    int high = 0;

    (void)push(q, QUEUE_HIGH, 1, MS);
    (void)pop(q);
    for (int i = 0; i < 3000; i++)
        (void)push(q, QUEUE_LOW, 1, MS);
    for (int i = 0; i < 1000; i++)
        (void)pop(q);
    for (int i = 0; i < 2000; i++)
        (void)push(q, QUEUE_HIGH, 1, MS);
    for (int i = 0; i < 900; i++)
        high += pop(q).entry.class == QUEUE_HIGH;
    assert_in_range(high, 795, 805); /* 8 of 9; all 900 if it were paid for the past */
}

static void a_class_that_leaves_for_a_moment_keeps_its_debt(void **state)
{
    struct queue *q = *state;
    int high = 0;

    (void)push(q, QUEUE_LOW, 1, 100 * MS);
    for (int i = 0; i < 1000; i++)
        (void)push(q, QUEUE_HIGH, 1, MS);
    while (queue_length(q, QUEUE_LOW) > 0)
        (void)pop(q);
    (void)push(q, QUEUE_LOW, 1, 100 * MS);
    while (pop(q).entry.class == QUEUE_HIGH)
        high++;
    assert_in_range(high, 795, 805);
}

/* As a split request does: there is never more than one entry of it. */
static void a_class_with_one_entry_at_a_time_gets_its_share(void **state)
{
    struct queue *q = *state;
    int high = 0;

    (void)push(q, QUEUE_HIGH, 1, MS);
    (void)push(q, QUEUE_LOW, 1, MS);
    for (int i = 0; i < 9000; i++) {
        enum queue_class class = pop(q).entry.class;
        high += class == QUEUE_HIGH;
        (void)push(q, class, 1, MS);
    }
    assert_in_range(high, 7900, 8100);
}

static void an_idle_machine_forgives_a_class(void **state)
{
    struct queue *q = *state;

    (void)push(q, QUEUE_LOW, 1, 1000ULL * MS);
    (void)pop(q);
    (void)push(q, QUEUE_HIGH, 1, MS);
    (void)push(q, QUEUE_HIGH, 1, MS);
    (void)push(q, QUEUE_LOW, 1, 1000ULL * MS);
    assert_int_equal(pop(q).entry.class, QUEUE_HIGH);
    assert_int_equal(pop(q).entry.class, QUEUE_LOW);
}

static void low_is_never_starved(void **state)
{
    struct queue *q = *state;
    int before_low = 0;

    for (int i = 0; i < 500; i++) {
        (void)push(q, QUEUE_HIGH, (uint64_t)i, 10 * MS);
        (void)push(q, QUEUE_NORMAL, (uint64_t)i, 10 * MS);
    }
    (void)pop(q);
    (void)push(q, QUEUE_LOW, 1, 10 * MS);
    while (pop(q).entry.class != QUEUE_LOW)
        before_low++;
    assert_in_range(before_low, 0, 12);
}

static void a_correction_counts_for_the_class(void **state)
{
    struct queue *q = *state;
    int high = 0;

    for (int i = 0; i < 200; i++) {
        (void)push(q, QUEUE_HIGH, 1, MS);
        (void)push(q, QUEUE_LOW, 1, MS);
    }
    queue_charge(q, QUEUE_LOW, 1, 10 * MS);
    while (pop(q).entry.class == QUEUE_HIGH)
        high++;
    assert_in_range(high, 79, 82);
}

static void short_picks_only_what_is_short(void **state)
{
    struct queue *q = *state;

    (void)push_kind(q, QUEUE_HIGH, 1, MS, false);
    (void)push_kind(q, QUEUE_LOW, 2, MS, false);
    assert_null(queue_pop(q, QUEUE_SHORT));
    (void)push_kind(q, QUEUE_LOW, 2, MS, true);
    assert_int_equal(pop_want(q, QUEUE_SHORT).entry.is_short, true);
    assert_null(queue_peek(q, QUEUE_SHORT));
    assert_int_equal(queue_length_all(q), 2);
}

static void short_leaves_in_order_and_any_sees_the_gap(void **state)
{
    struct queue *q = *state;
    unsigned first = push_kind(q, QUEUE_NORMAL, 1, MS, false)->serial;

    (void)push_kind(q, QUEUE_NORMAL, 1, MS, true);
    (void)push_kind(q, QUEUE_NORMAL, 1, MS, true);
    (void)push_kind(q, QUEUE_NORMAL, 1, MS, false);
    assert_int_equal(pop_want(q, QUEUE_SHORT).serial, first + 1);
    assert_int_equal(pop(q).serial, first);
    assert_int_equal(pop(q).serial, first + 2);
    assert_int_equal(pop(q).serial, first + 3);
}

/* Everything at once, against a model that only counts. */
static void random_traffic_loses_nothing(void **state)
{
    enum { LIVE_MAX = 300 };
    struct queue *q = *state;
    struct item *live[LIVE_MAX];
    size_t count = 0;
    uint64_t cost = 0;

    srand(7);
    for (int step = 0; step < 200000; step++) {
        enum queue_want want = rand() % 4 == 0 ? QUEUE_SHORT : QUEUE_ANY;
        enum queue_class class = (enum queue_class)(rand() % 3);
        uint64_t who = (uint64_t)(rand() % 20);
        struct queue_entry *e = NULL;
        int action = rand() % 10;
        if (action < 5 && count < LIVE_MAX) {
            live[count] = push_kind(q, class, who, (uint64_t)rand() % (90 * MS), rand() % 2);
            cost += live[count++]->entry.cost_ns;
        } else if (action < 8) {
            e = queue_pop(q, want);
            assert_true(e != NULL || want == QUEUE_SHORT || count == 0);
        } else if (action == 8 && count > 0) {
            e = &live[(size_t)rand() % count]->entry;
            queue_remove(q, e);
        } else {
            queue_charge(q, class, who, rand() % (200 * MS) - 100 * MS);
        }
        for (size_t i = 0; e != NULL && i < count; i++) {
            if (live[i] == item_of(e)) {
                live[i] = live[--count];
                cost -= e->cost_ns;
                free(item_of(e));
                break;
            }
        }
        assert_int_equal(queue_length_all(q), count);
        assert_int_equal(queue_cost_ns(q), cost);
    }
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(nothing_comes_out_of_an_empty_queue),
        QUEUE_TEST(one_client_leaves_in_order_of_arrival),
        QUEUE_TEST(lengths_and_cost_follow),
        QUEUE_TEST(removal_in_the_middle_keeps_the_rest_in_order),
        QUEUE_TEST(a_client_whose_last_entry_is_removed_is_gone),
        QUEUE_TEST(classes_share_8_3_1_with_equal_costs),
        QUEUE_TEST(classes_share_8_3_1_with_unequal_costs),
        QUEUE_TEST(a_class_that_comes_back_has_saved_up_nothing),
        QUEUE_TEST(a_class_that_leaves_for_a_moment_keeps_its_debt),
        QUEUE_TEST(a_class_with_one_entry_at_a_time_gets_its_share),
        QUEUE_TEST(an_idle_machine_forgives_a_class),
        QUEUE_TEST(low_is_never_starved),
        QUEUE_TEST(a_correction_counts_for_the_class),
        QUEUE_TEST(short_picks_only_what_is_short),
        QUEUE_TEST(short_leaves_in_order_and_any_sees_the_gap),
        QUEUE_TEST(random_traffic_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
