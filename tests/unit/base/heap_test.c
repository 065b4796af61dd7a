#include "base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 500 };

static struct heap_node nodes[NODES];

static int set_up(void **state)
{
    static struct heap h;

    heap_init(&h);
    memset(nodes, 0, sizeof(nodes));
    *state = &h;
    return 0;
}

static int tear_down(void **state)
{
    heap_release(*state);
    return 0;
}

static void fill_randomly(struct heap *h)
{
    srand(3);
    for (int i = 0; i < NODES; i++)
        assert_int_equal(heap_set(h, &nodes[i], (uint64_t)(rand() % 100)), 0);
}

/* Takes all out; they must come in order. How many there were. */
static int drain(struct heap *h)
{
    uint64_t last = 0;
    int n = 0;

    for (struct heap_node *top; (top = heap_top(h)) != NULL; n++) {
        assert_true(top->key >= last);
        last = top->key;
        heap_remove(h, top);
        assert_false(heap_holds(top));
    }
    return n;
}

static void an_empty_heap_has_no_top(void **state)
{
    assert_null(heap_top(*state));
}

static void nodes_leave_by_key(void **state)
{
    fill_randomly(*state);
    assert_int_equal(drain(*state), NODES);
}

static void equal_and_extreme_keys_are_fine(void **state)
{
    const uint64_t keys[] = {UINT64_MAX, 0, UINT64_MAX, 0, 5, 5};

    for (size_t i = 0; i < 6; i++)
        assert_int_equal(heap_set(*state, &nodes[i], keys[i]), 0);
    assert_int_equal(heap_top(*state)->key, 0);
    assert_int_equal(drain(*state), 6);
}

static void any_node_can_leave_from_the_middle(void **state)
{
    fill_randomly(*state);
    for (int i = 0; i < NODES; i += 2) {
        heap_remove(*state, &nodes[i]);
        assert_false(heap_holds(&nodes[i]));
    }
    assert_int_equal(drain(*state), NODES / 2);
}

static void leaving_twice_does_nothing(void **state)
{
    assert_int_equal(heap_set(*state, &nodes[0], 1), 0);
    assert_int_equal(heap_set(*state, &nodes[1], 2), 0);
    heap_remove(*state, &nodes[0]);
    heap_remove(*state, &nodes[0]);
    assert_ptr_equal(heap_top(*state), &nodes[1]);
}

static void a_new_key_moves_a_node_both_ways(void **state)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(heap_set(*state, &nodes[i], (uint64_t)i + 10), 0);
    assert_int_equal(heap_set(*state, &nodes[9], 1), 0);
    assert_ptr_equal(heap_top(*state), &nodes[9]);
    assert_int_equal(heap_set(*state, &nodes[9], 100), 0);
    assert_ptr_equal(heap_top(*state), &nodes[0]);
    assert_int_equal(drain(*state), 10);
}

static void random_changes_keep_the_order(void **state)
{
    struct heap *h = *state;

    srand(4);
    for (int step = 0; step < 100000; step++) {
        struct heap_node *node = &nodes[rand() % NODES];
        if (rand() % 3 == 0)
            heap_remove(h, node);
        else
            assert_int_equal(heap_set(h, node, (uint64_t)(rand() % 1000)), 0);
        for (size_t i = 2; step % 1000 == 0 && i <= h->count; i++)
            assert_true(h->nodes[i / 2 - 1]->key <= h->nodes[i - 1]->key);
    }
    (void)drain(h);
}

#define HEAP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(an_empty_heap_has_no_top),        HEAP_TEST(nodes_leave_by_key),
        HEAP_TEST(equal_and_extreme_keys_are_fine), HEAP_TEST(any_node_can_leave_from_the_middle),
        HEAP_TEST(leaving_twice_does_nothing),      HEAP_TEST(a_new_key_moves_a_node_both_ways),
        HEAP_TEST(random_changes_keep_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
