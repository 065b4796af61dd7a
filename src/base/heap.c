#include "base/heap.h"

#include <errno.h>

#include "base/check.h"

void heap_init(struct heap *h)
{
    *h = (struct heap) {0};
}

void heap_release(struct heap *h)
{
    free(h->nodes);
    heap_init(h);
}

static void put(struct heap *h, size_t place, struct heap_node *node)
{
    h->nodes[place - 1] = node;
    node->place = place;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    while (node->place > 1 && node->key < h->nodes[node->place / 2 - 1]->key) {
        size_t parent = node->place / 2;
        put(h, node->place, h->nodes[parent - 1]);
        put(h, parent, node);
    }
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    for (;;) {
        size_t child = node->place * 2;
        if (child > h->count)
            return;
        if (child < h->count && h->nodes[child]->key < h->nodes[child - 1]->key)
            child++;
        if (node->key <= h->nodes[child - 1]->key)
            return;
        put(h, node->place, h->nodes[child - 1]);
        put(h, child, node);
    }
}

static int ensure_room(struct heap *h)
{
    size_t capacity = h->capacity == 0 ? 32 : h->capacity * 2;
    struct heap_node **nodes;

    if (h->count < h->capacity)
        return 0;
    nodes = reallocarray(h->nodes, capacity, sizeof(struct heap_node *));
    if (nodes == NULL)
        return -ENOMEM;
    h->nodes = nodes;
    h->capacity = capacity;
    return 0;
}

int heap_set(struct heap *h, struct heap_node *node, uint64_t key)
{
    if (node->place == 0) {
        if (ensure_room(h) < 0)
            return -ENOMEM;
        put(h, ++h->count, node);
    }
    node->key = key;
    sift_up(h, node);
    sift_down(h, node);
    return 0;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    struct heap_node *last;
    size_t place = node->place;

    if (place == 0)
        return;
    CHECK(place <= h->count && h->nodes[place - 1] == node);
    last = h->nodes[--h->count];
    node->place = 0;
    if (last == node)
        return;
    put(h, place, last);
    sift_up(h, last);
    sift_down(h, last);
}

struct heap_node *heap_top(const struct heap *h)
{
    return h->count == 0 ? NULL : h->nodes[0];
}
