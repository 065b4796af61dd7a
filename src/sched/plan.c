#include "sched/plan.h"

#include <math.h>

#include "base/check.h"
#include "base/clock.h"

/* Shorter runs are mostly the cost of handing out. */
static const uint64_t learn_run_ns_min = 50 * CLOCK_NS_PER_US;

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

struct plan_part *plan_part_new(uint64_t lo, uint64_t hi, void *take_data, size_t bytes)
{
    struct plan_part *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        free(take_data);
        return NULL;
    }
    p->lo = lo;
    p->hi = hi;
    p->data = take_data;
    p->bytes = bytes;
    return p;
}

struct plan_part *plan_part_free(struct plan_part *p)
{
    if (p != NULL)
        free(p->data);
    free(p);
    return NULL;
}

static bool is_positive(double x)
{
    return isfinite(x) && x > 0;
}

int plan_init(struct plan *p, struct plan_rules rules, uint64_t units, double unit_cost,
              double ns_per_cost)
{
    CHECK(rules.workers >= 1);
    *p = (struct plan) {
        .rules = rules,
        .units = units,
        /* unit_cost is what a worker said. */
        .unit_cost = is_positive(unit_cost) ? unit_cost : 1.0,
        .ns_per_cost = is_positive(ns_per_cost) ? ns_per_cost : 0,
    };
    p->rules.chunks_wanted = MIN(rules.chunks_wanted, (uint64_t)PLAN_CHUNKS_MAX);
    TAILQ_INIT(&p->parts);
    return ranges_add(&p->gaps, 0, units);
}

void plan_release(struct plan *p)
{
    struct plan_part *part;

    while ((part = TAILQ_FIRST(&p->parts)) != NULL) {
        TAILQ_REMOVE(&p->parts, part, link);
        plan_part_free(part);
    }
    ranges_release(&p->gaps);
    ranges_release(&p->holes);
    *p = (struct plan) {.rules = p->rules};
    TAILQ_INIT(&p->parts);
}

static double unit_ns(const struct plan *p)
{
    return p->ns_per_cost * p->unit_cost;
}

/* How many units are predicted to take at least `ns`. */
static uint64_t units_worth(const struct plan *p, uint64_t ns)
{
    double n = ceil((double)ns / unit_ns(p));

    return n >= (double)p->units ? p->units : (uint64_t)n;
}

/* The end of the one of chunks_wanted equal chunks that `lo` is in; the longer ones come first. */
static uint64_t wanted_end(const struct plan *p, uint64_t lo)
{
    uint64_t n = MIN(p->rules.chunks_wanted, p->units);
    uint64_t shorter = p->units / n;
    uint64_t longer_count = p->units % n;
    uint64_t longer_end = longer_count * (shorter + 1);

    if (lo < longer_end)
        return (lo / (shorter + 1) + 1) * (shorter + 1);
    return longer_end + ((lo - longer_end) / shorter + 1) * shorter;
}

/* A turn gives each worker an equal chunk, seven eighths of what is left between them: few chunks, and small
 * ones at the end. */
static uint64_t share_of_turn(struct plan *p, uint64_t left)
{
    if (p->turn_chunks == 0) {
        p->turn_chunks = p->rules.workers;
        p->turn_units = divide_up(left, p->rules.workers) / 8 * 7 + 1;
    }
    p->turn_chunks--;
    return p->turn_units;
}

static uint64_t chunk_units(struct plan *p)
{
    uint64_t left = p->units - p->units_done - p->units_out;
    uint64_t chunks_left = p->chunks < PLAN_CHUNKS_MAX ? PLAN_CHUNKS_MAX - p->chunks : 1;
    uint64_t n;

    if (unit_ns(p) > 0) {
        n = MIN(units_worth(p, PLAN_CHUNK_NS), share_of_turn(p, left));
        n = MAX(n, units_worth(p, PLAN_CHUNK_NS_MIN));
    } else {
        n = divide_up(p->units, (uint64_t)p->rules.workers * PLAN_FIRST_CHUNKS_PER_WORKER);
    }
    return MAX(n, divide_up(left, chunks_left));
}

bool plan_next(struct plan *p, struct range *ret)
{
    struct range gap;
    uint64_t n;

    if (p->gaps.count == 0)
        return false;
    gap = p->gaps.all[0];
    n = p->rules.chunks_wanted > 0 ? wanted_end(p, gap.lo) - gap.lo : chunk_units(p);
    n = MIN(n, gap.hi - gap.lo);
    *ret = (struct range) {gap.lo, gap.lo + n};
    ranges_take_first(&p->gaps, n);
    p->units_out += n;
    return true;
}

uint64_t plan_predict_ns(const struct plan *p, uint64_t units)
{
    double ns = unit_ns(p) * (double)units;

    return ns >= (double)INT64_MAX ? INT64_MAX : (uint64_t)ns;
}

static void check_was_out(const struct plan *p, uint64_t lo, uint64_t hi)
{
    CHECK(lo <= hi && hi <= p->units && hi - lo <= p->units_out);
}

int plan_give_back(struct plan *p, uint64_t lo, uint64_t hi)
{
    int rc;

    check_was_out(p, lo, hi);
    rc = ranges_add(&p->gaps, lo, hi);
    if (rc == 0)
        p->units_out -= hi - lo;
    return rc;
}

int plan_give_up(struct plan *p, uint64_t lo, uint64_t hi)
{
    int rc;

    check_was_out(p, lo, hi);
    rc = ranges_add(&p->holes, lo, hi);
    if (rc < 0)
        return rc;
    p->units_out -= hi - lo;
    p->units_done += hi - lo;
    p->holes_given++;
    p->chunks++;
    return 0;
}

bool plan_is_hopeless(const struct plan *p)
{
    return p->units_done == p->units && p->part_count == 0 && p->holes.count > 0;
}

static void learn(struct plan *p, uint64_t units, uint64_t run_ns)
{
    double sample = (double)run_ns / ((double)units * p->unit_cost);

    if (!is_positive(sample) || (run_ns < learn_run_ns_min && p->ns_per_cost > 0))
        return;
    if (p->measured)
        p->ns_per_cost += 0.25 * (sample - p->ns_per_cost);
    else
        p->ns_per_cost = sample;
    p->measured = true;
}

/* Chunks are given out from the left, so a part's place is mostly near the right end. */
static void insert_part(struct plan *p, struct plan_part *part)
{
    struct plan_part *left = TAILQ_LAST(&p->parts, plan_parts);

    while (left != NULL && left->lo >= part->hi)
        left = TAILQ_PREV(left, plan_parts, link);
    CHECK(left == NULL || left->hi <= part->lo);
    if (left == NULL)
        TAILQ_INSERT_HEAD(&p->parts, part, link);
    else
        TAILQ_INSERT_AFTER(&p->parts, left, part, link);
    p->part_count++;
    p->part_bytes += part->bytes;
}

void plan_add_mapped(struct plan *p, struct plan_part *part, uint64_t run_ns)
{
    uint64_t units = part->hi - part->lo;

    check_was_out(p, part->lo, part->hi);
    if (units == 0) {
        plan_part_free(part);
        return;
    }
    part->busy = false;
    insert_part(p, part);
    p->units_out -= units;
    p->units_done += units;
    p->chunks++;
    learn(p, units, run_ns);
}

/* Whether finish can take the parts as they are, if no more come. */
static bool parts_are_few(const struct plan *p)
{
    return !p->rules.has_combine || p->part_count <= PLAN_FINISH_PARTS_MAX;
}

/* How many parts from `first` on to combine, 0 when it is too early; *ret_end is the first that is no
 * neighbour any more. */
static size_t count_for_combine(const struct plan *p, struct plan_part *first,
                                struct plan_part **ret_end)
{
    size_t limit = p->rules.is_associative ? PLAN_COMBINE_PARTS : PLAN_FINISH_PARTS_MAX;
    struct plan_part *part = first;
    size_t n = 0, bytes = 0, largest = 0;
    uint64_t lo = first->lo;

    for (; part != NULL && !part->busy && part->lo == lo; part = TAILQ_NEXT(part, link)) {
        n++;
        bytes += part->bytes;
        largest = MAX(largest, part->bytes);
        lo = ranges_end_of(&p->holes, part->hi);
        /* Not one small part after the other to a big one, when combined parts grow: each time
         * costs as much as the big one. */
        if (n == limit || (n >= 2 && bytes > PLAN_COMBINE_BYTES && bytes - largest >= largest / 2))
            return n;
    }
    *ret_end = part;
    return n >= PLAN_COMBINE_PARTS ? n : 0;
}

static void mark_busy(struct plan *p, struct plan_part *first, size_t count, bool busy)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(first != NULL && first->busy != busy);
        first->busy = busy;
        first = TAILQ_NEXT(first, link);
    }
    p->busy_count = busy ? p->busy_count + count : p->busy_count - count;
}

size_t plan_take_for_combine(struct plan *p, struct plan_part **ret_first)
{
    struct plan_part *first = TAILQ_FIRST(&p->parts);
    struct plan_part *end;
    size_t n = 0;

    if (!p->rules.has_combine || (p->units_done == p->units && parts_are_few(p)))
        return 0;
    if (!p->rules.is_associative && first != NULL && first->lo > ranges_end_of(&p->holes, 0))
        return 0;
    for (; first != NULL; first = end) {
        end = TAILQ_NEXT(first, link);
        if (!first->busy)
            n = count_for_combine(p, first, &end);
        if (n > 0 || !p->rules.is_associative)
            break;
    }
    if (n == 0)
        return 0;
    mark_busy(p, first, n, true);
    *ret_first = first;
    return n;
}

void plan_add_combined(struct plan *p, struct plan_part *first, size_t count,
                       struct plan_part *part)
{
    struct plan_part *old = first;

    CHECK(count > 0 && part->lo == first->lo);
    mark_busy(p, first, count, false);
    part->busy = false;
    TAILQ_INSERT_BEFORE(first, part, link);
    p->part_count = p->part_count + 1 - count;
    p->part_bytes += part->bytes;
    for (size_t i = 0; i < count; i++) {
        struct plan_part *next = TAILQ_NEXT(old, link);
        CHECK(i + 1 < count || old->hi == part->hi);
        p->part_bytes -= old->bytes;
        TAILQ_REMOVE(&p->parts, old, link);
        plan_part_free(old);
        old = next;
    }
}

void plan_release_from_combine(struct plan *p, struct plan_part *first, size_t count)
{
    mark_busy(p, first, count, false);
}

bool plan_is_complete(const struct plan *p)
{
    return p->units_done == p->units && p->busy_count == 0 && parts_are_few(p);
}

bool plan_wants_yield(const struct plan *p, uint64_t lo, uint64_t hi, uint64_t done, unsigned idle)
{
    uint64_t rest;

    if (p->gaps.count > 0 || idle == 0 || p->rules.chunks_wanted > 0 ||
        p->chunks >= PLAN_CHUNKS_MAX)
        return false;
    /* The unit it is at will be done by the time it hears of it; `done` is what the worker says. */
    if (hi - lo < 2 || done >= hi - lo - 1)
        return false;
    rest = hi - lo - done;
    return unit_ns(p) == 0 || plan_predict_ns(p, rest) >= PLAN_YIELD_NS_MIN;
}
