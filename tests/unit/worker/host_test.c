#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "task_fixture.h"
#include "worker/host.h"

static int nothing(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static const struct prong_kernel kernel = {.name = "nothing", .map = nothing};

static struct prong_ctx *begin(struct task_fixture *f, size_t out_bytes)
{
    task_fixture_open(f, &kernel, out_bytes);
    task_begin(&f->task, &f->order);
    return &f->task.ctx;
}

static void check_output(const struct task_fixture *f, const char *expected)
{
    struct prong_buf out = task_output(&f->task);

    assert_int_equal(out.size, strlen(expected));
    assert_memory_equal(out.data, expected, out.size);
}

static void every_function_is_there(void **state)
{
    const void *const *members = (const void *const *)(const void *)&host_table()->int_param;
    size_t count =
        (sizeof(struct prong_host) - offsetof(struct prong_host, int_param)) / sizeof(void *);

    (void)state;
    assert_int_equal(host_table()->size, sizeof(struct prong_host));
    for (size_t i = 0; i < count; i++)
        assert_non_null(members[i]);
}

static void writers_append(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 4096);

    (void)state;
    assert_int_equal(prong_write(c, "[", 1), 0);
    assert_int_equal(prong_number(c, 4.0), 0);
    assert_int_equal(prong_print(c, ",%d,", 17), 0);
    assert_int_equal(prong_string(c, "a\n", 2), 0);
    memcpy(prong_reserve(c, 1), "]", 1);
    check_output(&f, "[4,17,\"a\\n\"]");
    task_fixture_close(&f);
}

static void long_print_is_whole(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 1000);
    char long_text[1001];

    (void)state;
    memset(long_text, 'x', 1000);
    long_text[1000] = '\0';
    assert_int_equal(prong_print(c, "%s", long_text), 0); /* exactly the limit */
    check_output(&f, long_text);
    assert_int_not_equal(prong_print(c, "y"), 0);
    assert_true(f.task.failed);
    task_fixture_close(&f);
}

static void a_string_that_just_fits_does(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);
    char text[99];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(prong_string(c, text, 98), 0);
    assert_int_equal(f.task.out->size, 100);
    task_fixture_close(&f);
    c = begin(&f, 100);
    assert_int_not_equal(prong_string(c, text, 99), 0);
    assert_true(f.task.failed);
    assert_int_equal(f.task.out->size, 0);
    task_fixture_close(&f);
}

static void the_first_failure_stays(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    assert_int_equal(prong_fail(c, "The first %s.", "reason"), -1);
    assert_int_equal(prong_fail(c, "Another."), -1);
    assert_string_equal(f.task.error, "The first reason.");
    task_fixture_close(&f);
}

static void a_long_failure_is_cut_between_characters(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);
    char text[2048] = "x";

    (void)state;
    for (size_t i = 1; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    (void)prong_fail(c, "%s", text);
    assert_int_equal(strlen(f.task.error), PROTO_ERROR_MAX - 1);
    task_fixture_close(&f);
    c = begin(&f, 100);
    (void)prong_fail(c, "x%s", text);
    assert_int_equal(strlen(f.task.error), PROTO_ERROR_MAX - 2);
    task_fixture_close(&f);
}

static void media_types_cannot_split_a_header(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);
    char long_type[200];

    (void)state;
    assert_int_equal(prong_media(c, "image/png"), 0);
    assert_string_equal(f.task.media, "image/png");
    assert_int_not_equal(prong_media(c, "a/b\r\nX: y"), 0);
    memset(long_type, 'x', sizeof(long_type));
    long_type[PROTO_MEDIA_MAX + 1] = '\0';
    assert_int_not_equal(prong_media(c, long_type), 0);
    assert_int_not_equal(prong_media(c, ""), 0);
    assert_string_equal(f.task.media, "image/png");
    task_fixture_close(&f);
}

static void progress_shows_in_the_page(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    assert_int_equal(prong_progress(c, 3, 10), 0);
    assert_int_equal(atomic_load(&f.side.page->done), 3);
    assert_int_equal(atomic_load(&f.side.page->total), 10);
    assert_in_range(clock_now_ns() - atomic_load(&f.side.page->beat_ns), 0, CLOCK_NS_PER_S);
    task_fixture_close(&f);
}

static void cancelling_is_seen_and_stays(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    atomic_store(&f.side.control->cancel[7], f.frame.task + 1);
    assert_int_equal(prong_cancelled(c), 0);
    atomic_store(&f.side.control->cancel[7], f.frame.task);
    assert_int_not_equal(prong_progress(c, 0, 1), 0);
    atomic_store(&f.side.control->cancel[7], 0);
    assert_int_not_equal(prong_cancelled(c), 0);
    assert_int_equal(f.task.stop, TASK_CANCELLED);
    task_fixture_close(&f);
}

static void only_units_of_the_range_are_yielded(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    atomic_store(&f.side.control->yield[7], f.frame.task);
    assert_int_equal(prong_progress(c, 1, 8), 0); /* START: nothing to hand back */
    f.task.yield_units = 8;
    assert_int_equal(prong_progress(c, 1, 100), 0); /* counts something else */
    assert_int_equal(prong_progress(c, 9, 8), 0);
    assert_int_not_equal(prong_progress(c, 5, 8), 0);
    assert_int_equal(f.task.stop, TASK_YIELDED);
    assert_int_equal(f.task.done, 5);
    task_fixture_close(&f);
}

static void the_time_left_is_told(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    assert_int_equal(prong_left_us(c), INT64_MAX);
    f.frame.deadline_ns = clock_now_ns() + 60 * CLOCK_NS_PER_S;
    assert_in_range(prong_left_us(c), 59000000, 60000000);
    f.frame.deadline_ns = clock_now_ns() - 1;
    assert_true(prong_left_us(c) < 0);
    task_fixture_close(&f);
}

static void parts_reach_only_those_who_listen(void **state)
{
    static char big[PRONG_EMIT_MAX + 1];
    static struct prong_side_answer a;
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    assert_int_equal(prong_wants_parts(c), 0);
    assert_int_equal(prong_emit(c, "1", 1), 0);
    f.frame.wants_parts = 1;
    assert_int_equal(prong_emit(c, "2", 1), 0);
    assert_int_equal(prong_emit(c, big, PRONG_EMIT_MAX), 0);
    prong_side_expect(&f.side, &f.frame, PROTO_ANSWER_EMITTED, &a);
    assert_string_equal(a.body, "2");
    prong_side_expect(&f.side, &f.frame, PROTO_ANSWER_EMITTED, &a);
    assert_int_equal(a.head.result_bytes, PRONG_EMIT_MAX);
    assert_int_not_equal(prong_emit(c, big, PRONG_EMIT_MAX + 1), 0);
    assert_true(f.task.failed);
    task_fixture_close(&f);
}

static void parameters_beyond_the_last_are_empty(void **state)
{
    struct task_fixture f;
    struct prong_ctx *c = begin(&f, 100);

    (void)state;
    f.order.params.count = 1;
    f.order.params.values[0] = (struct params_value) {.integer = 5, .real = 2, .text = "t"};
    f.order.params.values[1] = (struct params_value) {.integer = 6, .real = 3, .text = "u"};
    assert_int_equal(prong_int(c, 0), 5);
    assert_string_equal(prong_text(c, 0), "t");
    assert_int_equal(prong_int(c, 1), 0);
    assert_string_equal(prong_text(c, 1), "");
    assert_true(prong_real(c, UINT32_MAX) == 0);
    task_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_there),
        cmocka_unit_test(writers_append),
        cmocka_unit_test(long_print_is_whole),
        cmocka_unit_test(a_string_that_just_fits_does),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(a_long_failure_is_cut_between_characters),
        cmocka_unit_test(media_types_cannot_split_a_header),
        cmocka_unit_test(progress_shows_in_the_page),
        cmocka_unit_test(cancelling_is_seen_and_stays),
        cmocka_unit_test(only_units_of_the_range_are_yielded),
        cmocka_unit_test(the_time_left_is_told),
        cmocka_unit_test(parts_reach_only_those_who_listen),
        cmocka_unit_test(parameters_beyond_the_last_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
