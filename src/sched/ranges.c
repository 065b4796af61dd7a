#include "sched/ranges.h"

#include <errno.h>

#include "base/check.h"

void ranges_release(struct ranges *r)
{
    free(r->all);
    *r = (struct ranges) {NULL};
}

static int insert(struct ranges *r, size_t place, struct range range)
{
    if (r->count == r->capacity) {
        size_t capacity = MAX(r->capacity * 2, (size_t)8);
        struct range *all = reallocarray(r->all, capacity, sizeof(*all));
        if (all == NULL)
            return -ENOMEM;
        r->all = all;
        r->capacity = capacity;
    }
    memmove(&r->all[place + 1], &r->all[place], (r->count - place) * sizeof(range));
    r->all[place] = range;
    r->count++;
    return 0;
}

static void take_out(struct ranges *r, size_t place)
{
    r->count--;
    memmove(&r->all[place], &r->all[place + 1], (r->count - place) * sizeof(r->all[0]));
}

/* How many begin below. */
static size_t count_below(const struct ranges *r, uint64_t at)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->all[middle].lo < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int ranges_add(struct ranges *r, uint64_t lo, uint64_t hi)
{
    size_t i = count_below(r, lo);
    bool joins_left = i > 0 && r->all[i - 1].hi == lo;
    bool joins_right = i < r->count && r->all[i].lo == hi;

    CHECK(lo <= hi);
    if (lo == hi)
        return 0;
    CHECK(i == 0 || r->all[i - 1].hi <= lo);
    CHECK(i == r->count || hi <= r->all[i].lo);
    if (joins_left) {
        r->all[i - 1].hi = joins_right ? r->all[i].hi : hi;
        if (joins_right)
            take_out(r, i);
        return 0;
    }
    if (!joins_right)
        return insert(r, i, (struct range) {lo, hi});
    r->all[i].lo = lo;
    return 0;
}

void ranges_take_first(struct ranges *r, uint64_t units)
{
    struct range *first = r->all;

    CHECK(r->count > 0 && units <= first->hi - first->lo);
    first->lo += units;
    if (first->lo == first->hi)
        take_out(r, 0);
}

uint64_t ranges_end_of(const struct ranges *r, uint64_t at)
{
    size_t i = count_below(r, at);

    return i < r->count && r->all[i].lo == at ? r->all[i].hi : at;
}
