#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_BYTES = 1000 };

/* Else the sanitizers end a program that asks malloc for too much. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void a_new_buffer_holds_nothing(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, MAX_BYTES);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
    assert_int_equal(buf_failed(&b), 0);
    buf_release(&b);
}

static void what_was_added_stands_in_order(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, MAX_BYTES);
    assert_int_equal(buf_add(&b, "a\0b", 3), 0);
    assert_int_equal(buf_add_text(&b, "cd"), 0);
    assert_int_equal(buf_printf(&b, "%d%s", 42, "!"), 0);
    assert_int_equal(b.size, 8);
    assert_memory_equal(b.data, "a\0bcd42!", 8);
    buf_release(&b);
}

static void it_fills_up_to_the_last_byte(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, MAX_BYTES);
    for (int i = 0; i < MAX_BYTES; i++)
        assert_int_equal(buf_add(&b, "x", 1), 0);
    assert_int_equal(buf_add(&b, "", 0), 0);
    assert_int_equal(buf_add(&b, "x", 1), -ENOMEM);
    assert_int_equal(b.size, MAX_BYTES);
    buf_release(&b);
}

static void one_failure_stops_all_that_follows(void **state)
{
    char large[MAX_BYTES + 1] = {0};
    struct buf b;

    (void)state;
    buf_init(&b, MAX_BYTES);
    assert_int_equal(buf_add(&b, large, sizeof(large)), -ENOMEM);
    assert_int_equal(buf_add(&b, "x", 1), -ENOMEM);
    assert_int_equal(buf_printf(&b, "x"), -ENOMEM);
    assert_int_equal(buf_failed(&b), -ENOMEM);
    assert_null(buf_take(&b));
    buf_release(&b);
}

static void a_text_that_does_not_fit_leaves_nothing_of_itself(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    assert_int_equal(buf_printf(&b, "%s", "123"), 0);
    assert_int_equal(buf_printf(&b, "%s", "456"), -ENOMEM);
    assert_int_equal(b.size, 3);
    buf_release(&b);
}

static void absurd_sizes_are_refused(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_add_text(&b, "x"), 0);
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_clear(&b);
    assert_null(buf_reserve(&b, SIZE_MAX));
    buf_clear(&b);
    assert_null(buf_reserve(&b, SIZE_MAX / 2 + 2));
    buf_release(&b);
}

static void reserved_room_can_be_written_to_its_end(void **state)
{
    struct buf b;
    char *room;

    (void)state;
    buf_init(&b, MAX_BYTES);
    room = buf_reserve(&b, MAX_BYTES);
    assert_non_null(room);
    memset(room, 'y', MAX_BYTES);
    assert_int_equal(b.size, 0);
    buf_release(&b);
}

static void clearing_keeps_the_memory_and_forgets_the_failure(void **state)
{
    struct buf b;
    const char *data;

    (void)state;
    buf_init(&b, 10);
    (void)buf_add_text(&b, "12345");
    data = b.data;
    (void)buf_add_text(&b, "123456");
    buf_clear(&b);
    assert_int_equal(buf_failed(&b), 0);
    assert_int_equal(buf_add_text(&b, "1234567890"), 0);
    assert_ptr_equal(b.data, data);
    buf_release(&b);
}

static void taking_hands_over_a_text(void **state)
{
    struct buf b;
    char *text;

    (void)state;
    buf_init(&b, 5);
    (void)buf_add_text(&b, "12345");
    text = buf_take(&b);
    assert_string_equal(text, "12345");
    assert_int_equal(b.size, 0);
    assert_int_equal(buf_add_text(&b, "again"), 0);
    assert_string_equal(text, "12345");
    free(text);
    buf_release(&b);
}

static void taking_nothing_gives_an_empty_text(void **state)
{
    struct buf b;
    char *text;

    (void)state;
    buf_init(&b, 0);
    text = buf_take(&b);
    assert_string_equal(text, "");
    free(text);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_holds_nothing),
        cmocka_unit_test(what_was_added_stands_in_order),
        cmocka_unit_test(it_fills_up_to_the_last_byte),
        cmocka_unit_test(one_failure_stops_all_that_follows),
        cmocka_unit_test(a_text_that_does_not_fit_leaves_nothing_of_itself),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(reserved_room_can_be_written_to_its_end),
        cmocka_unit_test(clearing_keeps_the_memory_and_forgets_the_failure),
        cmocka_unit_test(taking_hands_over_a_text),
        cmocka_unit_test(taking_nothing_gives_an_empty_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
