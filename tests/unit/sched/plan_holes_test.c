/* src/sched/plan.c when some of the units are never computed. */
#include "sched/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CREW = 5 };

static const struct plan_rules concatenated = {.workers = 4};
static const struct plan_rules folded = {.workers = 4, .has_combine = true};
static const struct plan_rules tree = {.workers = 4, .has_combine = true, .is_associative = true};

static struct plan_part *part_of(uint64_t lo, uint64_t hi)
{
    struct plan_part *part = plan_part_new(lo, hi, malloc(1), 8);

    assert_non_null(part);
    return part;
}

/* One unit a chunk: those from `lo` to `hi` are given up, all others answered. */
static struct plan *plan_lacking(struct plan_rules rules, uint64_t units, uint64_t lo, uint64_t hi)
{
    static struct plan p;
    struct range r;

    rules.chunks_wanted = units;
    plan_release(&p);
    assert_int_equal(plan_init(&p, rules, units, 1.0, 0), 0);
    while (plan_next(&p, &r)) {
        if (r.lo >= lo && r.hi <= hi)
            assert_int_equal(plan_give_up(&p, r.lo, r.hi), 0);
        else
            plan_add_mapped(&p, part_of(r.lo, r.hi), 0);
    }
    return &p;
}

static void a_plan_is_complete_without_what_was_given_up(void **state)
{
    struct plan *p = plan_lacking(concatenated, 10, 3, 5);

    (void)state;
    assert_true(plan_is_complete(p));
    assert_false(plan_is_hopeless(p));
    assert_int_equal(p->part_count, 8);
    assert_int_equal(p->units_out, 0);
    assert_int_equal(p->holes_given, 2);
    assert_int_equal(p->holes.count, 1); /* they touch */
    assert_int_equal(p->holes.all[0].lo, 3);
    assert_int_equal(p->holes.all[0].hi, 5);
    plan_release(p);
}

static void nothing_is_no_answer(void **state)
{
    struct plan *p = plan_lacking(concatenated, 10, 0, 10);

    (void)state;
    assert_true(plan_is_hopeless(p));
    plan_release(p);
    p = plan_lacking(concatenated, 10, 0, 9);
    assert_false(plan_is_hopeless(p));
    plan_release(p);
    p = plan_lacking(concatenated, 0, 0, 0);
    assert_false(plan_is_hopeless(p)); /* of no units there is nothing to miss */
    plan_release(p);
}

static void what_is_out_still_counts(void **state)
{
    struct plan_rules rules = concatenated;
    struct range first, second;
    struct plan p;

    (void)state;
    rules.chunks_wanted = 2;
    assert_int_equal(plan_init(&p, rules, 10, 1.0, 0), 0);
    assert_true(plan_next(&p, &first));
    assert_true(plan_next(&p, &second));
    assert_int_equal(plan_give_up(&p, first.lo, first.hi), 0);
    assert_false(plan_is_complete(&p));
    assert_false(plan_is_hopeless(&p));
    plan_add_mapped(&p, part_of(second.lo, second.hi), 0);
    assert_true(plan_is_complete(&p));
    plan_release(&p);
}

static void parts_are_combined_over_a_hole(void **state)
{
    struct plan *p = plan_lacking(tree, PLAN_FINISH_PARTS_MAX + 100, 5, 9);
    struct plan_part *first;
    size_t n = plan_take_for_combine(p, &first);
    struct plan_part *last;

    (void)state;
    assert_int_equal(n, PLAN_COMBINE_PARTS);
    assert_int_equal(first->lo, 0);
    last = first;
    for (size_t i = 1; i < n; i++)
        last = TAILQ_NEXT(last, link);
    assert_int_equal(last->hi, PLAN_COMBINE_PARTS + 4);
    plan_add_combined(p, first, n, part_of(first->lo, last->hi));
    assert_int_equal(TAILQ_FIRST(&p->parts)->hi, PLAN_COMBINE_PARTS + 4);
    plan_release(p);
}

static void the_left_end_may_be_a_hole(void **state)
{
    struct plan *p = plan_lacking(folded, PLAN_FINISH_PARTS_MAX + 100, 0, 3);
    struct plan_part *first = NULL;

    (void)state;
    assert_int_equal(plan_take_for_combine(p, &first), PLAN_FINISH_PARTS_MAX);
    assert_int_equal(first->lo, 3);
    plan_release(p);
}

static void a_gap_is_no_hole(void **state)
{
    struct plan_rules rules = folded;
    struct plan_part *first;
    struct range r;
    struct plan p;

    (void)state;
    rules.chunks_wanted = 2000;
    assert_int_equal(plan_init(&p, rules, 2000, 1.0, 0), 0);
    while (plan_next(&p, &r)) {
        if (r.lo == 0)
            assert_int_equal(plan_give_up(&p, r.lo, r.hi), 0);
        else if (r.lo > 1) /* 1 is still out */
            plan_add_mapped(&p, part_of(r.lo, r.hi), 0);
    }
    assert_int_equal(plan_take_for_combine(&p, &first), 0);
    plan_release(&p);
}

/* ---- at random ---- */

struct worker {
    bool maps, combines;
    struct range range;
    struct plan_part *first;
    size_t count;
};

static void end_map(struct plan *p, const struct range *r)
{
    uint64_t done = r->hi - r->lo;
    int fate = rand() % 10;

    if (fate == 0)
        assert_int_equal(plan_give_back(p, r->lo, r->hi), 0);
    else if (fate < 4)
        assert_int_equal(plan_give_up(p, r->lo, r->hi), 0);
    if (fate < 4)
        return;
    if (fate == 4)
        done = (uint64_t)rand() % (done + 1);
    plan_add_mapped(p, part_of(r->lo, r->lo + done), 0);
    assert_int_equal(plan_give_back(p, r->lo + done, r->hi), 0);
}

static void end_combine(struct plan *p, const struct worker *w)
{
    const struct plan_part *last = w->first;

    for (size_t i = 1; i < w->count; i++) {
        const struct plan_part *after = TAILQ_NEXT(last, link);
        assert_int_equal(ranges_end_of(&p->holes, last->hi), after->lo);
        last = after;
    }
    plan_add_combined(p, w->first, w->count, part_of(w->first->lo, last->hi));
}

static void turn(struct plan *p, struct worker *w)
{
    if (w->maps) {
        w->maps = false;
        end_map(p, &w->range);
    } else if (w->combines) {
        w->combines = false;
        end_combine(p, w);
    } else {
        w->count = plan_take_for_combine(p, &w->first);
        w->combines = w->count > 0;
        w->maps = !w->combines && plan_next(p, &w->range);
    }
}

/* Every unit is in a part or in a hole, and what is between two parts is one hole. */
static void assert_covered(const struct plan *p)
{
    const struct plan_part *part;
    uint64_t at = ranges_end_of(&p->holes, 0);

    TAILQ_FOREACH (part, &p->parts, link) {
        assert_int_equal(part->lo, at);
        at = ranges_end_of(&p->holes, part->hi);
    }
    assert_int_equal(at, p->units);
}

static void random_workers_cover_everything_or_give_it_up(void **state)
{
    const struct plan_rules all[] = {concatenated, folded, tree};

    (void)state;
    srand(17);
    for (int i = 0; i < 150; i++) {
        struct plan_rules rules = all[i % 3];
        struct worker crew[CREW] = {0};
        struct plan p;
        rules.chunks_wanted = i % 2 == 0 ? 1 + (uint64_t)(rand() % 3000) : 0;
        assert_int_equal(plan_init(&p, rules, (uint64_t)(rand() % 9000), 1.0, 1e5), 0);
        while (!plan_is_complete(&p))
            turn(&p, &crew[rand() % CREW]);
        assert_covered(&p);
        assert_int_equal(p.units_out, 0);
        plan_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_complete_without_what_was_given_up),
        cmocka_unit_test(nothing_is_no_answer),
        cmocka_unit_test(what_is_out_still_counts),
        cmocka_unit_test(parts_are_combined_over_a_hole),
        cmocka_unit_test(the_left_end_may_be_a_hole),
        cmocka_unit_test(a_gap_is_no_hole),
        cmocka_unit_test(random_workers_cover_everything_or_give_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
