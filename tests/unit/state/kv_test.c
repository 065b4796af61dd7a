#include "state/kv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "thread/thread.h"

enum { THREADS = 8, ADDS = 1000 };

static const struct kv_condition always = {KV_ALWAYS, 0};
static const struct kv_limits limits = {.keys_max = 5000, .bytes_max = 1 << 20};

static int set_up(void **state)
{
    *state = kv_new(limits);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)kv_free(*state);
    return 0;
}

static int put(struct kv *kv, const char *key, const char *text)
{
    uint64_t version;

    return kv_put(kv, key, text, always, NULL, &version);
}

static void a_value_comes_back_under_its_version(void **state)
{
    struct kv_value value;
    uint64_t first, second;

    assert_int_equal(kv_put(*state, "a", "1", always, NULL, &first), 1);
    assert_int_equal(kv_put(*state, "a", "[2]", always, NULL, &second), 0);
    assert_true(second > first);
    assert_int_equal(kv_get(*state, "a", &value), 0);
    assert_string_equal(value.text, "[2]");
    assert_int_equal(value.version, second);
    free(value.text);
    assert_int_equal(kv_get(*state, "b", &value), -ENOENT);
}

static void a_version_never_comes_twice(void **state)
{
    uint64_t before, after;

    assert_int_equal(kv_put(*state, "a", "1", always, NULL, &before), 1);
    assert_int_equal(kv_delete(*state, "a", always, NULL), 0);
    assert_int_equal(kv_put(*state, "a", "1", always, NULL, &after), 1);
    assert_true(after > before);
}

static void conditions_guard_a_put(void **state)
{
    const struct kv_condition absent = {KV_IF_ABSENT, 0}, present = {KV_IF_PRESENT, 0};
    struct kv_condition exact = {KV_IF_VERSION, 0};
    uint64_t version;

    assert_int_equal(kv_put(*state, "a", "1", present, NULL, &version), -ESTALE);
    assert_int_equal(kv_put(*state, "a", "1", exact, NULL, &version), -ESTALE);
    assert_int_equal(kv_put(*state, "a", "1", absent, NULL, &version), 1);
    assert_int_equal(kv_put(*state, "a", "2", absent, NULL, &version), -ESTALE);
    assert_int_equal(kv_put(*state, "a", "2", present, NULL, &version), 0);
    exact.version = version;
    assert_int_equal(kv_put(*state, "a", "3", exact, NULL, &version), 0);
    assert_int_equal(kv_put(*state, "a", "4", exact, NULL, &version), -ESTALE);
    assert_int_equal(kv_delete(*state, "a", exact, NULL), -ESTALE);
    assert_int_equal(kv_delete(*state, "b", exact, NULL), -ENOENT);
}

static void bad_keys_are_refused(void **state)
{
    static const char *const bad[] = {"",         "a\nb",        "\x7f",         "\xff",
                                      "\xc0\x80", "\xc3",        "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xc2\x85", "\xe0\x80\x80"};
    char longest[KV_KEY_BYTES_MAX + 2] = "";
    int64_t value;
    uint64_t version;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(put(*state, bad[i], "1"), -EINVAL);
        assert_int_equal(kv_add(*state, bad[i], 1, always, NULL, &value, &version), -EINVAL);
    }
    memset(longest, 'k', KV_KEY_BYTES_MAX);
    assert_int_equal(put(*state, longest, "1"), 1);
    longest[KV_KEY_BYTES_MAX] = 'k';
    assert_int_equal(put(*state, longest, "1"), -EINVAL);
    assert_int_equal(put(*state, "a/b \xc3\xa9\xf0\x9f\x98\x80", "1"), 1);
}

static void values_have_a_largest_size(void **state)
{
    struct kv *roomy = kv_new((struct kv_limits) {.keys_max = 9, .bytes_max = 8u << 20});
    char *text = malloc(KV_VALUE_BYTES_MAX + 2);

    (void)state;
    memset(text, '1', KV_VALUE_BYTES_MAX + 1);
    text[KV_VALUE_BYTES_MAX + 1] = '\0';
    assert_int_equal(put(roomy, "a", text), -EINVAL);
    text[KV_VALUE_BYTES_MAX] = '\0';
    assert_int_equal(put(roomy, "a", text), 1);
    free(text);
    (void)kv_free(roomy);
}

static void a_full_map_takes_no_more(void **state)
{
    struct kv *small = kv_new((struct kv_limits) {.keys_max = 2, .bytes_max = 20});

    (void)state;
    assert_int_equal(put(small, "a", "123456789"), 1);
    assert_int_equal(put(small, "b", "12345678901"), -ENOSPC);
    assert_int_equal(put(small, "b", "123456789"), 1);
    assert_int_equal(put(small, "a", "1234567890"), -ENOSPC);
    assert_int_equal(put(small, "a", "1"), 0);
    assert_int_equal(put(small, "c", "1"), -ENOSPC);
    assert_int_equal(kv_delete(small, "b", always, NULL), 0);
    assert_int_equal(put(small, "c", "1"), 1);
    (void)kv_free(small);
}

static void add_counts_from_zero(void **state)
{
    struct kv_value stored;
    int64_t value = 0;
    uint64_t version;

    assert_int_equal(kv_add(*state, "n", 5, always, NULL, &value, &version), 1);
    assert_int_equal(kv_add(*state, "n", -7, always, NULL, &value, &version), 0);
    assert_int_equal(value, -2);
    assert_int_equal(kv_get(*state, "n", &stored), 0);
    assert_string_equal(stored.text, "-2");
    free(stored.text);
}

static void add_leaves_what_it_cannot_add_to(void **state)
{
    static const char *const others[] = {"1.5", "\"1\"", "null", "[1]", "1e3", "9007199254740993"};
    const int64_t max = INT64_C(1) << 53;
    struct kv_value stored;
    int64_t value = 77;
    uint64_t version = 77;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        assert_true(put(*state, "x", others[i]) >= 0);
        assert_int_equal(kv_add(*state, "x", 1, always, NULL, &value, &version), -EDOM);
        assert_int_equal(kv_get(*state, "x", &stored), 0);
        assert_string_equal(stored.text, others[i]);
        free(stored.text);
    }
    assert_int_equal(value, 77);
    assert_int_equal(kv_add(*state, "n", max, always, NULL, &value, &version), 1);
    assert_int_equal(kv_add(*state, "n", 1, always, NULL, &value, &version), -ERANGE);
    assert_int_equal(kv_add(*state, "n", INT64_MAX, always, NULL, &value, &version), -ERANGE);
    assert_int_equal(kv_add(*state, "n", INT64_MIN, always, NULL, &value, &version), -ERANGE);
    assert_int_equal(kv_add(*state, "n", -1, always, NULL, &value, &version), 0);
    assert_int_equal(value, max - 1);
}

static void *add_many(void *kv)
{
    int64_t value;
    uint64_t version;

    for (int i = 0; i < ADDS; i++) {
        if (kv_add(kv, "shared", 1, always, NULL, &value, &version) < 0)
            return kv;
    }
    return NULL;
}

static void concurrent_adds_all_count(void **state)
{
    struct thread threads[THREADS];
    struct kv_value stored;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "adder", add_many, *state), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_int_equal(kv_get(*state, "shared", &stored), 0);
    assert_string_equal(stored.text, "8000");
    assert_int_equal(stored.version, THREADS * ADDS);
    free(stored.text);
}

static void keys_are_listed_in_byte_order(void **state)
{
    static const char *const keys[] = {"b", "a", "\xc3\xa9", "B", "a/x", "10", "9"};
    static const char *const sorted[] = {"10", "9", "B", "a", "a/x", "b", "\xc3\xa9"};
    struct kv_listed *listed;

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(put(*state, keys[i], "0"), 1);
    assert_int_equal(kv_list(*state, NULL, 100, &listed), ARRAY_SIZE(keys));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_string_equal(listed[i].key, sorted[i]);
    free(listed);
    assert_int_equal(kv_list(*state, "a", 2, &listed), 2);
    assert_string_equal(listed[0].key, "a/x");
    assert_string_equal(listed[1].key, "b");
    assert_int_equal(listed[0].version, 5);
    free(listed);
    assert_int_equal(kv_list(*state, "\xff", 2, &listed), 0);
    free(listed);
    assert_int_equal(kv_list(*state, NULL, 0, &listed), 0);
    free(listed);
}

static void pages_cover_all_keys_once(void **state)
{
    char key[16], after[KV_KEY_BYTES_MAX + 1] = "";
    struct kv_listed *listed;
    int seen = 0, n;

    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof(key), "k%04d", (i * 7919) % 3000);
        assert_int_equal(put(*state, key, "0"), 1);
    }
    while ((n = kv_list(*state, seen == 0 ? NULL : after, 5000, &listed)) > 0) {
        assert_true(n <= KV_PAGE_MAX);
        for (int i = 0; i < n; i++) {
            (void)snprintf(key, sizeof(key), "k%04d", seen++);
            assert_string_equal(listed[i].key, key);
        }
        (void)snprintf(after, sizeof(after), "%s", listed[n - 1].key);
        free(listed);
    }
    free(listed);
    assert_int_equal(seen, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_value_comes_back_under_its_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_version_never_comes_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conditions_guard_a_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_keys_are_refused, set_up, tear_down),
        cmocka_unit_test(values_have_a_largest_size),
        cmocka_unit_test(a_full_map_takes_no_more),
        cmocka_unit_test_setup_teardown(add_counts_from_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(add_leaves_what_it_cannot_add_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(concurrent_adds_all_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_listed_in_byte_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_cover_all_keys_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
