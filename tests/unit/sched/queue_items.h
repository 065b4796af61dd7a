/* What the tests of the queue push and pop. */
#ifndef TESTS_SCHED_QUEUE_ITEMS_H
#define TESTS_SCHED_QUEUE_ITEMS_H

#include "sched/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MS = 1000 * 1000, QUANTUM_MS = QUEUE_QUANTUM_NS / MS };

/* What is pushed here belongs to the test: `who` and `serial` tell what came out. */
struct item {
    struct queue_entry entry;
    uint64_t who;
    unsigned serial;
};

static inline int set_up(void **state)
{
    *state = queue_new();
    return *state == NULL ? -1 : 0;
}

static inline struct item *push_kind(struct queue *q, enum queue_class class, uint64_t who,
                                     uint64_t cost_ns, bool is_short)
{
    static unsigned serial;
    struct item *i = calloc(1, sizeof(*i));

    assert_non_null(i);
    i->who = who;
    i->serial = serial++;
    assert_int_equal(queue_push(q, &i->entry, class, who, cost_ns, is_short), 0);
    return i;
}

static inline struct item *push(struct queue *q, enum queue_class class, uint64_t who,
                                uint64_t cost_ns)
{
    return push_kind(q, class, who, cost_ns, false);
}

static inline struct item *item_of(const struct queue_entry *e)
{
    return (struct item *)(uintptr_t)e;
}

static inline struct item pop_want(struct queue *q, enum queue_want want)
{
    const struct queue_entry *next = queue_peek(q, want);
    struct queue_entry *e = queue_pop(q, want);
    struct item out;

    assert_ptr_equal(e, next);
    assert_non_null(e);
    assert_null(e->client);
    out = *item_of(e);
    free(item_of(e));
    return out;
}

static inline struct item pop(struct queue *q)
{
    return pop_want(q, QUEUE_ANY);
}

static inline void drain(struct queue *q)
{
    while (queue_length_all(q) > 0)
        (void)pop(q);
}

static inline int tear_down(void **state)
{
    struct queue *q = *state;

    drain(q);
    return queue_free(q) == NULL ? 0 : -1;
}

#endif
