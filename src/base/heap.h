/*
 * Ground floor. A binary heap of things that embed a node: the smallest key is on top, and any node can
 * leave from the middle in O(log n), which is what timers that are mostly cancelled need.
 *
 * One thread, or the caller's lock. The heap owns no node.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t place; /* 1-based index; 0 when in no heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
};

void heap_init(struct heap *h);
void heap_release(struct heap *h);

/* Puts `node` in, or moves it when it is in already. -ENOMEM leaves it as it was. */
int heap_set(struct heap *h, struct heap_node *node, uint64_t key);

/* Takes `node` out; nothing happens when it is in no heap. */
void heap_remove(struct heap *h, struct heap_node *node);

/* The node with the smallest key, still in; NULL when empty. */
struct heap_node *heap_top(const struct heap *h);

static inline bool heap_holds(const struct heap_node *node)
{
    return node->place != 0;
}

#endif
