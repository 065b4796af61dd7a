#include "experiment/crew.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/check.h"
#include "experiment/experiment.h"

static uint64_t answer(struct lane *lane, unsigned index, void *arg)
{
    lane_begin(lane);
    lane_end(lane);
    return index + *(const uint64_t *)arg;
}

static void every_kind_gives_all_answers(void **state)
{
    uint64_t more = 100;

    (void)state;
    for (int kind = CREW_ALONE; kind <= CREW_PROCESSES; kind++) {
        struct crew c;
        assert_int_equal(crew_prepare(&c, 4), 0);
        assert_int_equal(crew_run(&c, (enum crew_kind)kind, answer, &more), 0);
        assert_int_equal(crew_answered(&c), 4);
        assert_int_equal(crew_sum(&c), 406);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(c.lanes[i].pid != getpid(), kind == CREW_PROCESSES);
            assert_int_equal(c.lanes[i].span_count, 1);
            assert_true(c.lanes[i].spans[0].start_ns >= c.start_ns);
            assert_true(c.lanes[i].spans[0].end_ns <= c.start_ns + c.wall_ns);
        }
    }
}

static uint64_t die(struct lane *lane, unsigned index, void *arg)
{
    (void)arg;
    lane_begin(lane);
    if (index == 1)
        (void)raise(SIGKILL);
    lane_end(lane);
    return 1;
}

static void who_dies_has_not_answered(void **state)
{
    struct crew c;

    (void)state;
    assert_int_equal(crew_prepare(&c, 3), 0);
    assert_int_equal(crew_run(&c, CREW_PROCESSES, die, NULL), 0);
    assert_int_equal(crew_answered(&c), 2);
    assert_int_equal(crew_sum(&c), 2);
    assert_int_equal(WTERMSIG(c.lanes[1].wait_status), SIGKILL);
    assert_int_equal(c.lanes[1].span_count, 0);
    crew_close(&c, c.start_ns + c.wall_ns);
    assert_int_equal(c.lanes[1].span_count, 1);
    assert_int_equal(c.lanes[0].span_count, 1);
}

static void shares_are_all_of_it(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 16, 17, 1000000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (unsigned count = 1; count <= CREW_MAX; count++) {
            uint64_t at = 0;
            for (unsigned index = 0; index < count; index++) {
                struct crew_share share = crew_share(sizes[i], index, count);
                assert_int_equal(share.lo, at);
                assert_true(share.hi >= share.lo && share.hi - share.lo <= sizes[i] / count + 1);
                at = share.hi;
            }
            assert_int_equal(at, sizes[i]);
        }
    }
}

static void many_spans_are_merged_and_the_whole_time_stays(void **state)
{
    static struct lane lane = {.spans_per_entry = 1};

    (void)state;
    for (int i = 0; i < 10 * CREW_SPANS_MAX; i++) {
        lane_begin(&lane);
        lane_end(&lane);
        assert_true(lane.span_count <= CREW_SPANS_MAX);
    }
    assert_true(lane.span_count > CREW_SPANS_MAX / 2);
    for (uint32_t i = 1; i < lane.span_count; i++)
        assert_true(lane.spans[i].start_ns >= lane.spans[i - 1].end_ns);
}

static void the_sum_is_that_of_the_formula(void **state)
{
    (void)state;
    assert_int_equal(cpu_add(0, 1), 0);
    assert_int_equal(cpu_add(0, 100001), 5000050000);
    assert_int_equal(cpu_add(10, 20), 145);
}

static struct experiment_report report(experiment_run *run, const char *mode, uint64_t n,
                                       unsigned workers)
{
    struct experiment_task task = {.mode = mode, .n = n, .workers = workers};
    struct experiment_report r = {.note = ""};

    assert_int_equal(run(&task, &r), 0);
    return r;
}

static void results_are_exact_in_every_mode(void **state)
{
    static const char *const modes[] = {"sequential", "threads", "threads+gil", "processes"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct experiment_report r = report(cpu_run, modes[i], 20000003, 3);
        assert_int_equal(r.result, 200000050000003);
        assert_int_equal(r.expected, r.result);
        r = report(io_run, modes[i], 2, 2);
        assert_int_equal(r.result, 2);
        assert_true(r.crew.wall_ns >= EXPERIMENT_WAIT_MS * 1000000ULL);
    }
}

static void locked_and_atomic_lose_nothing(void **state)
{
    struct experiment_report r = report(race_run, "locked", 100000, 4);

    (void)state;
    assert_int_equal(r.result, 400000);
    r = report(race_run, "atomic", 100000, 4);
    assert_int_equal(r.result, 400000);
    assert_int_equal(report(race_run, "unlocked", 1000, 1).result, 1000);
}

static void a_crash_takes_its_process_alone(void **state)
{
    struct experiment_report r = report(crash_run, "threads", 1000000, 2);

    (void)state;
    assert_int_equal(r.result, 0);
    assert_non_null(strstr(r.note, "SIGSEGV"));
    r = report(crash_run, "processes", 1000000, 3);
    assert_int_equal(r.result, 2);
    assert_non_null(strstr(r.note, "SIGSEGV"));
}

static void a_mode_of_another_experiment_is_none(void **state)
{
    struct experiment_task task = {.mode = "atomic", .n = 1, .workers = 1};
    struct experiment_report r;

    (void)state;
    assert_int_equal(cpu_run(&task, &r), -EINVAL);
    assert_int_equal(crash_run(&task, &r), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_all_answers),
        cmocka_unit_test(who_dies_has_not_answered),
        cmocka_unit_test(shares_are_all_of_it),
        cmocka_unit_test(many_spans_are_merged_and_the_whole_time_stays),
        cmocka_unit_test(the_sum_is_that_of_the_formula),
        cmocka_unit_test(results_are_exact_in_every_mode),
        cmocka_unit_test(locked_and_atomic_lose_nothing),
        cmocka_unit_test(a_crash_takes_its_process_alone),
        cmocka_unit_test(a_mode_of_another_experiment_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
