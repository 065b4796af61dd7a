#include "experiment/gil.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORKERS = 3, TURNS = 8, ROUNDS = 2000 };

static struct {
    struct gil gil;
    _Atomic int inside, most_inside; /* that hold it */
    _Atomic int unfinished;
    _Atomic uint64_t handed_over;
} shared;

static void enter(void)
{
    int now = atomic_fetch_add(&shared.inside, 1) + 1;

    if (now > atomic_load(&shared.most_inside))
        atomic_store(&shared.most_inside, now);
}

static void leave(void)
{
    atomic_fetch_sub(&shared.inside, 1);
}

/* Holds it until others ask, TURNS times; the last one has nobody who does. */
static void *compute(void *arg)
{
    int who = (int)(intptr_t)arg;
    uint64_t switches;

    gil_take(&shared.gil, who);
    for (int turn = 0; turn < TURNS; turn++) {
        enter();
        while (!gil_is_wanted(&shared.gil) && atomic_load(&shared.unfinished) > 1)
            ;
        leave();
        if (atomic_load(&shared.unfinished) == 1)
            break;
        switches = atomic_load(&shared.gil.switches);
        gil_drop(&shared.gil);
        gil_await_switch(&shared.gil, who);
        if (atomic_load(&shared.gil.switches) > switches)
            atomic_fetch_add(&shared.handed_over, 1);
        gil_take(&shared.gil, who);
    }
    atomic_fetch_sub(&shared.unfinished, 1);
    gil_drop(&shared.gil);
    return NULL;
}

/* Lets go again and again, as who waits for something else does. */
static void *come_and_go(void *arg)
{
    int who = (int)(intptr_t)arg;

    for (int i = 0; i < ROUNDS; i++) {
        gil_take(&shared.gil, who);
        enter();
        leave();
        gil_drop(&shared.gil);
    }
    return NULL;
}

static void run(void *(*work)(void *), int workers)
{
    pthread_t threads[WORKERS];

    gil_init(&shared.gil);
    atomic_store(&shared.most_inside, 0);
    atomic_store(&shared.handed_over, 0);
    atomic_store(&shared.unfinished, workers);
    for (int i = 0; i < workers; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i), 0);
    for (int i = 0; i < workers; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    gil_release(&shared.gil);
}

static void one_holds_it_at_a_time(void **state)
{
    (void)state;
    run(compute, WORKERS);
    assert_int_equal(atomic_load(&shared.most_inside), 1);
    run(come_and_go, WORKERS);
    assert_int_equal(atomic_load(&shared.most_inside), 1);
}

static void who_computes_hands_it_over(void **state)
{
    (void)state;
    run(compute, WORKERS);
    assert_true(atomic_load(&shared.handed_over) >= (WORKERS - 1) * TURNS);
    assert_true(atomic_load(&shared.gil.switches) > atomic_load(&shared.handed_over));
}

static void nobody_asks_one_that_is_alone(void **state)
{
    (void)state;
    run(compute, 1);
    assert_int_equal(atomic_load(&shared.handed_over), 0);
    assert_int_equal(atomic_load(&shared.gil.switches), 1);
}

static void *take_and_drop(void *arg)
{
    int who = (int)(intptr_t)arg;

    gil_take(&shared.gil, who);
    gil_drop(&shared.gil);
    return NULL;
}

static void who_waits_asks_and_then_has_it(void **state)
{
    pthread_t other;

    (void)state;
    gil_init(&shared.gil);
    gil_take(&shared.gil, 0);
    assert_false(gil_is_wanted(&shared.gil));
    assert_int_equal(pthread_create(&other, NULL, take_and_drop, (void *)(intptr_t)1), 0);
    while (!gil_is_wanted(&shared.gil))
        ;
    assert_int_equal(shared.gil.last_holder, 0);
    gil_drop(&shared.gil);
    gil_await_switch(&shared.gil, 0);
    assert_int_equal(shared.gil.last_holder, 1);
    gil_take(&shared.gil, 0);
    assert_false(gil_is_wanted(&shared.gil));
    assert_int_equal(atomic_load(&shared.gil.switches), 3);
    gil_drop(&shared.gil);
    assert_int_equal(pthread_join(other, NULL), 0);
    gil_release(&shared.gil);
}

static _Atomic int seen;

static void *await_another(void *arg)
{
    (void)arg;
    gil_await_switch(&shared.gil, 0);
    atomic_store(&seen, shared.gil.last_holder);
    return NULL;
}

/* Nobody else can have it before `other` is started. */
static void who_let_go_waits_for_another(void **state)
{
    pthread_t waiting, other;

    (void)state;
    gil_init(&shared.gil);
    gil_take(&shared.gil, 0);
    gil_drop(&shared.gil);
    atomic_store(&seen, -1);
    assert_int_equal(pthread_create(&waiting, NULL, await_another, NULL), 0);
    for (int i = 0; i < 100 && atomic_load(&seen) == -1; i++)
        (void)sched_yield();
    assert_int_equal(pthread_create(&other, NULL, take_and_drop, (void *)(intptr_t)1), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(pthread_join(waiting, NULL), 0);
    assert_int_equal(atomic_load(&seen), 1);
    gil_release(&shared.gil);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holds_it_at_a_time),
        cmocka_unit_test(who_computes_hands_it_over),
        cmocka_unit_test(nobody_asks_one_that_is_alone),
        cmocka_unit_test(who_waits_asks_and_then_has_it),
        cmocka_unit_test(who_let_go_waits_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
