#include "cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/clock.h"

enum { ROOM = 64 << 10, SOME = 1000, THREADS = 4, ROUNDS = 3000 };

static struct description about = {.name = "sum", .version = "1", .flags = PRONG_PURE};
static struct kernel kernel = {.about = &about};

static struct cache *new_cache(size_t bytes_max, uint64_t ttl_ns)
{
    struct cache *c = cache_new(&(struct cache_config) {.bytes_max = bytes_max, .ttl_ns = ttl_ns});

    assert_non_null(c);
    return c;
}

static struct key *key_of(const struct cache *c, int number)
{
    struct job job = {.kernel = &kernel, .params = &number, .params_bytes = sizeof(number)};
    struct key *key = cache_key(c, &job);

    assert_non_null(key);
    return key;
}

static void put(struct cache *c, int number, const void *data, size_t bytes)
{
    struct key *key = key_of(c, number);
    struct blob *blob = blob_copy(data, bytes);

    cache_put(c, key, blob, "text/plain");
    (void)blob_drop(blob);
    free(key);
}

static bool find(struct cache *c, int number, struct cache_answer *ret)
{
    struct key *key = key_of(c, number);
    bool found = cache_find(c, key, ret);

    free(key);
    return found;
}

static bool has(struct cache *c, int number)
{
    struct cache_answer answer;

    if (!find(c, number, &answer))
        return false;
    (void)blob_drop(answer.blob);
    return true;
}

static struct cache_status status(struct cache *c)
{
    struct cache_status st;

    cache_status(c, &st);
    return st;
}

static void test_what_was_put_in_is_found(void **state)
{
    struct cache *c = new_cache(ROOM, CLOCK_NS_PER_S * 60);
    struct cache_answer answer;

    (void)state;
    assert_false(has(c, 1));
    put(c, 1, "one", 3);
    assert_false(has(c, 2));
    assert_true(find(c, 1, &answer));
    assert_int_equal(answer.blob->bytes, 3);
    assert_memory_equal(answer.blob->data, "one", 3);
    assert_string_equal(answer.media_type, "text/plain");
    assert_true(answer.age_ns < 60 * CLOCK_NS_PER_S);
    assert_null(cache_free(c));
    assert_memory_equal(answer.blob->data, "one", 3); /* it is ours too */
    (void)blob_drop(answer.blob);
}

static void test_a_newer_one_takes_its_place(void **state)
{
    struct cache *c = new_cache(ROOM, CLOCK_NS_PER_S * 60);
    struct cache_answer answer;
    size_t bytes;

    (void)state;
    put(c, 1, "old", 3);
    bytes = status(c).bytes;
    put(c, 1, "new", 3);
    assert_true(find(c, 1, &answer));
    assert_memory_equal(answer.blob->data, "new", 3);
    (void)blob_drop(answer.blob);
    assert_int_equal(status(c).entries, 1);
    assert_int_equal(status(c).bytes, bytes);
    (void)cache_free(c);
}

static void test_too_old_is_gone(void **state)
{
    struct cache *c = new_cache(ROOM, 1);

    (void)state;
    put(c, 1, "one", 3);
    assert_int_equal(status(c).entries, 1);
    while (clock_now_ns() == clock_now_ns())
        ;
    assert_false(has(c, 1));
    assert_int_equal(status(c).entries, 0);
    assert_int_equal(status(c).bytes, 0);
    (void)cache_free(c);
    c = new_cache(ROOM, 0);
    put(c, 1, "one", 3);
    assert_int_equal(status(c).entries, 0);
    (void)cache_free(c);
}

static void test_what_was_not_asked_for_the_longest_goes_first(void **state)
{
    static const char data[SOME];
    struct cache *c = new_cache(ROOM, CLOCK_NS_PER_S * 60);
    size_t each, fit;

    (void)state;
    put(c, 0, data, sizeof(data));
    each = status(c).bytes;
    assert_true(each > SOME);
    fit = ROOM / each;
    for (int i = 1; i < (int)fit; i++)
        put(c, i, data, sizeof(data));
    assert_int_equal(status(c).entries, fit);
    assert_true(has(c, 0)); /* so it is not the next to go */
    put(c, (int)fit, data, sizeof(data));
    assert_int_equal(status(c).entries, fit);
    assert_true(status(c).bytes <= ROOM);
    assert_true(has(c, 0));
    assert_false(has(c, 1));
    assert_true(has(c, 2));
    (void)cache_free(c);
}

static void test_one_that_takes_too_much_is_not_kept(void **state)
{
    static const char data[ROOM / CACHE_SHARE];
    struct cache *c = new_cache(ROOM, CLOCK_NS_PER_S * 60);

    (void)state;
    put(c, 1, data, sizeof(data));
    assert_int_equal(status(c).entries, 0);
    put(c, 1, data, sizeof(data) - SOME);
    assert_int_equal(status(c).entries, 1);
    (void)cache_free(c);
}

static void test_all_can_be_forgotten(void **state)
{
    struct cache *c = new_cache(ROOM, CLOCK_NS_PER_S * 60);

    (void)state;
    for (int i = 0; i < 20; i++)
        put(c, i, "x", 1);
    cache_clear(c);
    assert_int_equal(status(c).entries, 0);
    assert_int_equal(status(c).bytes, 0);
    assert_false(has(c, 3));
    put(c, 3, "y", 1);
    assert_true(has(c, 3));
    (void)cache_free(c);
    assert_null(cache_free(NULL));
}

static void *use(void *arg)
{
    struct cache *c = arg;
    struct cache_answer answer;
    char data[SOME];

    for (int i = 0; i < ROUNDS; i++) {
        int number = i * 7 % 97;
        if (find(c, number, &answer)) {
            assert_int_equal(((const char *)answer.blob->data)[SOME - 1], number);
            (void)blob_drop(answer.blob);
        } else {
            memset(data, number, sizeof(data));
            put(c, number, data, sizeof(data));
        }
        if (i % 1000 == 999)
            cache_clear(c);
    }
    return NULL;
}

static void test_threads_may_use_it_together(void **state)
{
    struct cache *c = new_cache(ROOM, CLOCK_NS_PER_S * 60);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, c), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(status(c).bytes <= ROOM);
    cache_clear(c);
    assert_int_equal(status(c).bytes, 0);
    (void)cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_in_is_found),
        cmocka_unit_test(test_a_newer_one_takes_its_place),
        cmocka_unit_test(test_too_old_is_gone),
        cmocka_unit_test(test_what_was_not_asked_for_the_longest_goes_first),
        cmocka_unit_test(test_one_that_takes_too_much_is_not_kept),
        cmocka_unit_test(test_all_can_be_forgotten),
        cmocka_unit_test(test_threads_may_use_it_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
