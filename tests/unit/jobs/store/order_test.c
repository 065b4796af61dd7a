#include "jobs/store/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

enum { NODES = 300, STEPS = 20000, MAJORS = 5 };

struct item {
    struct order_node node;
    struct order_key key;
    bool is_in;
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return *seed >> 33;
}

static bool is_below(struct order_key a, struct order_key b)
{
    return a.major != b.major ? a.major < b.major : a.minor < b.minor;
}

/* Against looking at each. */
static void check_place(const struct order *o, const struct item *items, struct order_key key)
{
    const struct item *from = NULL, *below = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < NODES; i++) {
        const struct item *item = &items[i];
        if (!item->is_in)
            continue;
        if (is_below(item->key, key)) {
            count++;
            below = below == NULL || is_below(below->key, item->key) ? item : below;
        } else {
            from = from == NULL || is_below(item->key, from->key) ? item : from;
        }
    }
    assert_ptr_equal(order_from(o, key), from == NULL ? NULL : &from->node);
    assert_ptr_equal(order_below(o, key), below == NULL ? NULL : &below->node);
    assert_int_equal(order_count_below(o, key), count);
}

static void it_finds_what_looking_at_each_finds(void **state)
{
    static struct item items[NODES];
    struct order o = {NULL};
    uint64_t seed = 20261121;

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int step = 0; step < STEPS; step++) {
        size_t which = next_random(&seed) % NODES;
        struct item *item = &items[which];
        struct order_key place = {next_random(&seed) % MAJORS, next_random(&seed) % NODES};
        if (next_random(&seed) % 3 == 0) {
            order_remove(&o, &item->node);
            item->is_in = false;
        } else {
            item->key = (struct order_key) {next_random(&seed) % MAJORS, which};
            order_set(&o, &item->node, item->key);
            item->is_in = true;
        }
        if (step % 16 == 0)
            check_place(&o, items, place);
    }
    for (size_t i = 0; i < NODES; i++)
        check_place(&o, items, items[i].key);
}

static unsigned depth_of(const struct order_node *node)
{
    unsigned left, right;

    if (node == NULL)
        return 0;
    left = depth_of(node->left);
    right = depth_of(node->right);
    return 1 + MAX(left, right);
}

static void rising_keys_do_not_make_it_deep(void **state)
{
    enum { MANY = 100000 };
    struct order_node *nodes = calloc(MANY, sizeof(*nodes));
    struct order o = {NULL};

    (void)state;
    assert_non_null(nodes);
    for (size_t i = 0; i < MANY; i++)
        order_set(&o, &nodes[i], (struct order_key) {0, i + 1});
    assert_in_range(depth_of(o.root), 17, 60);
    assert_int_equal(order_count_below(&o, (struct order_key) {1, 0}), MANY);
    for (size_t i = 0; i < MANY; i++)
        order_remove(&o, &nodes[i]);
    assert_null(o.root);
    free(nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_looking_at_each_finds),
        cmocka_unit_test(rising_keys_do_not_make_it_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
