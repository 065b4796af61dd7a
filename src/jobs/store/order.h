/*
 * F2. Things in an order, for the engine that keeps jobs in memory: find, add and remove in O(log n), and so is counting
 * those before a place.
 *
 * What is ordered embeds a node; nothing is allocated, so nothing fails. A key is in an order once: `minor` makes it so,
 * and must not be what a client chooses, since it also keeps the tree shallow.
 */
#ifndef JOBS_STORE_ORDER_H
#define JOBS_STORE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct order_key {
    uint64_t major, minor;
};

struct order_node {
    struct order_node *left, *right;
    struct order_key key;
    uint32_t weight; /* not above the parent's */
    uint32_t count;  /* of this and all below it; 0: in no order */
};

struct order {
    struct order_node *root;
};

/* Puts the node in, or moves it when it is in already. */
void order_set(struct order *o, struct order_node *node, struct order_key key);

/* Takes it out; nothing happens when it is in none. */
void order_remove(struct order *o, struct order_node *node);

/* The first whose key is `key` or above; NULL: none. */
struct order_node *order_from(const struct order *o, struct order_key key);

/* The last whose key is below `key`; NULL: none. */
struct order_node *order_below(const struct order *o, struct order_key key);

/* How many have keys below `key`. */
uint64_t order_count_below(const struct order *o, struct order_key key);

#endif
