#include "sched/retry.h"

#include <limits.h>

#include "base/check.h"

static uint64_t later(uint64_t now_ns, uint64_t by_ns)
{
    return by_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + by_ns;
}

static void drop_entry(struct retry_poison *t, size_t i)
{
    t->count--;
    memmove(&t->entries[i], &t->entries[i + 1], (t->count - i) * sizeof(t->entries[0]));
}

static void drop_expired(struct retry_poison *t, uint64_t now_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->entries[i].until_ns > now_ns)
            t->entries[kept++] = t->entries[i];
    }
    t->count = kept;
}

/* Its place, or t->count. */
static size_t find(const struct retry_poison *t, uint64_t fingerprint)
{
    size_t i = 0;

    while (i < t->count && t->entries[i].fingerprint != fingerprint)
        i++;
    return i;
}

bool retry_poison_add(struct retry_poison *t, const struct retry_rules *rules, uint64_t fingerprint,
                      uint64_t now_ns)
{
    struct retry_poison_entry entry = {.fingerprint = fingerprint};
    size_t i;

    if (rules->poison_deaths == 0)
        return false;
    drop_expired(t, now_ns);
    i = find(t, fingerprint);
    if (i < t->count) {
        entry = t->entries[i];
        drop_entry(t, i);
    } else if (t->count == RETRY_POISON_MAX) {
        drop_entry(t, 0);
    }
    /* The latest is always the last, so that the first is the one to drop. */
    if (entry.deaths < UINT_MAX)
        entry.deaths++;
    entry.until_ns = later(now_ns, rules->poison_ttl_ns);
    t->entries[t->count++] = entry;
    return entry.deaths >= rules->poison_deaths;
}

bool retry_poison_has(struct retry_poison *t, const struct retry_rules *rules, uint64_t fingerprint,
                      uint64_t now_ns, uint64_t *ret_left_ns)
{
    size_t i = find(t, fingerprint);

    if (i == t->count || rules->poison_deaths == 0 || t->entries[i].deaths < rules->poison_deaths ||
        t->entries[i].until_ns <= now_ns)
        return false;
    *ret_left_ns = t->entries[i].until_ns - now_ns;
    return true;
}

bool retry_poison_is_empty(struct retry_poison *t, uint64_t now_ns)
{
    drop_expired(t, now_ns);
    return t->count == 0;
}

static size_t deaths_since(const struct retry_brake *b, uint64_t now_ns, uint64_t window_ns)
{
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++) {
        if (now_ns - b->deaths_ns[i] < window_ns)
            n++;
    }
    return n;
}

static void stop(struct retry_brake *b, const struct retry_rules *rules, uint64_t now_ns)
{
    /* A kernel that ran for a whole window since the last pause begins again with a short one. */
    if (now_ns - b->until_ns >= rules->brake_window_ns)
        b->pause_ns = 0;
    b->pause_ns = MAX(rules->brake_first_ns, later(b->pause_ns, b->pause_ns));
    b->pause_ns = MIN(b->pause_ns, rules->brake_max_ns);
    b->until_ns = later(now_ns, b->pause_ns);
}

void retry_brake_add(struct retry_brake *b, const struct retry_rules *rules, uint64_t now_ns)
{
    size_t limit = MIN(rules->brake_deaths, (unsigned)RETRY_DEATHS_KEPT);

    b->deaths_ns[b->next] = now_ns;
    b->next = (b->next + 1) % RETRY_DEATHS_KEPT;
    b->count = MIN(b->count + 1, (size_t)RETRY_DEATHS_KEPT);
    /* Tasks that were running when it was stopped may still die; that is not another time. */
    if (limit == 0 || now_ns < b->until_ns)
        return;
    if (deaths_since(b, now_ns, rules->brake_window_ns) >= limit)
        stop(b, rules, now_ns);
}

bool retry_brake_allows(const struct retry_brake *b, uint64_t now_ns, uint64_t *ret_left_ns)
{
    if (now_ns >= b->until_ns)
        return true;
    *ret_left_ns = b->until_ns - now_ns;
    return false;
}
