#include "jobs/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jobs/job.h"

static const struct hash_key secret = {1, 2};
static char large[KEY_INPUT_BYTES_MAX + 1];
static char abc[] = "abc", abd[] = "abd";

static struct description about = {.name = "sum", .version = "1", .flags = PRONG_PURE};
static struct kernel kernel = {.about = &about};

static struct job job(void)
{
    return (struct job) {.kernel = &kernel, .params = abc, .params_bytes = 3};
}

static bool are_equal(const struct job *a, const struct job *b)
{
    struct key *ka = key_new(secret, a), *kb = key_new(secret, b);
    bool equal;

    assert_non_null(ka);
    assert_non_null(kb);
    equal = key_equals(ka, kb);
    free(ka);
    free(kb);
    return equal;
}

static void test_equal_requests_have_equal_keys(void **state)
{
    char params[] = "abc"; /* elsewhere */
    struct job a = job(), b = job();

    (void)state;
    b.params = params;
    b.priority = 2; /* what does not change the answer does not count */
    b.client = 77;
    b.deadline_ns = 5;
    assert_true(are_equal(&a, &b));
}

static void test_whatever_changes_the_answer_changes_the_key(void **state)
{
    static struct description renamed = {.name = "sun", .version = "1", .flags = PRONG_PURE};
    static struct description newer = {.name = "sum", .version = "2", .flags = PRONG_PURE};
    static struct kernel others[] = {
        {.about = &renamed}, {.about = &newer}, {.about = &about, .edition = 1}};
    struct job a = job(), b;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        b = job();
        b.kernel = &others[i];
        assert_false(are_equal(&a, &b));
    }
    b = job();
    b.params = abd;
    assert_false(are_equal(&a, &b));
    b = job();
    b.chunks_wanted = 3;
    assert_false(are_equal(&a, &b));
    b = job();
    b.input_kind = PRONG_INPUT_RAW;
    assert_false(are_equal(&a, &b));
    b = job();
    b.input = "x";
    b.input_bytes = 1;
    assert_false(are_equal(&a, &b));
}

static void test_where_a_text_ends_counts(void **state)
{
    struct job a = job(), b = job();

    (void)state;
    a.input = "c";
    a.input_bytes = 1;
    a.params_bytes = 2; /* ab, c */
    b.input = "bc";
    b.input_bytes = 2;
    b.params_bytes = 1; /* a, bc */
    assert_false(are_equal(&a, &b));
}

static void test_some_requests_are_equal_to_nothing(void **state)
{
    static struct description impure = {.name = "sum", .version = "1", .flags = PRONG_IDEMPOTENT};
    static struct kernel other = {.about = &impure};
    struct job j = job();
    struct key *key;

    (void)state;
    j.kernel = &other;
    assert_null(key_new(secret, &j));
    j = job();
    j.input = large;
    j.input_bytes = KEY_INPUT_BYTES_MAX - j.params_bytes + 1;
    assert_null(key_new(secret, &j));
    j.input_bytes--;
    key = key_new(secret, &j);
    assert_non_null(key);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_requests_have_equal_keys),
        cmocka_unit_test(test_whatever_changes_the_answer_changes_the_key),
        cmocka_unit_test(test_where_a_text_ends_counts),
        cmocka_unit_test(test_some_requests_are_equal_to_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
