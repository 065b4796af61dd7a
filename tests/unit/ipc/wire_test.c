#include "ipc/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One of everything. */
static void put_all(struct buf *b)
{
    buf_init(b, 1000);
    wire_put_u32(b, 0xdeadbeef);
    wire_put_u64(b, UINT64_MAX - 1);
    wire_put_text(b, "hello");
    wire_put_i64(b, INT64_MIN);
    wire_put_text(b, "");
    wire_put_f64(b, -0.5);
    wire_put_text_n(b, "worldly", 5);
}

static bool read_all(const void *data, size_t bytes)
{
    struct wire_reader r;

    wire_read_init(&r, data, bytes);
    (void)wire_u32(&r);
    (void)wire_u64(&r);
    (void)wire_text(&r, 5);
    (void)wire_i64(&r);
    (void)wire_text(&r, 0);
    (void)wire_f64(&r);
    (void)wire_text(&r, 5);
    return wire_ended(&r);
}

static void what_was_put_is_read(void **state)
{
    struct wire_reader r;
    struct buf b;

    (void)state;
    put_all(&b);
    wire_read_init(&r, b.data, b.size);
    assert_int_equal(wire_u32(&r), 0xdeadbeef);
    assert_true(wire_u64(&r) == UINT64_MAX - 1);
    assert_string_equal(wire_text(&r, 5), "hello");
    assert_true(wire_i64(&r) == INT64_MIN);
    assert_string_equal(wire_text(&r, 0), "");
    assert_true(wire_f64(&r) == -0.5);
    assert_false(wire_ended(&r));
    assert_string_equal(wire_text(&r, 5), "world");
    assert_true(wire_ended(&r));
    buf_release(&b);
}

static void nothing_has_ended_at_once(void **state)
{
    struct wire_reader r;

    (void)state;
    wire_read_init(&r, "", 0);
    assert_true(wire_ended(&r));
    assert_int_equal(wire_u32(&r), 0);
    assert_false(wire_ended(&r));
}

static void after_a_failure_all_is_zero(void **state)
{
    struct wire_reader r;

    (void)state;
    wire_read_init(&r, "\1\1\1\1\1\1\1\1\1\1\1", 11);
    assert_true(wire_u64(&r) != 0);
    assert_int_equal(wire_u32(&r), 0);
    assert_int_equal(wire_u64(&r), 0);
    assert_int_equal(wire_i64(&r), 0);
    assert_true(wire_f64(&r) == 0);
    assert_null(wire_text(&r, 100));
    assert_false(wire_ended(&r));
}

/* A text on the wire whose length word says `said`. */
static const char *text_of(const char *bytes, size_t n, uint32_t said, size_t bytes_max)
{
    char *copy = malloc(n + 4); /* on the heap, so that a read beyond it is seen */
    struct wire_reader r;
    const char *text;

    assert_non_null(copy);
    memcpy(copy, &said, 4);
    memcpy(copy + 4, bytes, n);
    wire_read_init(&r, copy, n + 4);
    text = wire_text(&r, bytes_max);
    assert_true((text == NULL) == r.failed);
    free(copy);
    return text;
}

static void a_text_must_be_what_it_says(void **state)
{
    (void)state;
    assert_non_null(text_of("abc", 4, 3, 3));
    assert_null(text_of("abc", 4, 3, 2));   /* above the maximum */
    assert_null(text_of("abc", 3, 3, 10));  /* without its NUL */
    assert_null(text_of("abcd", 5, 3, 10)); /* NUL too late */
    assert_null(text_of("a\0c", 4, 3, 10)); /* NUL inside */
    assert_null(text_of("abc", 4, 4, 10));  /* longer than there is */
    assert_null(text_of("abc", 4, UINT32_MAX, SIZE_MAX));
    assert_null(text_of("", 0, 0, 10));
}

static void every_truncation_is_noticed(void **state)
{
    struct buf b;

    (void)state;
    put_all(&b);
    for (size_t n = 0; n < b.size; n++) {
        char *copy = malloc(MAX(n, (size_t)1)); /* no byte more than there is */
        assert_non_null(copy);
        memcpy(copy, b.data, n);
        assert_false(read_all(copy, n));
        free(copy);
    }
    assert_true(read_all(b.data, b.size));
    buf_release(&b);
}

static void a_byte_too_many_is_noticed(void **state)
{
    struct buf b;

    (void)state;
    put_all(&b);
    (void)buf_add(&b, "", 1);
    assert_false(read_all(b.data, b.size));
    buf_release(&b);
}

static void read_any(struct wire_reader *r)
{
    const char *text;

    switch (rand() % 5) {
    case 0:
        (void)wire_u32(r);
        break;
    case 1:
        (void)wire_u64(r);
        break;
    case 2:
        (void)wire_i64(r);
        break;
    case 3:
        (void)wire_f64(r);
        break;
    default:
        text = wire_text(r, (size_t)rand() % 50);
        assert_true(text == NULL || strlen(text) < 50);
        break;
    }
}

static void random_bytes_are_never_read_beyond(void **state)
{
    (void)state;
    srand(5);
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)rand() % 80;
        unsigned char *data = malloc(n > 0 ? n : 1);
        struct wire_reader r;
        assert_non_null(data);
        for (size_t at = 0; at < n; at++)
            data[at] = (unsigned char)(rand() % 3 == 0 ? rand() : rand() % 8 == 0);
        wire_read_init(&r, data, n);
        for (int reads = 0; reads < 30; reads++)
            read_any(&r);
        assert_true(r.at <= r.end);
        free(data);
    }
}

static void a_full_buffer_tells(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 7);
    wire_put_u32(&b, 1);
    assert_int_equal(buf_failed(&b), 0);
    wire_put_u32(&b, 1);
    assert_true(buf_failed(&b) < 0);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read),
        cmocka_unit_test(nothing_has_ended_at_once),
        cmocka_unit_test(after_a_failure_all_is_zero),
        cmocka_unit_test(a_text_must_be_what_it_says),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(a_byte_too_many_is_noticed),
        cmocka_unit_test(random_bytes_are_never_read_beyond),
        cmocka_unit_test(a_full_buffer_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
