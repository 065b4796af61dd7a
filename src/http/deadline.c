#include "http/deadline.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "http/response.h"
#include "state/metrics.h"
#include "thread/lock.h"
#include "thread/thread.h"

#define LOOK_NS_MAX (10 * CLOCK_NS_PER_S)

enum {
    SLOTS = 64,          /* a bit each in `filled` */
    TICKS_PER_LOOK = 32, /* nobody is put further ahead: the wheel never laps itself */
    PHASE_BITS = 3,
    LOOKS_PER_HOLD = 16, /* of the lock */
    REPLY_BYTES = 512,
};

enum phase { HEADERS, BODY, ANSWER, PARKED, IDLE, SHUT, PHASE_COUNT };
static_assert(PHASE_COUNT <= 1 << PHASE_BITS, "in one word with the time");

static const char *const phase_names[SHUT] = {
    [HEADERS] = "headers", [BODY] = "body", [ANSWER] = "answer",
    [PARKED] = "parked",   [IDLE] = "idle",
};

LIST_HEAD(slot, deadline);

struct deadlines {
    struct deadline_rules rules;
    uint64_t look_ns; /* from one look at a connection to the next, at most */
    uint64_t tick_ns;
    int labels[SHUT];
    char too_slow[REPLY_BYTES], draining[REPLY_BYTES];
    struct thread thread;
    pthread_cond_t changed;
    struct lock lock; /* for all that follows */
    struct slot slots[SLOTS];
    uint64_t filled;    /* 1 << slot */
    uint64_t next_tick; /* the first that the thread has not come to */
    uint64_t wake_ns;   /* when it looks by itself; CLOCK_NEVER */
    uint64_t drain_ns;  /* the end of all bodies; CLOCK_NEVER */
    bool is_ending;
};

static uint64_t word_of(enum phase phase, uint64_t at_ns)
{
    return at_ns << PHASE_BITS | phase;
}

static enum phase phase_of(uint64_t word)
{
    return word & ((1 << PHASE_BITS) - 1);
}

static uint64_t time_of(uint64_t word)
{
    return word >> PHASE_BITS;
}

/* ---- the wheel, under its lock ---- */

/* At `at_ns`, or in the tick after it. */
static void place(struct deadlines *all, struct deadline *d, uint64_t at_ns)
{
    uint64_t tick = at_ns / all->tick_ns + 1;

    tick = MIN(MAX(tick, all->next_tick), all->next_tick + SLOTS - 1);
    d->slot = (unsigned)(tick % SLOTS);
    d->is_placed = true;
    LIST_INSERT_HEAD(&all->slots[d->slot], d, link);
    all->filled |= UINT64_C(1) << d->slot;
    if (tick * all->tick_ns >= all->wake_ns)
        return;
    all->wake_ns = tick * all->tick_ns;
    CHECK(pthread_cond_signal(&all->changed) == 0);
}

static void unplace(struct deadlines *all, struct deadline *d)
{
    LIST_REMOVE(d, link);
    d->is_placed = false;
    if (LIST_EMPTY(&all->slots[d->slot]))
        all->filled &= ~(UINT64_C(1) << d->slot);
}

/* When the next slot that is not empty comes. */
static uint64_t next_filled_ns(const struct deadlines *all)
{
    unsigned by = all->next_tick % SLOTS;
    uint64_t ahead = by == 0 ? all->filled : all->filled >> by | all->filled << (SLOTS - by);

    if (ahead == 0)
        return CLOCK_NEVER;
    return (all->next_tick + (unsigned)__builtin_ctzll(ahead)) * all->tick_ns;
}

/* ---- looking at one connection, under the lock ---- */

/* False for what is no TCP connection. */
static bool measure(const struct deadline *d, struct tcp_info *info, uint64_t *ret_ready_bytes)
{
    socklen_t bytes = sizeof(*info);
    int queued;

    memset(info, 0, sizeof(*info)); /* an older system fills in less */
    if (getsockopt(d->fd, IPPROTO_TCP, TCP_INFO, info, &bytes) < 0 ||
        ioctl(d->fd, SIOCOUTQ, &queued) < 0)
        return false;
    *ret_ready_bytes = (uint64_t)queued;
    return true;
}

static uint64_t time_for(const struct deadlines *all, uint64_t bytes)
{
    uint64_t per_s = all->rules.bytes_per_s;

    return bytes / per_s * CLOCK_NS_PER_S + bytes % per_s * CLOCK_NS_PER_S / per_s;
}

/* Whether the client takes what is there for it. A client's system makes room in whole segments (64 KiB on the
 * loopback), so time for one is added: who reads slowly but fast enough would seem to stand still. */
static bool takes_answer(const struct deadlines *all, struct deadline *d, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - d->looked_ns;
    uint64_t ready = 0, taken;
    struct tcp_info info;

    if (elapsed_ns < all->rules.answer_ns)
        return true;
    if (!measure(d, &info, &ready)) {
        d->looked_ns = now_ns;
        return true;
    }
    taken = info.tcpi_bytes_acked - d->acked_bytes;
    if (taken < d->ready_bytes) {
        if (time_for(all, taken + info.tcpi_snd_mss) < elapsed_ns)
            return false;
        if (elapsed_ns < all->rules.answer_ns + time_for(all, info.tcpi_snd_mss))
            return true;
    }
    d->looked_ns = now_ns;
    d->ready_bytes = ready;
    d->acked_bytes = info.tcpi_bytes_acked;
    return true;
}

static bool has_ever_sent(const struct deadline *d)
{
    struct tcp_info info;
    uint64_t ready;

    return !measure(d, &info, &ready) || info.tcpi_bytes_received > 0;
}

static void tell(const struct deadline *d, const char *reply)
{
    if (d->may_tell)
        (void)send(d->fd, reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What the system keeps for a client that does not take it goes with the connection. */
static void drop_unsent(const struct deadline *d)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(d->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Who is late as `seen` said. False when its pool thread was quicker, and it is at something else. */
static bool shut(const struct deadlines *all, struct deadline *d, uint64_t seen, uint64_t now_ns)
{
    enum phase phase = phase_of(seen);

    if (!atomic_compare_exchange_strong(&d->word, &seen, word_of(SHUT, 0)))
        return false;
    if (phase == HEADERS && !has_ever_sent(d))
        phase = IDLE;
    if (phase == HEADERS || phase == BODY)
        tell(d, time_of(seen) > now_ns ? all->draining : all->too_slow);
    else if (d->ready_bytes > 0)
        drop_unsent(d);
    metrics_add(METRIC_HTTP_LATE, all->labels[phase], 1);
    (void)shutdown(d->fd, SHUT_RDWR);
    return true;
}

/* When to look next; 0: it is late. An answer that has left for the system may still be on its way when the time for
 * the next request is over. */
static uint64_t next_look_ns(const struct deadlines *all, struct deadline *d, uint64_t word,
                             uint64_t now_ns)
{
    enum phase phase = phase_of(word);
    uint64_t until_ns = phase == BODY ? MIN(time_of(word), all->drain_ns) : time_of(word);

    if (phase == HEADERS || phase == BODY || (phase == IDLE && until_ns > now_ns))
        return until_ns > now_ns ? until_ns : 0;
    if (!takes_answer(all, d, now_ns) || (phase == IDLE && d->ready_bytes == 0))
        return 0;
    return now_ns + all->look_ns;
}

static void look(struct deadlines *all, struct deadline *d, uint64_t now_ns)
{
    uint64_t seen = atomic_load(&d->word);
    uint64_t next_ns;

    if (phase_of(seen) == SHUT)
        return;
    next_ns = next_look_ns(all, d, seen, now_ns);
    if (next_ns == 0 && shut(all, d, seen, now_ns))
        return;
    deadline_retell_end(d);
    place(all, d, MIN(next_ns, now_ns + all->look_ns));
}

/* ---- the thread ---- */

/* Takes all out whose slot has come. After a long sleep that is everybody, so nobody may go back into a slot before
 * all have been taken. */
static void take_due(struct deadlines *all, struct slot *due, uint64_t now_ns)
{
    uint64_t last = now_ns / all->tick_ns;
    uint64_t count = last < all->next_tick ? 0 : MIN(last - all->next_tick + 1, (uint64_t)SLOTS);
    struct deadline *d;

    for (uint64_t i = 0; i < count; i++) {
        while ((d = LIST_FIRST(&all->slots[(all->next_tick + i) % SLOTS])) != NULL) {
            unplace(all, d);
            d->is_placed = true; /* deadline_end must take it out of this list */
            LIST_INSERT_HEAD(due, d, link);
        }
    }
    all->next_tick = MAX(all->next_tick, last + 1);
}

static void look_at_due(struct deadlines *all, uint64_t now_ns)
{
    struct slot due = LIST_HEAD_INITIALIZER(due);
    struct deadline *d;

    take_due(all, &due, now_ns);
    for (unsigned n = 1; (d = LIST_FIRST(&due)) != NULL; n++) {
        LIST_REMOVE(d, link);
        d->is_placed = false;
        look(all, d, now_ns);
        if (n % LOOKS_PER_HOLD == 0) {
            lock_drop(&all->lock);
            lock_take(&all->lock);
        }
    }
}

static void wait_for_next(struct deadlines *all)
{
    struct timespec until;

    all->wake_ns = next_filled_ns(all);
    if (all->wake_ns == CLOCK_NEVER) {
        (void)pthread_cond_wait(&all->changed, &all->lock.mutex);
        return;
    }
    until = (struct timespec) {.tv_sec = (time_t)(all->wake_ns / CLOCK_NS_PER_S),
                               .tv_nsec = (long)(all->wake_ns % CLOCK_NS_PER_S)};
    (void)pthread_cond_timedwait(&all->changed, &all->lock.mutex, &until);
}

static void *run(void *arg)
{
    struct deadlines *all = arg;
    LOCKED(&all->lock);

    for (;;) {
        look_at_due(all, clock_now_ns());
        if (all->is_ending) /* may have been said while the lock was dropped */
            return NULL;
        wait_for_next(all);
    }
}

static bool write_reply(char out[REPLY_BYTES], const char *status, enum problem_name name,
                        const char *detail)
{
    json_t *json = problem_object(name, NULL, detail);
    CLEANUP_FREE char *body = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    int n;

    json_decref(json);
    if (body == NULL)
        return false;
    n = snprintf(out, REPLY_BYTES,
                 "HTTP/1.1 %s\r\nConnection: close\r\nCache-Control: no-store\r\n"
                 "Content-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 status, strlen(body), body);
    CHECK(n < REPLY_BYTES);
    return true;
}

static struct deadlines *release(struct deadlines *all)
{
    CHECK(pthread_cond_destroy(&all->changed) == 0);
    lock_release(&all->lock);
    free(all);
    return NULL;
}

static struct deadlines *create(const struct deadline_rules *rules)
{
    struct deadlines *all = calloc(1, sizeof(*all));
    pthread_condattr_t attr;

    if (all == NULL)
        return NULL;
    all->rules = *rules;
    all->rules.bytes_per_s = MAX(rules->bytes_per_s, UINT64_C(1));
    all->look_ns =
        MIN(MIN(rules->header_ns, rules->body_ns), MIN(rules->answer_ns, rules->idle_ns));
    all->look_ns = MIN(all->look_ns, LOOK_NS_MAX);
    all->tick_ns = MAX(all->look_ns / TICKS_PER_LOOK, UINT64_C(1));
    all->wake_ns = all->drain_ns = CLOCK_NEVER;
    all->next_tick = clock_now_ns() / all->tick_ns;
    for (int i = 0; i < SHUT; i++)
        all->labels[i] = metrics_label(METRIC_HTTP_LATE, phase_names[i]);
    lock_init(&all->lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&all->changed, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    return all;
}

int deadlines_new(struct deadlines **ret, const struct deadline_rules *rules, struct err *err)
{
    struct deadlines *all = create(rules);
    int rc;

    if (all == NULL)
        return err_set(err, -ENOMEM, "no memory for the deadlines of connections");
    rc = write_reply(all->too_slow, "408 Request Timeout", PROBLEM_TOO_SLOW,
                     "The request came too slowly. Send it again, without pauses.") &&
                 write_reply(all->draining, "503 Service Unavailable\r\nRetry-After: 1",
                             PROBLEM_DRAINING,
                             "The server is shutting down. Send the request again in a second.")
             ? thread_start(&all->thread, "deadlines", run, all)
             : -ENOMEM;
    if (rc < 0) {
        (void)release(all);
        return err_set(err, rc, "no thread for the deadlines of connections: %s", strerror(-rc));
    }
    *ret = all;
    return 0;
}

struct deadlines *deadlines_free(struct deadlines *all)
{
    if (all == NULL)
        return NULL;
    lock_take(&all->lock);
    CHECK(all->filled == 0);
    all->is_ending = true;
    CHECK(pthread_cond_signal(&all->changed) == 0);
    lock_drop(&all->lock);
    thread_join(&all->thread);
    return release(all);
}

void deadlines_drain(struct deadlines *all, uint64_t deadline_ns)
{
    struct deadline *d;
    LOCKED(&all->lock);

    all->drain_ns = deadline_ns;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (i == all->next_tick % SLOTS)
            continue;
        while ((d = LIST_FIRST(&all->slots[i])) != NULL) {
            unplace(all, d);
            place(all, d, 0);
        }
    }
}

bool deadlines_have_unsent(struct deadlines *all)
{
    const struct deadline *d;
    int bytes;
    LOCKED(&all->lock);

    for (unsigned i = 0; i < SLOTS; i++) {
        LIST_FOREACH (d, &all->slots[i], link) {
            if (phase_of(atomic_load(&d->word)) != SHUT && ioctl(d->fd, SIOCOUTQ, &bytes) == 0 &&
                bytes > 0)
                return true;
        }
    }
    return false;
}

void deadlines_cut(struct deadlines *all)
{
    struct deadline *d;
    LOCKED(&all->lock);

    for (unsigned i = 0; i < SLOTS; i++) {
        LIST_FOREACH (d, &all->slots[i], link) {
            drop_unsent(d);
            (void)shutdown(d->fd, SHUT_RDWR);
        }
    }
}

/* ---- pool threads ---- */

void deadline_begin(struct deadlines *all, struct deadline *d, int fd, bool may_tell,
                    uint64_t now_ns)
{
    *d = (struct deadline) {.all = all, .fd = fd, .may_tell = may_tell};
    atomic_init(&d->word, word_of(HEADERS, now_ns + all->rules.header_ns));
    LOCKED(&all->lock);
    if (all->filled == 0) /* the thread has not turned the wheel since */
        all->next_tick = MAX(all->next_tick, now_ns / all->tick_ns);
    place(all, d, now_ns + all->look_ns);
}

void deadline_end(struct deadline *d)
{
    LOCKED(&d->all->lock);

    if (d->is_placed)
        unplace(d->all, d);
}

/* Whoever was shut stays so: between the 408 and the end of the socket no answer may leave. */
static void enter(struct deadline *d, enum phase phase, uint64_t until_ns)
{
    uint64_t before =
        atomic_exchange_explicit(&d->word, word_of(phase, until_ns), memory_order_acq_rel);

    if (phase_of(before) == SHUT)
        (void)shutdown(d->fd, SHUT_RDWR);
}

/* A new connection has been waiting for its first headers since its start. */
void deadline_headers(struct deadline *d, uint64_t now_ns)
{
    uint64_t word = atomic_load_explicit(&d->word, memory_order_relaxed);

    if (phase_of(word) != HEADERS)
        enter(d, HEADERS, now_ns + d->all->rules.header_ns);
}

void deadline_body(struct deadline *d, uint64_t now_ns)
{
    d->began_ns = now_ns;
    d->taken_bytes = 0;
    enter(d, BODY, now_ns + d->all->rules.body_ns);
}

void deadline_body_took(struct deadline *d, uint64_t bytes)
{
    d->taken_bytes += bytes;
    enter(d, BODY, d->began_ns + d->all->rules.body_ns + time_for(d->all, d->taken_bytes));
}

void deadline_parked(struct deadline *d)
{
    enter(d, PARKED, 0);
}

void deadline_answer(struct deadline *d)
{
    enter(d, ANSWER, 0);
}

void deadline_idle(struct deadline *d, uint64_t now_ns)
{
    enter(d, IDLE, now_ns + d->all->rules.idle_ns);
}

void deadline_retell_end(const struct deadline *d)
{
    char byte;

    /* The system wakes whoever polls the socket, though nothing has changed; sending is not touched. */
    if (recv(d->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        (void)shutdown(d->fd, SHUT_RD);
}
