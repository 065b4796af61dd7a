#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched/internal.h"

static const struct hash_key secret = {3, 4};
static struct description about = {.name = "sum", .version = "1", .flags = PRONG_PURE};
static struct kernel kernel = {.about = &about};

/* A scheduler without workers: only who may join whom. */
struct fixture {
    struct sched s;
    struct run run;
    struct task task;
    uint64_t now_ns;
};

static struct key *key_of(const char *params)
{
    struct job job = {.kernel = &kernel, .params = (char *)(uintptr_t)params, .params_bytes = 1};
    struct key *key = key_new(secret, &job);

    assert_non_null(key);
    return key;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->now_ns = clock_now_ns();
    f->run.class = QUEUE_NORMAL;
    f->run.deadline_ns = f->now_ns + 100 * CLOCK_NS_PER_S;
    f->run.shared.key = key_of("a");
    TAILQ_INIT(&f->run.tasks);
    merge_open(&f->s, &f->run);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    merge_close(&f->s, &f->run);
    assert_null(f->s.open_runs);
    free(f->run.shared.key);
    free(f);
    return 0;
}

static struct run *find(struct fixture *f, const char *params, unsigned priority, uint64_t left_s,
                        bool is_fresh)
{
    struct job job = {.key = key_of(params),
                      .priority = priority,
                      .deadline_ns = f->now_ns + left_s * CLOCK_NS_PER_S,
                      .is_fresh = is_fresh};
    struct run *found = merge_find(&f->s, &job);

    free(job.key);
    return found;
}

static void send_task(struct fixture *f, uint64_t left_s)
{
    f->task.deadline_ns = f->now_ns + left_s * CLOCK_NS_PER_S;
    TAILQ_INSERT_TAIL(&f->run.tasks, &f->task, link);
}

static void test_only_equal_jobs_join(void **state)
{
    struct job keyless = {.deadline_ns = 1};

    assert_ptr_equal(find(*state, "a", QUEUE_NORMAL, 50, false), &((struct fixture *)*state)->run);
    assert_null(find(*state, "b", QUEUE_NORMAL, 50, false));
    assert_null(merge_find(&((struct fixture *)*state)->s, &keyless));
}

static void test_who_wants_it_fresh_does_not_join(void **state)
{
    assert_null(find(*state, "a", QUEUE_NORMAL, 50, true));
}

static void test_nobody_joins_a_class_below_his_own(void **state)
{
    assert_null(find(*state, "a", QUEUE_HIGH, 50, false));
    assert_non_null(find(*state, "a", QUEUE_LOW, 50, false));
}

static void test_who_has_more_time_joins_what_has_not_been_sent(void **state)
{
    assert_non_null(find(*state, "a", QUEUE_NORMAL, 100000, false));
}

static void test_a_task_that_is_out_must_have_half_of_the_newcomers_time(void **state)
{
    struct fixture *f = *state;

    send_task(f, 100);
    assert_non_null(find(f, "a", QUEUE_NORMAL, 100, false));
    assert_non_null(find(f, "a", QUEUE_NORMAL, 190, false));
    assert_null(find(f, "a", QUEUE_NORMAL, 210, false));
}

static void test_chunks_are_short_enough_for_everybody(void **state)
{
    struct fixture *f = *state;

    send_task(f, 1);
    assert_null(find(f, "a", QUEUE_NORMAL, 100, false));
    f->run.has_plan = true;
    assert_non_null(find(f, "a", QUEUE_NORMAL, 100, false));
    f->run.chunks_wanted = 1;
    assert_null(find(f, "a", QUEUE_NORMAL, 100, false));
}

static void test_the_newest_run_is_joined(void **state)
{
    struct fixture *f = *state;
    struct run newer = {.class = QUEUE_NORMAL, .shared = {.key = key_of("a")}};

    TAILQ_INIT(&newer.tasks);
    merge_open(&f->s, &newer);
    assert_ptr_equal(find(f, "a", QUEUE_NORMAL, 50, false), &newer);
    merge_close(&f->s, &newer);
    assert_null(
        find(f, "a", QUEUE_NORMAL, 50, false)); /* it does not come back: it may be nearly over */
    free(newer.shared.key);
}

static void test_listeners_stay_alone(void **state)
{
    struct fixture *f = *state;
    struct run listened = {
        .class = QUEUE_NORMAL, .shared = {.key = key_of("c")}, .wants_parts = true};

    TAILQ_INIT(&listened.tasks);
    merge_open(&f->s, &listened);
    assert_null(find(f, "c", QUEUE_NORMAL, 50, false));
    listened.wants_parts = false;
    listened.wants_progress = true;
    merge_open(&f->s, &listened);
    assert_null(find(f, "c", QUEUE_NORMAL, 50, false));
    listened.wants_progress = false;
    listened.wants_retries = true;
    merge_open(&f->s, &listened);
    assert_null(find(f, "c", QUEUE_NORMAL, 50, false));
    free(listened.shared.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_equal_jobs_join, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_wants_it_fresh_does_not_join, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_joins_a_class_below_his_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_has_more_time_joins_what_has_not_been_sent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_task_that_is_out_must_have_half_of_the_newcomers_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunks_are_short_enough_for_everybody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_newest_run_is_joined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listeners_stay_alone, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
