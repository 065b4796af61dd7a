#include "thread/lock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct lock park, sched, sched_too, state_lock;

static int set_up(void **state)
{
    (void)state;
    lock_init(&park, LOCK_PARK);
    lock_init(&sched, LOCK_SCHED);
    lock_init(&sched_too, LOCK_SCHED);
    lock_init(&state_lock, LOCK_STATE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lock_release(&park);
    lock_release(&sched);
    lock_release(&sched_too);
    lock_release(&state_lock);
    return 0;
}

/* Whether a process that does this is aborted. */
static bool aborts(void (*does)(void))
{
    const struct rlimit no_core = {0, 0};
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        does();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void need_debug(void)
{
#ifndef PRONG_DEBUG
    skip();
#endif
}

static void takes_upwards(void)
{
    lock_take(&park);
    lock_take(&sched);
    lock_take(&state_lock);
    lock_drop(&state_lock);
    lock_drop(&sched);
    lock_take(&state_lock);
    lock_drop(&state_lock);
    lock_drop(&park);
}

static void takes_downwards(void)
{
    lock_take(&sched);
    lock_take(&park);
}

static void takes_sideways(void)
{
    lock_take(&sched);
    lock_take(&sched_too);
}

static void takes_twice(void)
{
    lock_take(&sched);
    lock_take(&sched);
}

static void takes_downwards_after_a_drop(void)
{
    lock_take(&sched);
    lock_take(&state_lock);
    lock_drop(&state_lock);
    lock_take(&park);
}

static void drops_what_it_does_not_hold(void)
{
    lock_drop(&sched);
}

static void drops_in_the_wrong_order(void)
{
    lock_take(&park);
    lock_take(&sched);
    lock_drop(&park);
}

static void upwards_is_allowed(void **state)
{
    (void)state;
    assert_false(aborts(takes_upwards));
}

static void downwards_aborts(void **state)
{
    (void)state;
    need_debug();
    assert_true(aborts(takes_downwards));
    assert_true(aborts(takes_downwards_after_a_drop));
}

static void the_same_rank_aborts(void **state)
{
    (void)state;
    need_debug();
    assert_true(aborts(takes_sideways));
    assert_true(aborts(takes_twice));
}

static void a_wrong_drop_aborts(void **state)
{
    (void)state;
    need_debug();
    assert_true(aborts(drops_what_it_does_not_hold));
    assert_true(aborts(drops_in_the_wrong_order));
}

static void a_lock_knows_who_holds_it(void **state)
{
    (void)state;
    need_debug();
    assert_false(lock_is_held(&sched));
    lock_take(&park);
    lock_take(&sched);
    assert_true(lock_is_held(&park));
    assert_true(lock_is_held(&sched));
    assert_false(lock_is_held(&sched_too));
    lock_drop(&sched);
    assert_false(lock_is_held(&sched));
    lock_drop(&park);
}

static void *is_held_here(void *arg)
{
    return lock_is_held(arg) ? arg : NULL;
}

static void what_another_thread_holds_is_not_held_here(void **state)
{
    pthread_t thread;
    void *result;

    (void)state;
    need_debug();
    lock_take(&sched);
    assert_int_equal(pthread_create(&thread, NULL, is_held_here, &sched), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    lock_drop(&sched);
    assert_null(result);
}

static int early_return(int way)
{
    LOCKED(&sched);

    if (way == 0)
        return 1;
    return 2;
}

static void a_scoped_lock_is_dropped_on_every_way_out(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        assert_int_equal(early_return(way), way + 1);
        assert_int_equal(pthread_mutex_trylock(&sched.mutex), 0);
        assert_int_equal(pthread_mutex_unlock(&sched.mutex), 0);
    }
}

enum { THREADS = 4, EACH = 20000 };

static uint64_t shared_count;

static void *count_up(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        LOCKED(arg);
        shared_count++;
    }
    return NULL;
}

static void one_thread_at_a_time(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    shared_count = 0;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &sched), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shared_count, THREADS * EACH);
}

#define LOCK_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCK_TEST(upwards_is_allowed),
        LOCK_TEST(downwards_aborts),
        LOCK_TEST(the_same_rank_aborts),
        LOCK_TEST(a_wrong_drop_aborts),
        LOCK_TEST(a_lock_knows_who_holds_it),
        LOCK_TEST(what_another_thread_holds_is_not_held_here),
        LOCK_TEST(a_scoped_lock_is_dropped_on_every_way_out),
        LOCK_TEST(one_thread_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
