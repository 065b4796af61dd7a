#include "sched/queue.h"

#include <errno.h>
#include <math.h>

#include "base/check.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

const char *const queue_class_names[QUEUE_CLASS_COUNT] = {
    [QUEUE_HIGH] = "high",
    [QUEUE_NORMAL] = "normal",
    [QUEUE_LOW] = "low",
};

const unsigned queue_class_weights[QUEUE_CLASS_COUNT] = {
    [QUEUE_HIGH] = 8,
    [QUEUE_NORMAL] = 3,
    [QUEUE_LOW] = 1,
};

static_assert(QUEUE_CLASS_COUNT == 3, "names and weights");

/* Charged at least, so that no turn lasts for ever; and at most, so that no sum overflows. */
static const uint64_t charge_ns_min = 1000;
static const uint64_t charge_ns_max = 1ULL << 53;
static const int64_t debt_ns_max = 1LL << 60;

enum length { LONG, SHORT, LENGTH_COUNT };

TAILQ_HEAD(entries, queue_entry);
TAILQ_HEAD(clients, queue_client);

/* One client in one class. It is there while it has entries, and after that while it has debt: then it is
 * a debtor, who keeps a place in the ring only to be given the turns that pay its debt. */
struct queue_client {
    UT_hash_handle hh;
    TAILQ_ENTRY(queue_client) ring_link;
    TAILQ_ENTRY(queue_client) debtor_link;
    struct entries waiting[LENGTH_COUNT];
    uint64_t key;
    int64_t credit_ns; /* what is left of its turn; below zero: debt */
    bool in_turn;      /* has been given its quantum, and has not used it up */
    bool is_debtor;
};

struct class
{
    struct queue_client *by_key;
    struct clients ring;    /* in the order of their turns */
    struct clients debtors; /* in the order of their leaving */
    size_t debtor_count;
    struct queue_client *lingering; /* left within its turn, and nobody was served since; or NULL */
    size_t length, short_length;
    double virtual_ns;   /* CPU time charged so far, over the weight */
    uint64_t emptied_at; /* queue.pops when its last entry left */
};

struct queue {
    struct class classes[QUEUE_CLASS_COUNT];
    uint64_t next_order;
    uint64_t pops;
    uint64_t cost_ns;
};

/* Who is next in a class, and how many quanta that client must be given before it is. */
struct winner {
    struct queue_client *client;
    uint64_t quanta;
};

struct queue *queue_new(void)
{
    struct queue *q = calloc(1, sizeof(*q));

    if (q == NULL)
        return NULL;
    for (int i = 0; i < QUEUE_CLASS_COUNT; i++) {
        TAILQ_INIT(&q->classes[i].ring);
        TAILQ_INIT(&q->classes[i].debtors);
    }
    return q;
}

static bool has_entries(const struct queue_client *c)
{
    return !TAILQ_EMPTY(&c->waiting[LONG]) || !TAILQ_EMPTY(&c->waiting[SHORT]);
}

static struct queue_client *find_client(struct class *k, uint64_t key)
{
    struct queue_client *c;

    HASH_FIND(hh, k->by_key, &key, sizeof(key), c);
    return c;
}

static struct queue_client *add_client(struct class *k, uint64_t key)
{
    struct queue_client *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->key = key;
    TAILQ_INIT(&c->waiting[LONG]);
    TAILQ_INIT(&c->waiting[SHORT]);
    HASH_ADD(hh, k->by_key, key, sizeof(c->key), c);
    if (c->hh.tbl == NULL) {
        free(c);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&k->ring, c, ring_link);
    return c;
}

static void unmark_debtor(struct class *k, struct queue_client *c)
{
    if (!c->is_debtor)
        return;
    TAILQ_REMOVE(&k->debtors, c, debtor_link);
    k->debtor_count--;
    c->is_debtor = false;
}

static void drop_client(struct class *k, struct queue_client *c)
{
    unmark_debtor(k, c);
    if (k->lingering == c)
        k->lingering = NULL;
    TAILQ_REMOVE(&k->ring, c, ring_link);
    HASH_DEL(k->by_key, c);
    free(c);
}

struct queue *queue_free(struct queue *q)
{
    if (q == NULL)
        return NULL;
    CHECK(queue_length_all(q) == 0);
    for (int i = 0; i < QUEUE_CLASS_COUNT; i++) {
        struct class *k = &q->classes[i];
        while (!TAILQ_EMPTY(&k->ring))
            drop_client(k, TAILQ_FIRST(&k->ring));
    }
    free(q);
    return NULL;
}

static void move_to_tail(struct class *k, struct queue_client *c)
{
    TAILQ_REMOVE(&k->ring, c, ring_link);
    TAILQ_INSERT_TAIL(&k->ring, c, ring_link);
}

static void stop_lingering(struct class *k)
{
    if (k->lingering != NULL)
        drop_client(k, k->lingering);
}

static void mark_debtor(struct class *k, struct queue_client *c)
{
    if (c->is_debtor)
        return;
    c->is_debtor = true;
    TAILQ_INSERT_TAIL(&k->debtors, c, debtor_link);
    if (++k->debtor_count > QUEUE_DEBTORS_MAX)
        drop_client(k, TAILQ_FIRST(&k->debtors));
}

/* A client without entries leaves its credit behind, but not its debt. A split request is pushed again
 * as soon as it was popped, which must not cost it its turn: hence the lingering. */
static void leave(struct class *k, struct queue_client *c)
{
    if (c->credit_ns < 0) {
        if (k->lingering == c)
            k->lingering = NULL;
        mark_debtor(k, c);
    } else if (c->in_turn) {
        if (k->lingering != c)
            stop_lingering(k);
        k->lingering = c;
    } else {
        drop_client(k, c);
    }
}

/* After its credit or its entries became fewer. */
static void settle(struct class *k, struct queue_client *c)
{
    if (c->in_turn && c->credit_ns <= 0) {
        c->in_turn = false;
        move_to_tail(k, c);
    }
    if (!has_entries(c))
        leave(k, c);
}

/* When nobody waits, all are even. Else a class that begins to wait starts where the one that is next
 * stands, as it has saved up no credit; unless it only was popped empty and is pushed again. */
static double virtual_of_rejoining(const struct queue *q, const struct class *joins)
{
    double next = INFINITY, latest = 0;

    for (int i = 0; i < QUEUE_CLASS_COUNT; i++) {
        const struct class *k = &q->classes[i];
        latest = MAX(latest, k->virtual_ns);
        if (k->length > 0)
            next = MIN(next, k->virtual_ns);
    }
    if (isinf(next))
        return latest;
    return joins->emptied_at == q->pops ? joins->virtual_ns : MAX(joins->virtual_ns, next);
}

int queue_push(struct queue *q, struct queue_entry *e, enum queue_class class, uint64_t client,
               uint64_t cost_ns, bool is_short)
{
    struct class *k = &q->classes[class];
    struct queue_client *c = find_client(k, client);

    if (c == NULL)
        c = add_client(k, client);
    if (c == NULL)
        return -ENOMEM;
    unmark_debtor(k, c);
    if (k->lingering == c)
        k->lingering = NULL;
    if (k->length == 0)
        k->virtual_ns = virtual_of_rejoining(q, k);
    e->client = c;
    e->order = q->next_order++;
    e->cost_ns = MIN(cost_ns, charge_ns_max);
    e->class = class;
    e->is_short = is_short;
    TAILQ_INSERT_TAIL(&c->waiting[is_short ? SHORT : LONG], e, link);
    k->length++;
    k->short_length += is_short;
    q->cost_ns += e->cost_ns;
    return 0;
}

static void detach(struct queue *q, struct queue_entry *e)
{
    struct class *k = &q->classes[e->class];

    TAILQ_REMOVE(&e->client->waiting[e->is_short ? SHORT : LONG], e, link);
    e->client = NULL;
    k->length--;
    k->short_length -= e->is_short;
    q->cost_ns -= e->cost_ns;
    if (k->length == 0)
        k->emptied_at = q->pops;
}

static struct queue_entry *first_entry(const struct queue_client *c, enum queue_want want)
{
    struct queue_entry *a_long = TAILQ_FIRST(&c->waiting[LONG]);
    struct queue_entry *a_short = TAILQ_FIRST(&c->waiting[SHORT]);

    if (want == QUEUE_SHORT || a_long == NULL)
        return a_short;
    return a_short != NULL && a_short->order < a_long->order ? a_short : a_long;
}

static struct class *choose_class(struct queue *q, enum queue_want want)
{
    struct class *best = NULL;

    for (int i = 0; i < QUEUE_CLASS_COUNT; i++) {
        struct class *k = &q->classes[i];
        size_t n = want == QUEUE_SHORT ? k->short_length : k->length;
        if (n > 0 && (best == NULL || k->virtual_ns < best->virtual_ns))
            best = k;
    }
    return best;
}

static uint64_t quanta_needed(const struct queue_client *c)
{
    if (c->credit_ns > 0)
        return c->in_turn ? 0 : 1;
    return (uint64_t)-c->credit_ns / QUEUE_QUANTUM_NS + 1;
}

/* Deficit round robin gives the clients a quantum each, round after round, until one is out of debt. Here
 * the rounds are not walked but counted. */
static struct winner choose_client(const struct class *k, enum queue_want want)
{
    struct winner best = {.quanta = UINT64_MAX};
    struct queue_client *c;

    for (c = TAILQ_FIRST(&k->ring); c != NULL; c = TAILQ_NEXT(c, ring_link)) {
        uint64_t quanta = quanta_needed(c);
        if (first_entry(c, want) == NULL || quanta >= best.quanta)
            continue;
        best = (struct winner) {c, quanta};
        if (quanta <= 1)
            break;
    }
    return best;
}

/* Somebody who was passed over only gets out of debt by that. */
static void pay(struct class *k, struct queue_client *c, uint64_t quanta)
{
    if (c->credit_ns < 0)
        c->credit_ns = MIN(c->credit_ns + (int64_t)quanta * QUEUE_QUANTUM_NS, 0);
    if (c->is_debtor && c->credit_ns >= 0)
        drop_client(k, c);
}

/* Gives all the quanta of the rounds up to the winner's turn: those behind it were not reached in the last
 * of them. Those ahead go to the end, unless they were only passed over because what they have is
 * long. */
static void begin_turn(struct class *k, struct winner won, enum queue_want want)
{
    struct queue_client *c, *next;

    for (c = TAILQ_NEXT(won.client, ring_link); won.quanta > 1 && c != NULL; c = next) {
        next = TAILQ_NEXT(c, ring_link);
        pay(k, c, won.quanta - 1);
    }
    for (c = TAILQ_FIRST(&k->ring); c != won.client; c = next) {
        next = TAILQ_NEXT(c, ring_link);
        if (want == QUEUE_ANY)
            move_to_tail(k, c);
        pay(k, c, won.quanta);
    }
    won.client->credit_ns += (int64_t)won.quanta * QUEUE_QUANTUM_NS;
    won.client->in_turn = true;
}

struct queue_entry *queue_pop(struct queue *q, enum queue_want want)
{
    struct class *k = choose_class(q, want);
    struct queue_entry *e;
    struct winner won;
    uint64_t charge_ns;

    if (k == NULL)
        return NULL;
    q->pops++;
    stop_lingering(k);
    won = choose_client(k, want);
    e = first_entry(won.client, want);
    if (won.quanta > 0)
        begin_turn(k, won, want);
    charge_ns = MAX(e->cost_ns, charge_ns_min);
    k->virtual_ns += (double)charge_ns / queue_class_weights[e->class];
    won.client->credit_ns -= (int64_t)charge_ns;
    detach(q, e);
    settle(k, won.client);
    return e;
}

const struct queue_entry *queue_peek(struct queue *q, enum queue_want want)
{
    struct class *k = choose_class(q, want);

    return k == NULL ? NULL : first_entry(choose_client(k, want).client, want);
}

void queue_remove(struct queue *q, struct queue_entry *e)
{
    struct queue_client *c = e->client;

    CHECK(c != NULL);
    detach(q, e);
    settle(&q->classes[e->class], c);
}

void queue_charge(struct queue *q, enum queue_class class, uint64_t client, int64_t more_ns)
{
    struct class *k = &q->classes[class];
    struct queue_client *c = find_client(k, client);
    int64_t bound = (int64_t)charge_ns_max;

    more_ns = MAX(MIN(more_ns, bound), -bound);
    k->virtual_ns = MAX(k->virtual_ns + (double)more_ns / queue_class_weights[class], 0);
    if (c == NULL && more_ns > 0)
        c = add_client(k, client);
    if (c == NULL)
        return;
    /* What comes back makes the next turn longer by one quantum at most, or others would feel it. */
    if (more_ns < 0)
        c->credit_ns = MIN(c->credit_ns - more_ns, MAX(c->credit_ns, QUEUE_QUANTUM_NS));
    else
        c->credit_ns = MAX(c->credit_ns - more_ns, -debt_ns_max);
    settle(k, c);
}

size_t queue_length(const struct queue *q, enum queue_class class)
{
    return q->classes[class].length;
}

size_t queue_length_all(const struct queue *q)
{
    size_t n = 0;

    for (int i = 0; i < QUEUE_CLASS_COUNT; i++)
        n += q->classes[i].length;
    return n;
}

uint64_t queue_cost_ns(const struct queue *q)
{
    return q->cost_ns;
}
