/* The properties of src/sched/plan.c as a whole: workers that answer in any order, die, hand back and combine
 * still cover every unit once, and end together. */
#include "sched/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A part with `bytes` bytes, as a worker would have sent it. */
static struct plan_part *part_of(uint64_t lo, uint64_t hi, size_t bytes)
{
    struct plan_part *part = plan_part_new(lo, hi, bytes > 0 ? malloc(1) : NULL, bytes);

    assert_non_null(part);
    return part;
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

static const struct plan_rules concatenated = {0};
static const struct plan_rules folded = {.has_combine = true};
static const struct plan_rules tree = {.has_combine = true, .is_associative = true};

enum { CREW = 6 };

struct worker {
    bool maps, combines;
    struct range range;
    struct plan_part *first;
    size_t count;
};

static void give_work(struct plan *p, struct worker *w)
{
    w->count = plan_take_for_combine(p, &w->first);
    w->combines = w->count > 0;
    w->maps = !w->combines && plan_next(p, &w->range);
}

static void end_map(struct plan *p, struct worker *w)
{
    uint64_t units = w->range.hi - w->range.lo;
    uint64_t done = units;
    int fate = rand() % 10;

    w->maps = false;
    if (fate == 0) {
        assert_int_equal(plan_give_back(p, w->range.lo, w->range.hi), 0);
        return;
    }
    if (fate < 4)
        done = (uint64_t)rand() % (units + 1);
    plan_add_mapped(p, part_of(w->range.lo, w->range.lo + done, (size_t)rand() % 70000),
                    done * 1000 * (uint64_t)(rand() % 100));
    assert_int_equal(plan_give_back(p, w->range.lo + done, w->range.hi), 0);
}

static void end_combine(struct plan *p, struct worker *w)
{
    const struct plan_part *last = w->first;

    w->combines = false;
    if (rand() % 10 == 0) {
        plan_release_from_combine(p, w->first, w->count);
        return;
    }
    for (size_t i = 1; i < w->count; i++) {
        assert_int_equal(last->hi, TAILQ_NEXT(last, link)->lo);
        last = TAILQ_NEXT(last, link);
    }
    plan_add_combined(p, w->first, w->count,
                      part_of(w->first->lo, last->hi, (size_t)rand() % 70000));
}

static void run_crew(struct plan_rules rules, uint64_t units, double ns_per_unit)
{
    struct worker crew[CREW] = {0};
    struct plan p;

    rules.workers = CREW;
    assert_int_equal(plan_init(&p, rules, units, 1.0, ns_per_unit), 0);
    while (!plan_is_complete(&p)) {
        struct worker *w = &crew[rand() % CREW];
        if (w->maps)
            end_map(&p, w);
        else if (w->combines)
            end_combine(&p, w);
        else
            give_work(&p, w);
    }
    assert_whole(&p);
    assert_true(!rules.has_combine || p.part_count <= PLAN_FINISH_PARTS_MAX);
    assert_int_equal(p.units_out, 0);
    assert_int_equal(p.busy_count, 0);
    plan_release(&p);
}

static void random_workers_cover_everything_once(void **state)
{
    const double known[] = {0, 1e3, 1e6, 1e8};
    const struct plan_rules all[] = {concatenated, folded, tree};

    (void)state;
    srand(11);
    for (int i = 0; i < 120; i++)
        run_crew(all[i % 3], (uint64_t)(rand() % 20000), known[rand() % 4]);
}

static void random_workers_and_wanted_chunks(void **state)
{
    struct plan_rules rules = tree;

    (void)state;
    srand(12);
    for (int i = 0; i < 50; i++) {
        rules.chunks_wanted = 1 + (uint64_t)(rand() % 3000);
        run_crew(rules, (uint64_t)(rand() % 5000), 0);
    }
}

static void parts_stay_few_while_mapping(void **state)
{
    struct plan_rules rules = tree;
    struct plan_part *first;
    struct range r;
    struct plan p;
    size_t n;

    (void)state;
    rules.workers = 1;
    rules.chunks_wanted = 50000;
    assert_int_equal(plan_init(&p, rules, 50000, 1.0, 0), 0);
    while (plan_next(&p, &r)) {
        plan_add_mapped(&p, part_of(r.lo, r.hi, 8), 0);
        while ((n = plan_take_for_combine(&p, &first)) > 0)
            plan_add_combined(&p, first, n, part_of(first->lo, r.hi, 8));
        assert_true(p.part_count < PLAN_COMBINE_PARTS || p.units_done == p.units);
    }
    plan_release(&p);
}

/* Workers in simulated time: each unit has its own cost, and progress is told after each. */

enum { SIM_WORKERS = 8, SIM_UNITS = 20000 };

struct sim_worker {
    struct range range;
    uint64_t at;                 /* units of the range done */
    uint64_t began_ns, until_ns; /* of the chunk; of the unit it is at */
    bool runs, asked;
};

struct sim {
    struct plan plan;
    struct sim_worker workers[SIM_WORKERS];
    const uint64_t *unit_ns;
    uint64_t now_ns;
};

static void sim_start_idle(struct sim *s)
{
    for (int i = 0; i < SIM_WORKERS; i++) {
        struct sim_worker *w = &s->workers[i];
        if (w->runs || !plan_next(&s->plan, &w->range))
            continue;
        w->runs = true;
        w->asked = false;
        w->at = 0;
        w->began_ns = s->now_ns;
        w->until_ns = s->now_ns + s->unit_ns[w->range.lo];
    }
}

static void sim_ask(struct sim *s)
{
    unsigned idle = 0;

    for (int i = 0; i < SIM_WORKERS; i++)
        idle += !s->workers[i].runs;
    for (int i = 0; i < SIM_WORKERS; i++) {
        struct sim_worker *w = &s->workers[i];
        if (w->runs)
            w->asked |= plan_wants_yield(&s->plan, w->range.lo, w->range.hi, w->at, idle);
    }
}

static struct sim_worker *sim_next_event(struct sim *s)
{
    struct sim_worker *first = NULL;

    for (int i = 0; i < SIM_WORKERS; i++) {
        struct sim_worker *w = &s->workers[i];
        if (w->runs && (first == NULL || w->until_ns < first->until_ns))
            first = w;
    }
    return first;
}

static void sim_unit_done(struct sim *s, struct sim_worker *w)
{
    uint64_t next_unit = w->range.lo + ++w->at;

    s->now_ns = w->until_ns;
    if (next_unit < w->range.hi && !w->asked) {
        w->until_ns += s->unit_ns[next_unit];
        return;
    }
    w->runs = false;
    plan_add_mapped(&s->plan, part_of(w->range.lo, next_unit, 8), s->now_ns - w->began_ns);
    assert_int_equal(plan_give_back(&s->plan, next_unit, w->range.hi), 0);
}

/* How much longer it took than when all workers are busy to the end. */
static double makespan_over_ideal(const uint64_t *unit_ns, bool yields, double ns_known)
{
    struct sim s = {.unit_ns = unit_ns};
    uint64_t sum = 0;
    struct sim_worker *w;

    for (int i = 0; i < SIM_UNITS; i++)
        sum += unit_ns[i];
    assert_int_equal(
        plan_init(&s.plan, (struct plan_rules) {.workers = SIM_WORKERS}, SIM_UNITS, 1.0, ns_known),
        0);
    for (;;) {
        sim_start_idle(&s);
        if (yields)
            sim_ask(&s);
        w = sim_next_event(&s);
        if (w == NULL)
            break;
        sim_unit_done(&s, w);
    }
    assert_true(plan_is_complete(&s.plan));
    assert_whole(&s.plan);
    plan_release(&s.plan);
    return (double)s.now_ns / ((double)sum / SIM_WORKERS);
}

static void fill_even(uint64_t *unit_ns)
{
    for (int i = 0; i < SIM_UNITS; i++)
        unit_ns[i] = 200000;
}

static void fill_ramp(uint64_t *unit_ns)
{
    for (int i = 0; i < SIM_UNITS; i++)
        unit_ns[i] = 1000 + 20 * (uint64_t)i;
}

/* As a picture with a black island: one place costs a hundred times the rest. */
static void fill_island(uint64_t *unit_ns)
{
    for (int i = 0; i < SIM_UNITS; i++)
        unit_ns[i] = i > 12000 && i < 14000 ? 1000000 : 10000;
}

static void fill_dear_end(uint64_t *unit_ns)
{
    for (int i = 0; i < SIM_UNITS; i++)
        unit_ns[i] = i >= SIM_UNITS - 1000 ? 2000000 : 20000;
}

static void fill_random(uint64_t *unit_ns)
{
    srand(13);
    for (int i = 0; i < SIM_UNITS; i++)
        unit_ns[i] = (uint64_t)exp(rand() % 1000 / 1000.0 * 9.0) * 100;
}

static void (*const fills[])(uint64_t *) = {fill_even, fill_ramp, fill_island, fill_dear_end,
                                            fill_random};

static void workers_end_together(void **state)
{
    static uint64_t unit_ns[SIM_UNITS];

    (void)state;
    for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
        fills[i](unit_ns);
        for (int known = 0; known < 2; known++) {
            double ratio = makespan_over_ideal(unit_ns, true, known == 1 ? 100000.0 : 0);
            assert_true(ratio < 1.05);
        }
    }
}

static void yielding_is_what_makes_them_end_together(void **state)
{
    static uint64_t unit_ns[SIM_UNITS];

    (void)state;
    fill_island(unit_ns);
    assert_true(makespan_over_ideal(unit_ns, false, 0) > 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_workers_cover_everything_once),
        cmocka_unit_test(random_workers_and_wanted_chunks),
        cmocka_unit_test(parts_stay_few_while_mapping),
        cmocka_unit_test(workers_end_together),
        cmocka_unit_test(yielding_is_what_makes_them_end_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
