#include "jobs/store/order.h"

#include "base/check.h"

/* A treap: ordered by keys, and a heap by weights that are as good as random. */

static bool is_below(struct order_key a, struct order_key b)
{
    return a.major != b.major ? a.major < b.major : a.minor < b.minor;
}

/* The finalizer of splitmix64. */
static uint32_t weight_of(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return (uint32_t)(x >> 32);
}

static uint32_t count_of(const struct order_node *node)
{
    return node == NULL ? 0 : node->count;
}

static void count_anew(struct order_node *node)
{
    node->count = 1 + count_of(node->left) + count_of(node->right);
}

static void split(struct order_node *tree, struct order_key key, struct order_node **ret_below,
                  struct order_node **ret_from)
{
    if (tree == NULL) {
        *ret_below = *ret_from = NULL;
        return;
    }
    if (is_below(tree->key, key)) {
        split(tree->right, key, &tree->right, ret_from);
        *ret_below = tree;
    } else {
        split(tree->left, key, ret_below, &tree->left);
        *ret_from = tree;
    }
    count_anew(tree);
}

/* All keys of `a` are below those of `b`. */
static struct order_node *merge(struct order_node *a, struct order_node *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    if (a->weight >= b->weight) {
        a->right = merge(a->right, b);
        count_anew(a);
        return a;
    }
    b->left = merge(a, b->left);
    count_anew(b);
    return b;
}

static struct order_node **link_towards(struct order_node *node, struct order_key key)
{
    return is_below(key, node->key) ? &node->left : &node->right;
}

void order_set(struct order *o, struct order_node *node, struct order_key key)
{
    struct order_node **link = &o->root;

    order_remove(o, node);
    node->key = key;
    node->weight = weight_of(key.minor);
    while (*link != NULL && (*link)->weight >= node->weight) {
        (*link)->count++;
        link = link_towards(*link, key);
    }
    split(*link, key, &node->left, &node->right);
    count_anew(node);
    *link = node;
}

void order_remove(struct order *o, struct order_node *node)
{
    struct order_node **link = &o->root;

    if (node->count == 0)
        return;
    while (*link != node) {
        CHECK(*link != NULL);
        (*link)->count--;
        link = link_towards(*link, node->key);
    }
    *link = merge(node->left, node->right);
    node->count = 0;
}

struct order_node *order_from(const struct order *o, struct order_key key)
{
    struct order_node *found = NULL;

    for (struct order_node *at = o->root; at != NULL;) {
        if (is_below(at->key, key)) {
            at = at->right;
        } else {
            found = at;
            at = at->left;
        }
    }
    return found;
}

struct order_node *order_below(const struct order *o, struct order_key key)
{
    struct order_node *found = NULL;

    for (struct order_node *at = o->root; at != NULL;) {
        if (is_below(at->key, key)) {
            found = at;
            at = at->right;
        } else {
            at = at->left;
        }
    }
    return found;
}

uint64_t order_count_below(const struct order *o, struct order_key key)
{
    uint64_t count = 0;

    for (const struct order_node *at = o->root; at != NULL;) {
        if (is_below(at->key, key)) {
            count += 1 + (uint64_t)count_of(at->left);
            at = at->right;
        } else {
            at = at->left;
        }
    }
    return count;
}
