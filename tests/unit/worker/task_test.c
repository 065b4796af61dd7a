#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "task_fixture.h"

static int nothing(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static const struct prong_kernel kernel = {.name = "nothing", .map = nothing};

static void turning_keeps_what_was_written(void **state)
{
    struct task_fixture f;
    struct prong_buf first;

    (void)state;
    task_fixture_open(&f, &kernel, 4096);
    task_begin(&f.task, &f.order);
    (void)prong_write(&f.task.ctx, "first", 5);
    first = task_output(&f.task);
    task_turn(&f.task);
    assert_int_equal(task_output(&f.task).size, 0);
    (void)prong_write(&f.task.ctx, "second", 6);
    assert_memory_equal(first.data, "first", 5);
    task_turn(&f.task);
    assert_int_equal(task_output(&f.task).size, 0);
    task_fixture_close(&f);
}

static void a_task_begins_as_if_it_were_the_first(void **state)
{
    struct task_fixture f;

    (void)state;
    task_fixture_open(&f, &kernel, 4 << 20);
    f.kernel.state = &f;
    task_begin(&f.task, &f.order);
    assert_ptr_equal(f.task.ctx.state, &f);
    assert_non_null(prong_reserve(&f.task.ctx, 3 << 20));
    (void)prong_media(&f.task.ctx, "a/b");
    (void)task_fail(&f.task, "Failed.");
    f.task.stop = TASK_CANCELLED;
    task_end(&f.task);
    assert_int_equal(f.task.out->capacity, OUTPUT_KEEP_BYTES);
    task_begin(&f.task, &f.order);
    assert_int_equal(task_output(&f.task).size, 0);
    assert_string_equal(f.task.media, "");
    assert_false(f.task.failed);
    assert_int_equal(f.task.stop, TASK_RUNS);
    task_fixture_close(&f);
}

static void the_deadline_is_never_when_it_says_so(void **state)
{
    struct task_fixture f;

    (void)state;
    task_fixture_open(&f, &kernel, 4096);
    task_begin(&f.task, &f.order);
    assert_false(task_is_cancelled(&f.task, UINT64_MAX - 1));
    f.frame.deadline_ns = 100;
    assert_false(task_is_cancelled(&f.task, 99));
    assert_true(task_is_cancelled(&f.task, 100));
    assert_true(task_is_cancelled(&f.task, 99)); /* once told, it stays so */
    task_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turning_keeps_what_was_written),
        cmocka_unit_test(a_task_begins_as_if_it_were_the_first),
        cmocka_unit_test(the_deadline_is_never_when_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
