#include "base/blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20000 };

static void test_bytes_are_as_they_were_given(void **state)
{
    struct blob *blob = blob_new(strdup("forty-two"), 9);

    (void)state;
    assert_non_null(blob);
    assert_int_equal(blob->bytes, 9);
    assert_memory_equal(blob->data, "forty-two", 9);
    assert_null(blob_drop(blob));
}

static void test_nothing_is_a_blob_too(void **state)
{
    struct blob *blob = blob_new(NULL, 0);

    (void)state;
    assert_non_null(blob);
    assert_int_equal(blob->bytes, 0);
    assert_null(blob_drop(blob));
    assert_null(blob_drop(NULL));
    assert_null(blob_hold(NULL));
}

static void test_a_copy_ends_with_nul(void **state)
{
    struct blob *blob = blob_copy("abcdef", 3);

    (void)state;
    assert_non_null(blob);
    assert_int_equal(blob->bytes, 3);
    assert_string_equal(blob->data, "abc");
    (void)blob_drop(blob);
}

static void test_lives_as_long_as_somebody_holds_it(void **state)
{
    struct blob *mine = blob_new(strdup("shared"), 6);
    struct blob *yours = blob_hold(mine);

    (void)state;
    assert_ptr_equal(mine, yours);
    (void)blob_drop(mine);
    assert_memory_equal(yours->data, "shared", 6); /* asan would see that it is gone */
    (void)blob_drop(yours);
}

static void *hold_and_drop(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        (void)blob_drop(blob_hold(arg));
    return NULL;
}

static void test_threads_may_share_it(void **state)
{
    struct blob *blob = blob_new(strdup("many"), 4);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_drop, blob), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&blob->holds), 1);
    assert_memory_equal(blob->data, "many", 4);
    (void)blob_drop(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_as_they_were_given),
        cmocka_unit_test(test_nothing_is_a_blob_too),
        cmocka_unit_test(test_a_copy_ends_with_nul),
        cmocka_unit_test(test_lives_as_long_as_somebody_holds_it),
        cmocka_unit_test(test_threads_may_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
