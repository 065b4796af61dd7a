#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "task_fixture.h"

/* Its part for [lo, hi) is a letter per unit, "abc…"; what it does besides is in these. */
static struct {
    struct prong_work work;
    int rc;
    bool fails, ignores_full;
    struct task_fixture *f;
    bool cancels;
} script;

static int plan(struct prong_ctx *c, struct prong_work *ret)
{
    (void)prong_write(c, "not part of the answer", 5);
    *ret = script.work;
    return 0;
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    for (uint64_t i = lo; i < hi; i++) {
        char letter = (char)('a' + i);
        if (script.cancels && i == lo + 2)
            atomic_store(&script.f->side.control->cancel[7], script.f->frame.task);
        if (prong_progress(c, i - lo, hi - lo) != 0)
            return 0;
        if (prong_write(c, &letter, 1) != 0 && !script.ignores_full)
            return -1;
    }
    if (script.fails)
        return prong_fail(c, "No %s today.", "answer");
    return script.rc;
}

static int combine(struct prong_ctx *c, struct prong_buf left, struct prong_buf right)
{
    return prong_print(c, "(%.*s+%.*s)", (int)left.size, (const char *)left.data, (int)right.size,
                       (const char *)right.data);
}

static int finish(struct prong_ctx *c, struct prong_buf whole)
{
    return prong_print(c, "<%.*s>", (int)whole.size, (const char *)whole.data);
}

static const struct prong_kernel bare = {.name = "bare", .map = map};
static const struct prong_kernel full = {
    .name = "full",
    .plan = plan,
    .map = map,
    .combine = combine,
    .finish = finish,
};

static void open_with(struct task_fixture *f, const struct prong_kernel *k)
{
    memset(&script, 0, sizeof(script));
    script.f = f;
    script.work = (struct prong_work) {.units = 5, .unit_cost = 2};
    task_fixture_open(f, k, 4096);
}

static void start_without_a_plan_runs_one_unit(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &bare);
    f.frame.split_ns = 0;
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "a");
    assert_int_equal(r.units, 1);
    assert_true(r.unit_cost == 1.0);
    task_fixture_close(&f);
}

static void start_runs_everything_when_it_is_short(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    f.frame.ns_per_cost = 10;
    f.frame.split_ns = 100; /* 5 units × 2 × 10 ns */
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<abcde>");
    assert_int_equal(r.units, 5);
    assert_true(r.unit_cost == 2.0);
    task_fixture_close(&f);
}

static void start_hands_long_work_back(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    f.frame.ns_per_cost = 10;
    f.frame.split_ns = 99;
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_PLANNED, "");
    assert_int_equal(r.units, 5);
    assert_true(r.unit_cost == 2.0);
    task_fixture_close(&f);
}

static void unknown_cost_is_split_unless_never(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    f.frame.split_ns = UINT64_MAX - 1;
    r = task_fixture_run(&f, PROTO_OP_START);
    assert_int_equal(r.kind, PROTO_ANSWER_PLANNED);
    f.frame.split_ns = UINT64_MAX;
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<abcde>");
    f.frame.split_ns = 0;
    script.work.units = 1; /* one unit cannot be split */
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<a>");
    task_fixture_close(&f);
}

static void no_units_finish_from_nothing(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    script.work = (struct prong_work) {.units = 0, .unit_cost = 0};
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<>");
    assert_int_equal(r.units, 0);
    assert_true(r.unit_cost == 1.0);
    task_fixture_close(&f);
}

static void impossible_plans_fail(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    script.work.units = PRONG_UNITS_MAX + 1;
    r = task_fixture_run(&f, PROTO_OP_START);
    assert_int_equal(r.kind, PROTO_ANSWER_FAILED);
    script.work = (struct prong_work) {.units = 1, .unit_cost = NAN};
    r = task_fixture_run(&f, PROTO_OP_START);
    assert_int_equal(r.kind, PROTO_ANSWER_FAILED);
    script.work.unit_cost = -1;
    r = task_fixture_run(&f, PROTO_OP_START);
    assert_int_equal(r.kind, PROTO_ANSWER_FAILED);
    task_fixture_close(&f);
}

static void map_answers_for_its_range(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    f.frame.lo = 2, f.frame.hi = 5;
    r = task_fixture_run(&f, PROTO_OP_MAP);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "cde");
    assert_int_equal(r.units, 3);
    f.frame.hi = 2;
    r = task_fixture_run(&f, PROTO_OP_MAP);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "");
    assert_int_equal(r.units, 0);
    task_fixture_close(&f);
}

static void map_yields_what_is_done(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    f.frame.lo = 1, f.frame.hi = 9;
    atomic_store(&f.side.control->yield[7], f.frame.task + 1); /* another task's */
    r = task_fixture_run(&f, PROTO_OP_MAP);
    assert_int_equal(r.units, 8);
    atomic_store(&f.side.control->yield[7], f.frame.task);
    r = task_fixture_run(&f, PROTO_OP_MAP);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "");
    assert_int_equal(r.units, 0);
    /* Only a range is handed back, not a whole request. */
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<abcde>");
    task_fixture_close(&f);
}

static void cancelled_in_the_middle_is_no_answer(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    script.cancels = true;
    r = task_fixture_run(&f, PROTO_OP_START);
    assert_int_equal(r.kind, PROTO_ANSWER_CANCELLED);
    f.frame.hi = 5;
    r = task_fixture_run(&f, PROTO_OP_MAP);
    assert_int_equal(r.kind, PROTO_ANSWER_CANCELLED);
    task_fixture_close(&f);
}

static void a_passed_deadline_cancels(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    f.frame.deadline_ns = 1;
    r = task_fixture_run(&f, PROTO_OP_START);
    assert_int_equal(r.kind, PROTO_ANSWER_CANCELLED);
    task_fixture_close(&f);
}

static void failures_carry_their_sentence(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    script.fails = true;
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_FAILED, "No answer today.");
    script.fails = false;
    script.rc = 1;
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_FAILED, "The kernel full failed without saying why.");
    script.rc = 0;
    r = task_fixture_run(&f, PROTO_OP_START);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<abcde>"); /* forgotten by the next task */
    task_fixture_close(&f);
}

static void an_answer_over_the_limit_fails_even_unseen(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &bare);
    script.ignores_full = true;
    f.frame.hi = 4097;
    r = task_fixture_run(&f, PROTO_OP_MAP);
    task_fixture_expect(
        &r, PROTO_ANSWER_FAILED,
        "The result is larger than 4096 bytes; the server's limit is --result-max.");
    f.frame.hi = 4096;
    r = task_fixture_run(&f, PROTO_OP_MAP);
    assert_int_equal(r.kind, PROTO_ANSWER_RESULT);
    task_fixture_close(&f);
}

static void give_parts(struct task_fixture *f, const char *const *texts, uint32_t count)
{
    static uint64_t sizes[8];
    static char area[512];
    char *at = area;

    for (uint32_t i = 0; i < count; i++) {
        sizes[i] = strlen(texts[i]);
        memcpy(at, texts[i], sizes[i]);
        at += proto_align(sizes[i], 16);
    }
    f->order.parts = (struct order_parts) {.sizes = sizes, .at = area, .left = count};
}

static const char *const three[] = {"x", "yy", "zzz"};

static void combine_folds_from_the_left(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &full);
    give_parts(&f, three, 3);
    r = task_fixture_run(&f, PROTO_OP_COMBINE);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "((x+yy)+zzz)");
    r = task_fixture_run(&f, PROTO_OP_FINISH);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<((x+yy)+zzz)>");
    give_parts(&f, three, 1);
    r = task_fixture_run(&f, PROTO_OP_FINISH);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<x>");
    give_parts(&f, three, 0);
    r = task_fixture_run(&f, PROTO_OP_FINISH);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "<>");
    task_fixture_close(&f);
}

static void without_combine_parts_are_concatenated(void **state)
{
    struct task_fixture f;
    struct run_result r;

    (void)state;
    open_with(&f, &bare);
    give_parts(&f, three, 3);
    r = task_fixture_run(&f, PROTO_OP_COMBINE);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "xyyzzz");
    r = task_fixture_run(&f, PROTO_OP_FINISH);
    task_fixture_expect(&r, PROTO_ANSWER_RESULT, "xyyzzz");
    task_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_without_a_plan_runs_one_unit),
        cmocka_unit_test(start_runs_everything_when_it_is_short),
        cmocka_unit_test(start_hands_long_work_back),
        cmocka_unit_test(unknown_cost_is_split_unless_never),
        cmocka_unit_test(no_units_finish_from_nothing),
        cmocka_unit_test(impossible_plans_fail),
        cmocka_unit_test(map_answers_for_its_range),
        cmocka_unit_test(map_yields_what_is_done),
        cmocka_unit_test(cancelled_in_the_middle_is_no_answer),
        cmocka_unit_test(a_passed_deadline_cancels),
        cmocka_unit_test(failures_carry_their_sentence),
        cmocka_unit_test(an_answer_over_the_limit_fails_even_unseen),
        cmocka_unit_test(combine_folds_from_the_left),
        cmocka_unit_test(without_combine_parts_are_concatenated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
