#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool/internal.h"
#include "sched/internal.h"

static struct description about = {.name = "sum", .version = "1", .has_batch = true};
static struct kernel kernel = {.about = &about};

/* A scheduler without workers: only who goes together. */
struct fixture {
    struct sched s;
    struct pool pool;
    struct run runs[4];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->s.pool = &f->pool;
    f->pool.lanes[0].kernels.kernels[0] = &kernel;
    TAILQ_INIT(&f->s.holding);
    TAILQ_INIT(&f->s.records[0].peers);
    for (int i = 0; i < 20; i++)
        cost_add_start(&f->s.records[0].cost, 10 * CLOCK_NS_PER_US);
    for (unsigned i = 0; i < ARRAY_SIZE(f->s.sides); i++)
        assert_non_null(f->s.sides[i].queue = queue_new());
    for (unsigned i = 0; i < ARRAY_SIZE(f->runs); i++)
        f->runs[i] = (struct run) {
            .kernel = &kernel, .side = &f->s.sides[0], .class = QUEUE_NORMAL, .client = i};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(f->s.sides); i++)
        (void)queue_free(f->s.sides[i].queue);
    free(f);
    return 0;
}

static void wait_all(struct fixture *f)
{
    for (unsigned i = 0; i < ARRAY_SIZE(f->runs); i++)
        assert_false(batch_hold(&f->s, &f->runs[i]));
}

static void push(struct fixture *f, unsigned i, uint64_t cost_ns)
{
    struct run *run = &f->runs[i];

    assert_int_equal(
        queue_push(run->side->queue, &run->entry, run->class, run->client, cost_ns, false), 0);
    run->is_queued = true;
}

static void who_is_elsewhere_is_not_taken_along(void **state)
{
    struct fixture *f = *state;
    struct run *found[PROTO_BATCH_MAX];

    f->runs[1].side = &f->s.sides[1];
    wait_all(f);
    assert_int_equal(batch_gather(&f->s, &f->runs[0], found), 3);
    assert_ptr_equal(found[0], &f->runs[0]);
    assert_ptr_equal(found[1], &f->runs[2]);
    assert_ptr_equal(found[2], &f->runs[3]);
    assert_true(f->runs[1].is_peer);
    assert_int_equal(f->s.records[0].peer_count, 1);
    batch_leave(&f->s, &f->runs[1]);
    assert_int_equal(f->s.records[0].peer_count, 0);
}

static void who_is_taken_along_pays(void **state)
{
    struct fixture *f = *state;
    struct run *found[PROTO_BATCH_MAX];

    wait_all(f);
    push(f, 1, CLOCK_NS_PER_S);
    assert_int_equal(batch_gather(&f->s, &f->runs[0], found), 4);
    assert_false(f->runs[1].is_queued);
    assert_int_equal(queue_length_all(f->s.sides[0].queue), 0);
    push(f, 1, CLOCK_NS_PER_MS);
    push(f, 2, CLOCK_NS_PER_MS);
    assert_ptr_equal(queue_pop(f->s.sides[0].queue, QUEUE_ANY), &f->runs[2].entry);
    assert_ptr_equal(queue_pop(f->s.sides[0].queue, QUEUE_ANY), &f->runs[1].entry);
}

static void a_batch_keeps_one_worker_busy(void **state)
{
    struct fixture *f = *state;
    struct side *side = &f->s.sides[0];
    struct task tasks[3] = {{.side = side}, {.side = side}, {.side = side}};
    struct batch *b = batch_new(&f->s, 7);

    for (unsigned i = 0; i < 3; i++) {
        side->out[tasks[i].kind]++; /* as task_new does */
        batch_add(b, &tasks[i]);
    }
    assert_int_equal(side->out[tasks[0].kind], 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(side->out[tasks[i].kind], 1);
        side->out[tasks[i].kind]--; /* as task_end does */
        batch_remove(&tasks[i]);
    }
    assert_int_equal(side->out[tasks[0].kind], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_elsewhere_is_not_taken_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_taken_along_pays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_keeps_one_worker_busy, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
