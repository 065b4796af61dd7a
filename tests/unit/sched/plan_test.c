#include "sched/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t ms = 1000000;

/* One plan for each test; it must stay where it is. */
static struct plan *plan_of(struct plan_rules rules, uint64_t units, double ns_per_unit)
{
    static struct plan p;

    plan_release(&p);
    if (rules.workers == 0)
        rules.workers = 4;
    assert_int_equal(plan_init(&p, rules, units, 1.0, ns_per_unit), 0);
    return &p;
}

static struct range next(struct plan *p)
{
    struct range r = {1, 0};

    assert_true(plan_next(p, &r));
    return r;
}

static uint64_t next_units(struct plan *p)
{
    struct range r = next(p);

    return r.hi - r.lo;
}

/* A part with `bytes` bytes, as a worker would have sent it. */
static struct plan_part *part_of(uint64_t lo, uint64_t hi, size_t bytes)
{
    struct plan_part *part = plan_part_new(lo, hi, bytes > 0 ? malloc(1) : NULL, bytes);

    assert_non_null(part);
    return part;
}

static void answer(struct plan *p, struct range r, uint64_t run_ns)
{
    plan_add_mapped(p, part_of(r.lo, r.hi, 8), run_ns);
}

/* The parts must be [0, units) without a hole, and the sums right. */
static void assert_whole(const struct plan *p)
{
    const struct plan_part *part;
    uint64_t at = 0;
    size_t count = 0, bytes = 0;

    TAILQ_FOREACH (part, &p->parts, link) {
        assert_int_equal(part->lo, at);
        assert_true(part->hi > part->lo);
        at = part->hi;
        bytes += part->bytes;
        count++;
    }
    assert_int_equal(at, p->units);
    assert_int_equal(count, p->part_count);
    assert_int_equal(bytes, p->part_bytes);
}

static void no_units_are_complete_at_once(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {0}, 0, 0);
    struct range r;

    (void)state;
    assert_true(plan_is_complete(p));
    assert_false(plan_next(p, &r));
    plan_release(p);
}

static void unknown_work_is_cut_into_four_per_worker(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1600, 0);

    (void)state;
    for (int i = 0; i < 16; i++)
        assert_int_equal(next_units(p), 100);
    assert_int_equal(p->gaps.count, 0);
    plan_release(p);
}

static void few_units_are_cut_to_single_ones(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 8}, 5, 0);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(next_units(p), 1);
    plan_release(p);
}

static void known_work_is_cut_by_time(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1000000, 30000.0);

    (void)state;
    assert_int_equal(next_units(p), PLAN_CHUNK_NS / 30000);
    plan_release(p);
}

static void unit_cost_scales_the_time(void **state)
{
    struct plan p;

    (void)state;
    assert_int_equal(plan_init(&p, (struct plan_rules) {.workers = 4}, 1000000, 10.0, 3000.0), 0);
    assert_int_equal(next_units(&p), 1000);
    assert_int_equal(plan_predict_ns(&p, 500), 15 * ms);
    plan_release(&p);
}

static void a_unit_cost_that_is_nonsense_counts_as_one(void **state)
{
    const double bad[] = {0, -3, NAN, INFINITY};
    struct plan p;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(plan_init(&p, (struct plan_rules) {.workers = 1}, 10, bad[i], NAN), 0);
        assert_true(p.unit_cost == 1.0);
        assert_int_equal(plan_predict_ns(&p, 10), 0);
        plan_release(&p);
    }
}

static void chunks_shrink_turn_by_turn(void **state)
{
    /* 1 ms a unit, 160 units, 4 workers: four equal chunks of three quarters of what is left, down to single
     * units. The limit of 30 ms is reached by the first turn only. */
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 164, 1e6);
    uint64_t left = 164, last = UINT64_MAX;

    (void)state;
    for (size_t i = 0; i < 4; i++, left -= 30)
        assert_int_equal(next_units(p), 30);
    while (left > 0) {
        uint64_t n = next_units(p);
        assert_true(n >= 1 && n <= last);
        last = n;
        left -= n;
    }
    assert_int_equal(last, 1);
    plan_release(p);
}

static void no_chunk_is_below_the_least_time(void **state)
{
    /* 1 µs a unit. */
    const uint64_t least = PLAN_CHUNK_NS_MIN / 1000;
    struct plan *p = plan_of((struct plan_rules) {.workers = 8}, 10000, 1000.0);
    uint64_t left = 10000;

    (void)state;
    while (left > least) {
        uint64_t n = next_units(p);
        assert_true(n >= least);
        left -= n;
    }
    plan_release(p);
}

static void a_measured_chunk_sets_the_size(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1600000, 0);
    struct range first = next(p);

    (void)state;
    answer(p, first, 1000 * ms); /* 100,000 units: 10 µs each */
    assert_int_equal(next_units(p), 3000);
    plan_release(p);
}

static void what_is_measured_here_replaces_what_was_known(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1000000, 30000.0);
    struct range first = next(p);

    (void)state;
    answer(p, first, 3 * ms); /* 1,000 units: 3 µs each */
    assert_int_equal(next_units(p), 10000);
    plan_release(p);
}

static void too_short_a_run_teaches_nothing(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1000000, 30000.0);
    struct range first = next(p);

    (void)state;
    answer(p, first, ms / 100);
    assert_int_equal(next_units(p), 1000);
    plan_release(p);
}

/* Maps all of it, one chunk after the other; how many there were. */
static uint64_t map_all(struct plan *p)
{
    uint64_t at = 0, chunks = 0;
    struct range r;

    for (; plan_next(p, &r); chunks++) {
        assert_int_equal(r.lo, at);
        at = r.hi;
        plan_add_mapped(p, part_of(r.lo, r.hi, 0), 0);
    }
    assert_true(at == p->units);
    return chunks;
}

static void there_are_never_too_many_chunks(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1ULL << 40, 1e9);

    (void)state;
    assert_in_range(map_all(p), PLAN_CHUNKS_MAX / 2, PLAN_CHUNKS_MAX);
    plan_release(p);
}

static void chunks_that_could_not_be_sent_do_not_count(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 1}, 1000000, 1e9);

    (void)state;
    for (int i = 0; i < 2 * PLAN_CHUNKS_MAX; i++) {
        struct range r = next(p);
        assert_int_equal(plan_give_back(p, r.lo, r.hi), 0);
    }
    assert_int_equal(next_units(p), 1000000 / PLAN_CHUNKS_MAX);
    plan_release(p);
}

static void the_largest_work_does_not_overflow(void **state)
{
    const double times[] = {0, 1e-300, 1e300, 1.0};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct plan *p = plan_of((struct plan_rules) {.workers = 512}, UINT64_MAX, times[i]);
        (void)plan_predict_ns(p, UINT64_MAX);
        assert_in_range(map_all(p), 1, PLAN_CHUNKS_MAX);
        plan_release(p);
    }
}

static void wanted_chunks_are_equal(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.chunks_wanted = 7}, 100, 1e6);
    struct range r;
    uint64_t at = 0, n = 0;

    (void)state;
    for (; plan_next(p, &r); n++) {
        assert_int_equal(r.lo, at);
        assert_in_range(r.hi - r.lo, 14, 15);
        at = r.hi;
    }
    assert_int_equal(at, 100);
    assert_int_equal(n, 7);
    plan_release(p);
}

static void more_chunks_wanted_than_units_give_single_units(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.chunks_wanted = UINT64_MAX}, 3, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(next_units(p), 1);
    plan_release(p);
}

static void wanted_chunks_come_back_with_the_same_bounds(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.chunks_wanted = 7}, 100, 1e6);
    struct range cut[7], again;

    (void)state;
    for (int i = 0; i < 7; i++)
        cut[i] = next(p);
    for (int i = 2; i < 5; i++)
        assert_int_equal(plan_give_back(p, cut[i].lo, cut[i].hi), 0);
    assert_int_equal(p->gaps.count, 1);
    for (int i = 2; i < 5; i++) {
        again = next(p);
        assert_memory_equal(&again, &cut[i], sizeof(again));
    }
    plan_release(p);
}

static void what_comes_back_is_given_out_first(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4}, 1600, 0);
    struct range a = next(p), b = next(p), again;

    (void)state;
    (void)b;
    assert_int_equal(plan_give_back(p, a.lo, a.hi), 0);
    again = next(p);
    assert_memory_equal(&again, &a, sizeof(a));
    plan_release(p);
}

static void gaps_that_touch_become_one(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 1, .chunks_wanted = 10}, 10, 0);

    (void)state;
    for (int i = 0; i < 10; i++)
        (void)next(p);
    for (uint64_t i = 0; i < 10; i += 2)
        assert_int_equal(plan_give_back(p, i, i + 1), 0);
    assert_int_equal(p->gaps.count, 5);
    for (uint64_t i = 9; i < 10; i -= 2)
        assert_int_equal(plan_give_back(p, i, i + 1), 0);
    assert_int_equal(p->gaps.count, 1);
    assert_int_equal(p->gaps.all[0].lo, 0);
    assert_int_equal(p->gaps.all[0].hi, 10);
    assert_int_equal(p->units_out, 0);
    plan_release(p);
}

static void a_part_of_no_units_is_dropped(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 1}, 100, 0);
    struct range r = next(p);

    (void)state;
    plan_add_mapped(p, part_of(r.lo, r.lo, 8), 5 * ms);
    assert_int_equal(plan_give_back(p, r.lo, r.hi), 0);
    assert_int_equal(p->part_count, 0);
    assert_int_equal(p->gaps.all[0].lo, 0);
    plan_release(p);
}

static void parts_stand_in_order_whatever_order_they_came_in(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.chunks_wanted = 5}, 50, 0);
    const size_t order[] = {3, 0, 4, 2, 1};
    struct range cut[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        cut[i] = next(p);
    for (int i = 0; i < 5; i++) {
        assert_false(plan_is_complete(p));
        answer(p, cut[order[i]], 0);
    }
    assert_true(plan_is_complete(p));
    assert_whole(p);
    plan_release(p);
}

/* Cuts into `n` chunks and answers all those that `keeps_out` does not name. */
static struct plan *answered(struct plan_rules rules, uint64_t n, uint64_t keeps_out, size_t bytes)
{
    struct range r;
    struct plan *p;

    rules.chunks_wanted = n;
    rules.workers = 4;
    p = plan_of(rules, n, 0);
    while (plan_next(p, &r)) {
        if (r.lo != keeps_out)
            plan_add_mapped(p, part_of(r.lo, r.hi, bytes), 0);
    }
    return p;
}

static const struct plan_rules concatenated = {0};
static const struct plan_rules folded = {.has_combine = true};
static const struct plan_rules tree = {.has_combine = true, .is_associative = true};

static void nothing_is_combined_without_combine(void **state)
{
    struct plan *p = answered(concatenated, 5000, 0, 1000000);
    struct plan_part *first;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 0);
    plan_release(p);
}

static void fewer_than_sixteen_small_parts_wait(void **state)
{
    struct plan *p = answered(tree, PLAN_COMBINE_PARTS, PLAN_COMBINE_PARTS - 1, 8);
    struct plan_part *first;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 0);
    plan_release(p);
}

static void neighbours_anywhere_are_combined_when_associative(void **state)
{
    struct plan *p = answered(tree, 40, 3, 8);
    struct plan_part *first = NULL;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), PLAN_COMBINE_PARTS);
    assert_int_equal(first->lo, 4);
    assert_int_equal(plan_take_for_combine(p, &first), PLAN_COMBINE_PARTS);
    assert_int_equal(first->lo, 20);
    assert_int_equal(plan_take_for_combine(p, &first), 0);
    plan_release(p);
}

static void only_the_left_end_is_combined_when_not_associative(void **state)
{
    struct plan *p = answered(folded, 40, 0, 8);
    struct plan_part *first = NULL;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 0);
    p = answered(folded, 40, 20, 8);
    assert_int_equal(plan_take_for_combine(p, &first), 20);
    assert_int_equal(first->lo, 0);
    assert_int_equal(plan_take_for_combine(p, &first), 0);
    plan_release(p);
}

static void two_large_parts_are_combined(void **state)
{
    struct plan *p = answered(folded, 3, 2, PLAN_COMBINE_BYTES / 2 + 1);
    struct plan_part *first;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 2);
    plan_release(p);
}

static void a_small_part_waits_beside_a_big_one(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.has_combine = true, .chunks_wanted = 4}, 4, 0);
    const size_t bytes[] = {100 << 20, 30 << 20, 30 << 20};
    struct plan_part *first;

    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        (void)next(p);
        plan_add_mapped(p, part_of(i, i + 1, bytes[i]), 0);
        assert_int_equal(plan_take_for_combine(p, &first), i < 2 ? 0 : 3);
    }
    plan_release(p);
}

static void few_parts_are_left_for_finish(void **state)
{
    struct plan *p = answered(folded, PLAN_FINISH_PARTS_MAX, UINT64_MAX, 1 << 20);
    struct plan_part *first;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 0);
    assert_true(plan_is_complete(p));
    plan_release(p);
}

static void many_parts_are_combined_before_finish(void **state)
{
    struct plan *p = answered(folded, PLAN_FINISH_PARTS_MAX + 1, UINT64_MAX, 8);
    struct plan_part *first;

    (void)state;
    assert_false(plan_is_complete(p));
    assert_int_equal(plan_take_for_combine(p, &first), PLAN_FINISH_PARTS_MAX);
    plan_add_combined(p, first, PLAN_FINISH_PARTS_MAX,
                      part_of(0, first->lo + PLAN_FINISH_PARTS_MAX, 8));
    assert_true(plan_is_complete(p));
    assert_int_equal(p->part_count, 2);
    assert_whole(p);
    plan_release(p);
}

static void combining_that_failed_is_done_again(void **state)
{
    struct plan *p = answered(tree, 17, 16, 8);
    struct plan_part *first, *again;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 16);
    assert_int_equal(plan_take_for_combine(p, &again), 0);
    plan_release_from_combine(p, first, 16);
    assert_int_equal(plan_take_for_combine(p, &again), 16);
    assert_ptr_equal(first, again);
    plan_release(p);
}

static void a_plan_with_busy_parts_is_not_complete(void **state)
{
    struct plan *p = answered(tree, 17, 16, 8);
    struct plan_part *first;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), 16);
    plan_add_mapped(p, part_of(16, 17, 8), 0);
    assert_false(plan_is_complete(p));
    plan_add_combined(p, first, 16, part_of(0, 16, 8));
    assert_true(plan_is_complete(p));
    assert_whole(p);
    plan_release(p);
}

static void yield_is_wanted_only_without_gaps_and_with_idle_workers(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 1}, 1000, 1e6);
    struct range r = next(p);

    (void)state;
    assert_false(plan_wants_yield(p, r.lo, r.hi, 0, 1));
    while (p->gaps.count > 0)
        (void)next(p);
    assert_true(plan_wants_yield(p, r.lo, r.hi, 0, 1));
    assert_false(plan_wants_yield(p, r.lo, r.hi, 0, 0));
    plan_release(p);
}

static void yield_is_wanted_for_a_rest_that_is_worth_it(void **state)
{
    /* 0.1 ms a unit. */
    const uint64_t least = PLAN_YIELD_NS_MIN / 100000;
    struct plan *p = plan_of((struct plan_rules) {.workers = 1, .chunks_wanted = 1}, 100, 1e5);
    struct range r = next(p);

    (void)state;
    p->rules.chunks_wanted = 0;
    assert_true(plan_wants_yield(p, r.lo, r.hi, 100 - least, 1));
    assert_false(plan_wants_yield(p, r.lo, r.hi, 100 - least + 1, 1));
    plan_release(p);
}

static void yield_is_wanted_when_nothing_is_known(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 1}, 4, 0);
    struct range r = {0, 0};

    (void)state;
    while (p->gaps.count > 0)
        r = next(p);
    assert_false(plan_wants_yield(p, r.lo, r.hi, 0, 1)); /* a single unit cannot be shared */
    assert_true(plan_wants_yield(p, 0, 4, 1, 1));
    assert_false(plan_wants_yield(p, 0, 4, 3, 1));
    plan_release(p);
}

static void yield_is_never_wanted_of_wanted_chunks(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 4, .chunks_wanted = 1}, 100, 1e9);
    struct range r = next(p);

    (void)state;
    assert_false(plan_wants_yield(p, r.lo, r.hi, 0, 3));
    plan_release(p);
}

static void yield_believes_no_progress_beyond_the_chunk(void **state)
{
    struct plan *p = plan_of((struct plan_rules) {.workers = 1, .chunks_wanted = 1}, 100, 1e9);
    struct range r = next(p);

    (void)state;
    p->rules.chunks_wanted = 0;
    assert_false(plan_wants_yield(p, r.lo, r.hi, 100, 1));
    assert_false(plan_wants_yield(p, r.lo, r.hi, UINT64_MAX, 1));
    plan_release(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_units_are_complete_at_once),
        cmocka_unit_test(unknown_work_is_cut_into_four_per_worker),
        cmocka_unit_test(few_units_are_cut_to_single_ones),
        cmocka_unit_test(known_work_is_cut_by_time),
        cmocka_unit_test(unit_cost_scales_the_time),
        cmocka_unit_test(a_unit_cost_that_is_nonsense_counts_as_one),
        cmocka_unit_test(chunks_shrink_turn_by_turn),
        cmocka_unit_test(no_chunk_is_below_the_least_time),
        cmocka_unit_test(a_measured_chunk_sets_the_size),
        cmocka_unit_test(what_is_measured_here_replaces_what_was_known),
        cmocka_unit_test(too_short_a_run_teaches_nothing),
        cmocka_unit_test(there_are_never_too_many_chunks),
        cmocka_unit_test(chunks_that_could_not_be_sent_do_not_count),
        cmocka_unit_test(the_largest_work_does_not_overflow),
        cmocka_unit_test(wanted_chunks_are_equal),
        cmocka_unit_test(more_chunks_wanted_than_units_give_single_units),
        cmocka_unit_test(wanted_chunks_come_back_with_the_same_bounds),
        cmocka_unit_test(what_comes_back_is_given_out_first),
        cmocka_unit_test(gaps_that_touch_become_one),
        cmocka_unit_test(a_part_of_no_units_is_dropped),
        cmocka_unit_test(parts_stand_in_order_whatever_order_they_came_in),
        cmocka_unit_test(nothing_is_combined_without_combine),
        cmocka_unit_test(fewer_than_sixteen_small_parts_wait),
        cmocka_unit_test(neighbours_anywhere_are_combined_when_associative),
        cmocka_unit_test(only_the_left_end_is_combined_when_not_associative),
        cmocka_unit_test(two_large_parts_are_combined),
        cmocka_unit_test(a_small_part_waits_beside_a_big_one),
        cmocka_unit_test(few_parts_are_left_for_finish),
        cmocka_unit_test(many_parts_are_combined_before_finish),
        cmocka_unit_test(combining_that_failed_is_done_again),
        cmocka_unit_test(a_plan_with_busy_parts_is_not_complete),
        cmocka_unit_test(yield_is_wanted_only_without_gaps_and_with_idle_workers),
        cmocka_unit_test(yield_is_wanted_for_a_rest_that_is_worth_it),
        cmocka_unit_test(yield_is_wanted_when_nothing_is_known),
        cmocka_unit_test(yield_is_never_wanted_of_wanted_chunks),
        cmocka_unit_test(yield_believes_no_progress_beyond_the_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
