#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/clock.h"
#include "pool/slab.h"

static struct slab_store store;

static int open_store(void **state)
{
    (void)state;
    slab_store_init(&store, 64 << 20);
    return 0;
}

static int close_store(void **state)
{
    (void)state;
    slab_store_release(&store);
    return 0;
}

static void test_a_dropped_slab_is_used_again(void **state)
{
    struct slab *first = slab_get(&store, 100);
    uint64_t id = first->id;

    (void)state;
    assert_int_equal(first->bytes, SLAB_BYTES_MIN);
    memset(first->data, 7, 100);
    (void)slab_hold(first);
    assert_null(slab_drop(first));
    assert_int_equal(store.idle_bytes, 0); /* one hold is left */
    (void)slab_drop(first);
    assert_int_equal(store.idle_bytes, SLAB_BYTES_MIN);
    first = slab_get(&store, 2000);
    assert_int_equal(first->id, id);
    (void)slab_drop(first);
}

static void test_sizes_are_bounded(void **state)
{
    struct slab *large = slab_get(&store, 64 << 20);

    (void)state;
    assert_non_null(large);
    assert_int_equal(large->bytes, 64 << 20);
    (void)slab_drop(large);
    assert_null(slab_get(&store, (64 << 20) + 1));
}

static void test_a_worker_cannot_write(void **state)
{
    struct slab *slab = slab_get(&store, 100);

    (void)state;
    assert_ptr_equal(mmap(NULL, slab->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, slab->fd, 0),
                     MAP_FAILED);
    assert_true(ftruncate(slab->fd, 0) < 0);
    assert_true(write(slab->fd, "x", 1) < 0);
    (void)slab_drop(slab);
}

static void test_idle_memory_is_bounded_and_trimmed(void **state)
{
    struct slab *a = slab_get(&store, 64 << 20);
    struct slab *b = slab_get(&store, 64 << 20);

    (void)state;
    assert_true(a->id != b->id);
    (void)slab_drop(a);
    (void)slab_drop(b);
    assert_true(store.idle_bytes <= SLAB_KEPT_BYTES_MAX);
    assert_true(slab_store_trim(&store, 0));
    assert_false(slab_store_trim(&store, CLOCK_NEVER));
    assert_int_equal(store.idle_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_dropped_slab_is_used_again, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_sizes_are_bounded, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_a_worker_cannot_write, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_idle_memory_is_bounded_and_trimmed, open_store,
                                        close_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
