#include "base/id.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static void a_new_id_is_a_uuid_of_version_7(void **state)
{
    struct id id = id_new();

    (void)state;
    assert_int_equal(strlen(id.text), ID_TEXT_BYTES - 1);
    assert_true(id_is_valid(id.text));
    assert_int_equal(id.text[14], '7');
    assert_non_null(strchr("89ab", id.text[19]));
}

static void an_id_tells_its_time(void **state)
{
    uint64_t before = clock_wall_ns() / CLOCK_NS_PER_MS;
    struct id id = id_new();
    unsigned long long high = 0, low = 0;

    (void)state;
    assert_int_equal(sscanf(id.text, "%8llx-%4llx", &high, &low), 2);
    assert_in_range((high << 16) + low, before, before + 1000);
}

static void ids_of_one_thread_ascend(void **state)
{
    struct id last = id_new();

    (void)state;
    /* Far more than one millisecond's counter holds. */
    for (int i = 0; i < 200000; i++) {
        struct id id = id_new();
        assert_true(strcmp(last.text, id.text) < 0);
        last = id;
    }
}

enum { THREADS = 4, EACH = 5000 };

static void *make_ids(void *arg)
{
    struct id *out = arg;

    for (int i = 0; i < EACH; i++)
        out[i] = id_new();
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct id *)a)->text, ((const struct id *)b)->text);
}

static void ids_of_many_threads_differ(void **state)
{
    static struct id ids[THREADS * EACH];
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_ids, &ids[i * EACH]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    qsort(ids, THREADS * EACH, sizeof(ids[0]), by_text);
    for (size_t i = 1; i < THREADS * EACH; i++)
        assert_true(strcmp(ids[i - 1].text, ids[i].text) != 0);
}

static void what_is_no_id_is_refused(void **state)
{
    const char *const bad[] = {
        "",
        "0198c5a0-0000-7000-8000-00000000000",
        "0198c5a0-0000-7000-8000-0000000000000",
        "0198C5A0-0000-7000-8000-000000000000",
        "0198c5a000000-7000-8000-000000000000",
        "0198c5a0-0000-7000-8000-00000000000g",
        "0198c5a0-0000-7000-8000_000000000000",
        "-198c5a0-0000-7000-8000-000000000000",
        "0198c5a0-0000-7000-8000-00000000000\xff",
    };

    (void)state;
    assert_true(id_is_valid("0198c5a0-0000-7000-8000-000000000000"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(id_is_valid(bad[i]));
}

static void random_words_differ(void **state)
{
    uint64_t words[300];

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        words[i] = id_random();
        for (size_t j = 0; j < i; j++)
            assert_true(words[i] != words[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_id_is_a_uuid_of_version_7),
        cmocka_unit_test(an_id_tells_its_time),
        cmocka_unit_test(ids_of_one_thread_ascend),
        cmocka_unit_test(ids_of_many_threads_differ),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(random_words_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
