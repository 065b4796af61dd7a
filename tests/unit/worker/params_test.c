#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/wire.h"
#include "worker/params.h"

enum { COUNT, RATIO, TEXT, WORD, VALUES, DOC };

static const char *const words[] = {"red", "green", NULL};
static const struct prong_param declared[] = {
    PRONG_PARAM_INT("count", 1, 10, 1, ""), PRONG_PARAM_REAL("ratio", 0, 1, 0.5, ""),
    PRONG_PARAM_TEXT("text", 5, "", ""),    PRONG_PARAM_CHOICE("word", words, "red", ""),
    PRONG_PARAM_VALUES("values", 100, ""),  PRONG_PARAM_JSON("doc", 9, ""),
};
static const struct prong_kernel kernel = {.params = declared, .param_count = 6};

static int read_back(int64_t count, double ratio, const char *text, uint32_t word, size_t cut,
                     struct params *ret)
{
    static char bytes[256];
    struct prong_buf encoded = {.data = bytes};
    struct buf b;

    buf_init(&b, sizeof(bytes));
    wire_put_i64(&b, count);
    wire_put_f64(&b, ratio);
    wire_put_text(&b, text);
    wire_put_u32(&b, word);
    wire_put_text(&b, "{\"a\":[]}");
    memcpy(bytes, b.data, b.size);
    encoded.size = b.size - cut;
    buf_release(&b);
    return params_read(&kernel, encoded, ret);
}

static void values_arrive_as_declared(void **state)
{
    struct params p;

    (void)state;
    assert_int_equal(read_back(10, 0.25, "hello", 1, 0, &p), 0);
    assert_int_equal(p.count, 6);
    assert_int_equal(p.values[COUNT].integer, 10);
    assert_true(p.values[RATIO].real == 0.25);
    assert_string_equal(p.values[TEXT].text, "hello");
    assert_int_equal(p.values[WORD].integer, 1);
    assert_string_equal(p.values[WORD].text, "green");
    assert_string_equal(p.values[DOC].text, "{\"a\":[]}");
}

static void values_out_of_bounds_are_refused(void **state)
{
    struct params p;
    double zero = 0;

    (void)state;
    assert_int_equal(read_back(0, 0, "", 0, 0, &p), -EPROTO);
    assert_int_equal(read_back(11, 0, "", 0, 0, &p), -EPROTO);
    assert_int_equal(read_back(1, 1.01, "", 0, 0, &p), -EPROTO);
    assert_int_equal(read_back(1, zero / zero, "", 0, 0, &p), -EPROTO);
    assert_int_equal(read_back(1, 0, "sixsix", 0, 0, &p), -EPROTO);
    assert_int_equal(read_back(1, 0, "", 2, 0, &p), -EPROTO);
    assert_int_equal(read_back(1, 0, "", UINT32_MAX, 0, &p), -EPROTO);
}

static void bytes_must_end_where_the_last_value_does(void **state)
{
    static const char extra[] = "x";
    const struct prong_kernel bare = {.param_count = 0};
    struct params p;

    (void)state;
    for (size_t cut = 1; cut <= 24; cut++)
        assert_int_equal(read_back(1, 0, "", 0, cut, &p), -EPROTO);
    assert_int_equal(params_read(&bare, (struct prong_buf) {extra, 1}, &p), -EPROTO);
    assert_int_equal(params_read(&bare, (struct prong_buf) {extra, 0}, &p), 0);
}

/* Declared as ABI 1.0 had it: without the last member. */
static void parameters_of_an_older_kernel_are_found(void **state)
{
    enum { OLD_BYTES = offsetof(struct prong_param, required) };
    static _Alignas(struct prong_param) char old[2 * OLD_BYTES];
    const struct prong_kernel k = {.params = (const void *)old, .param_count = 2};
    struct prong_param one = PRONG_PARAM_INT("a", 0, 5, 0, "");
    struct params p;
    struct buf b;

    (void)state;
    one.size = OLD_BYTES;
    memcpy(old, &one, OLD_BYTES);
    one.int_max = 7;
    memcpy(old + OLD_BYTES, &one, OLD_BYTES);
    buf_init(&b, 64);
    wire_put_i64(&b, 5);
    wire_put_i64(&b, 7);
    assert_int_equal(params_read(&k, (struct prong_buf) {b.data, b.size}, &p), 0);
    assert_int_equal(p.values[0].integer, 5);
    assert_int_equal(p.values[1].integer, 7);
    buf_clear(&b);
    wire_put_i64(&b, 5);
    wire_put_i64(&b, 8);
    assert_int_equal(params_read(&k, (struct prong_buf) {b.data, b.size}, &p), -EPROTO);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_arrive_as_declared),
        cmocka_unit_test(values_out_of_bounds_are_refused),
        cmocka_unit_test(bytes_must_end_where_the_last_value_does),
        cmocka_unit_test(parameters_of_an_older_kernel_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
