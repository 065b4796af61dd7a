#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#include "task_fixture.h"

#include "worker/batch.h"

/* Answers with its input and how many were there; "fail" fails, "cancel" is told to stop, "all" fails everybody. */
static int batch(struct prong_ctx *const *calls, uint32_t count)
{
    int rc = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct prong_buf in;
        (void)prong_input(calls[i], &in);
        if (in.size == 4 && memcmp(in.data, "fail", 4) == 0)
            (void)prong_fail(calls[i], "Not this one.");
        if (in.size == 3 && memcmp(in.data, "all", 3) == 0)
            rc = 7;
        (void)prong_progress(calls[i], 1, 2);
        (void)prong_print(calls[i], "%.*s of %u", (int)in.size, (const char *)in.data, count);
    }
    return rc;
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static int plan(struct prong_ctx *c, struct prong_work *ret)
{
    (void)c, (void)ret;
    return 0;
}

static int finish(struct prong_ctx *c, struct prong_buf whole)
{
    (void)c, (void)whole;
    return 0;
}

enum { TOGETHER, BARE, PLANS, FINISHES, OTHER };

static struct registry registry = {
    .count = 5,
    .kernels =
        {
            [TOGETHER] = {.kernel = {.name = "together", .map = map, .batch = batch}},
            [BARE] = {.kernel = {.name = "bare", .map = map}},
            [PLANS] = {.kernel = {.name = "plans", .map = map, .plan = plan, .batch = batch}},
            [FINISHES] = {.kernel = {.name = "ends", .map = map, .finish = finish, .batch = batch}},
            [OTHER] = {.kernel = {.name = "other", .map = map, .batch = batch}},
        },
};
static const struct prong_kernel bare = {.name = "bare", .map = map};
static struct task_fixture f;
static struct batch b;
static _Alignas(PROTO_ALIGN) char frame[PROTO_FRAME_MAX];
static size_t bytes;

static struct proto_batch *head(void)
{
    return (void *)frame;
}

static struct proto_task *member(unsigned i)
{
    char *at = frame + sizeof(struct proto_batch);

    while (i-- > 0)
        at += ((struct proto_task *)(void *)at)->head.bytes;
    return (void *)at;
}

static void add(const char *input)
{
    const struct prong_buf areas[3] = {prong_side_text(input), prong_side_none(),
                                       prong_side_none()};
    struct proto_task t = prong_side_task(&f.side, TOGETHER, PROTO_OP_START);

    t.input_kind = PRONG_INPUT_RAW;
    t.inflight = head()->count;
    if (head()->count++ == 0)
        head()->task = t.task;
    bytes += prong_side_lay_out(&t, areas, frame + bytes);
    head()->head = chan_head(PROTO_BATCH, bytes);
}

static void lay_out(unsigned count, const char *const *inputs)
{
    memset(frame, 0, sizeof(struct proto_batch));
    bytes = sizeof(struct proto_batch);
    for (unsigned i = 0; i < count; i++)
        add(inputs[i]);
}

static int read_now(void)
{
    struct err err = {.text = ""};
    int rc = batch_read(&b, frame, bytes, &registry, &err);

    if (rc < 0)
        assert_true(strlen(err.text) > 10);
    return rc;
}

static void run(void)
{
    struct err err;

    assert_int_equal(read_now(), 0);
    assert_int_equal(batch_run(&b, &f.task, &err), 0);
}

static void expect(unsigned i, enum proto_answer_kind kind, const char *body)
{
    assert_int_equal(b.results[i].kind, kind);
    assert_int_equal(b.results[i].body.size, strlen(body));
    assert_memory_equal(b.results[i].body.data, body, strlen(body));
}

static const char *const three[] = {"one", "two", "three"};

static void each_has_its_own_answer(void **state)
{
    (void)state;
    for (int again = 0; again < 3; again++) {
        lay_out(3, three);
        run();
        assert_int_equal(b.count, 3);
        expect(0, PROTO_ANSWER_RESULT, "one of 3");
        expect(1, PROTO_ANSWER_RESULT, "two of 3");
        expect(2, PROTO_ANSWER_RESULT, "three of 3");
        assert_int_equal(b.results[0].units, 1);
        batch_end(&b);
    }
    assert_int_equal(atomic_load(&f.task.page->total), 0); /* of which of them would it be? */
}

static void as_many_as_may_be(void **state)
{
    const char *inputs[PROTO_BATCH_MAX + 1];

    (void)state;
    for (unsigned i = 0; i <= PROTO_BATCH_MAX; i++)
        inputs[i] = "x";
    lay_out(PROTO_BATCH_MAX, inputs);
    run();
    expect(PROTO_BATCH_MAX - 1, PROTO_ANSWER_RESULT, "x of 64");
    batch_end(&b);
    lay_out(PROTO_BATCH_MAX + 1, inputs);
    assert_int_equal(read_now(), -EPROTO);
    assert_int_equal(b.count, 0);
}

static void one_fails_alone(void **state)
{
    const char *const inputs[] = {"one", "fail", "three"};

    (void)state;
    lay_out(3, inputs);
    run();
    expect(0, PROTO_ANSWER_RESULT, "one of 3");
    expect(1, PROTO_ANSWER_FAILED, "Not this one.");
    expect(2, PROTO_ANSWER_RESULT, "three of 3");
    batch_end(&b);
}

static void a_failed_call_fails_the_others(void **state)
{
    const char *const inputs[] = {"one", "fail", "all"};

    (void)state;
    lay_out(3, inputs);
    run();
    expect(0, PROTO_ANSWER_FAILED, "The kernel together failed without saying why.");
    expect(1, PROTO_ANSWER_FAILED, "Not this one.");
    expect(2, PROTO_ANSWER_FAILED, "The kernel together failed without saying why.");
    batch_end(&b);
}

static void who_is_cancelled_is_left_out(void **state)
{
    (void)state;
    lay_out(3, three);
    atomic_store(&f.side.control->cancel[1], member(1)->task);
    run();
    expect(0, PROTO_ANSWER_RESULT, "one of 2");
    expect(1, PROTO_ANSWER_CANCELLED, "");
    expect(2, PROTO_ANSWER_RESULT, "three of 2");
    batch_end(&b);
    lay_out(2, three);
    member(0)->deadline_ns = member(1)->deadline_ns = 1;
    run();
    expect(0, PROTO_ANSWER_CANCELLED, "");
    expect(1, PROTO_ANSWER_CANCELLED, "");
    batch_end(&b);
}

static void unsound_batches_are_refused(void **state)
{
    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        lay_out(3, three);                                                                         \
        change;                                                                                    \
        assert_int_equal(read_now(), -EPROTO);                                                     \
        assert_int_equal(b.count, 0);                                                              \
    } while (0)
    REFUSED(head()->count = 0);
    REFUSED(head()->count = 2);
    REFUSED(head()->count = 4);
    REFUSED(head()->count = UINT32_MAX);
    REFUSED(head()->task++);
    REFUSED(head()->head.type = PROTO_TASK);
    REFUSED(head()->head.bytes -= PROTO_ALIGN);
    REFUSED(member(1)->head.type = PROTO_BATCH);
    REFUSED(member(1)->head.bytes = 0);
    REFUSED(member(1)->head.bytes = sizeof(struct proto_task) - PROTO_ALIGN);
    REFUSED(member(1)->head.bytes = UINT32_MAX);
    REFUSED(member(1)->head.bytes++);
    REFUSED(member(2)->head.bytes += PROTO_ALIGN);
    REFUSED(member(1)->input.bytes = PROTO_ALIGN + 1);
    REFUSED(member(1)->input.slab = 3);
    REFUSED(member(1)->task = 0);
    REFUSED(member(1)->inflight = PROTO_INFLIGHT_MAX);
    REFUSED(member(1)->op = PROTO_OP_MAP);
    REFUSED(member(1)->wants_parts = 1);
    REFUSED(member(1)->kernel = 5);
    REFUSED(member(1)->kernel = OTHER);
    for (uint32_t k = BARE; k <= FINISHES; k++)
        REFUSED(member(0)->kernel = member(1)->kernel = member(2)->kernel = k);
    lay_out(3, three);
    member(0)->kernel = member(1)->kernel = member(2)->kernel = OTHER;
    assert_int_equal(read_now(), 0);
}

static void batches_cut_short_are_refused(void **state)
{
    struct err err;

    (void)state;
    lay_out(3, three);
    for (size_t n = sizeof(struct proto_head); n < bytes; n++) {
        char *copy = malloc(n + PROTO_ALIGN);
        char *aligned = copy + PROTO_ALIGN - (uintptr_t)copy % PROTO_ALIGN;
        memcpy(aligned, frame, n);
        ((struct proto_head *)(void *)aligned)->bytes = (uint32_t)n;
        assert_int_equal(batch_read(&b, aligned, n, &registry, &err), -EPROTO);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_own_answer),
        cmocka_unit_test(as_many_as_may_be),
        cmocka_unit_test(one_fails_alone),
        cmocka_unit_test(a_failed_call_fails_the_others),
        cmocka_unit_test(who_is_cancelled_is_left_out),
        cmocka_unit_test(unsound_batches_are_refused),
        cmocka_unit_test(batches_cut_short_are_refused),
    };
    int rc;

    task_fixture_open(&f, &bare, PRONG_SIDE_OUT_BYTES);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    batch_release(&b);
    task_fixture_close(&f);
    return rc;
}
