/*
 * F4, pure: what waits, and who is next. No fd, no thread, no clock; the caller holds the scheduler's lock.
 *
 * Three classes share the workers' time 8 : 3 : 1 while all of them wait (stride scheduling on predicted
 * CPU time), so that low priority is slow but never starves; a class that waits again after a while
 * has saved up nothing. Within a class clients take turns by deficit round robin on predicted CPU time;
 * a client is an address. A turn ends with the entry that uses it up, and what that took too much is
 * debt, which the next turns pay; a client that has gone keeps its debt while others take theirs, but
 * no credit. Within a client, entries leave in the order of their arrival.
 *
 * An entry is short when it is predicted to take so little that the express worker may run it; those
 * can be asked for alone.
 */
#ifndef SCHED_QUEUE_H
#define SCHED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum queue_class { QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW, QUEUE_CLASS_COUNT };

/* Names as in the Prong-Priority header. */
extern const char *const queue_class_names[QUEUE_CLASS_COUNT];
extern const unsigned queue_class_weights[QUEUE_CLASS_COUNT];

enum {
    QUEUE_QUANTUM_NS = 20 * 1000 * 1000, /* what a client may use in one turn */
    QUEUE_DEBTORS_MAX = 1024,            /* of one class; the one that left first is forgiven */
};

enum queue_want { QUEUE_ANY, QUEUE_SHORT };

struct queue_client;

/* Embedded in what waits. The queue owns no entry. */
struct queue_entry {
    TAILQ_ENTRY(queue_entry) link;
    struct queue_client *client; /* NULL when in no queue */
    uint64_t order;              /* of arrival */
    uint64_t cost_ns;            /* predicted CPU time */
    enum queue_class class;
    bool is_short;
};

struct queue;

struct queue *queue_new(void);
struct queue *queue_free(struct queue *q); /* must be empty */

/* Adds at the end. `client` is the caller's key for a client; one key in two classes is two clients.
 * -ENOMEM changes nothing. */
int queue_push(struct queue *q, struct queue_entry *e, enum queue_class class, uint64_t client,
               uint64_t cost_ns, bool is_short);

/* Takes out who is next; NULL when nothing of the wanted kind waits. The client is charged cost_ns. */
struct queue_entry *queue_pop(struct queue *q, enum queue_want want);

/* Who queue_pop would give, left in place. */
const struct queue_entry *queue_peek(struct queue *q, enum queue_want want);

/* Takes out an entry whose request was cancelled; nothing is charged. Must be in this queue. */
void queue_remove(struct queue *q, struct queue_entry *e);

/* Corrects what `client` and its class were charged, once the true CPU time is known: `more_ns` may be
 * negative. The client need not wait here any more. */
void queue_charge(struct queue *q, enum queue_class class, uint64_t client, int64_t more_ns);

size_t queue_length(const struct queue *q, enum queue_class class);
size_t queue_length_all(const struct queue *q);
uint64_t queue_cost_ns(const struct queue *q); /* predicted CPU time of all that waits */

#endif
