/*
 * F4, pure: what happens after a worker died over a task: once more, refuse that input, or stop that kernel
 * for a while. The clock is passed in. The caller holds the scheduler's lock.
 */
#ifndef SCHED_RETRY_H
#define SCHED_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry_rules {
    unsigned chunk_retries; /* after a crash, if the kernel is idempotent (1) */
    unsigned poison_deaths; /* workers that one input may kill before it is refused; 0: never (2) */
    uint64_t poison_ttl_ns; /* how long it stays refused (600 s) */
    unsigned brake_deaths;  /* deaths of one kernel within the window that stop it; 0: never (10) */
    uint64_t brake_window_ns; /* (60 s) */
    uint64_t brake_first_ns,
        brake_max_ns; /* first pause and longest; it doubles each time (1 s, 60 s) */
};

enum { RETRY_POISON_MAX = 1024, RETRY_DEATHS_KEPT = 64 };

/* Inputs that killed workers, by fingerprint: a bounded table; the oldest leaves first. */
struct retry_poison {
    struct retry_poison_entry {
        uint64_t fingerprint, until_ns;
        unsigned deaths;
    } entries[RETRY_POISON_MAX];
    size_t count;
};

/* One input killed a worker. True when it is refused from now on, for poison_ttl_ns after this death. */
bool retry_poison_add(struct retry_poison *t, const struct retry_rules *rules, uint64_t fingerprint,
                      uint64_t now_ns);

/* Whether it is refused; *ret_left_ns is for how long still, untouched when it is not. */
bool retry_poison_has(struct retry_poison *t, const struct retry_rules *rules, uint64_t fingerprint,
                      uint64_t now_ns, uint64_t *ret_left_ns);

/* False while no input has killed any worker lately: fingerprints need not be computed. */
bool retry_poison_is_empty(struct retry_poison *t, uint64_t now_ns);

/* One per kernel. Zero it to begin. Any brake_deaths deaths within the window stop it; those before a
 * pause still count, so after a short pause one more is enough, and the pause doubles. It begins again
 * with brake_first_ns when the kernel was not stopped for a whole window. */
struct retry_brake {
    uint64_t deaths_ns[RETRY_DEATHS_KEPT]; /* when, a ring */
    size_t next, count;
    uint64_t until_ns; /* refused until then */
    uint64_t pause_ns; /* the last pause */
};

/* One worker died over this kernel. While it is stopped already, that makes the pause no longer. At most
 * RETRY_DEATHS_KEPT deaths are counted, whatever brake_deaths says. */
void retry_brake_add(struct retry_brake *b, const struct retry_rules *rules, uint64_t now_ns);

/* Whether the kernel may run; else *ret_left_ns is how long it stays stopped. */
bool retry_brake_allows(const struct retry_brake *b, uint64_t now_ns, uint64_t *ret_left_ns);

#endif
