#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/slabs.h"

#include "prong_side.h"

enum { BYTES = 8192 };

static void a_known_slab_needs_no_descriptor(void **state)
{
    struct slabs s = {0};
    const char *first, *again;
    int fd = prong_side_slab(BYTES, 0, prong_side_text("content"));

    (void)state;
    assert_int_equal(slabs_map(&s, 5, BYTES, fd, &first), 0);
    assert_memory_equal(first, "content", 7);
    assert_int_equal(slabs_map(&s, 5, BYTES, -1, &again), 0);
    assert_ptr_equal(first, again);
    assert_int_equal(slabs_map(&s, 5, BYTES / 2, fd, &again), -EPROTO);
    (void)close(fd);
    slabs_release(&s);
}

static void the_one_used_longest_ago_makes_room(void **state)
{
    struct slabs s = {0};
    const char *map;
    int fd = prong_side_slab(BYTES, 0, prong_side_text("x"));

    (void)state;
    for (uint64_t id = 1; id <= SLABS_MAX; id++)
        assert_int_equal(slabs_map(&s, id, BYTES, fd, &map), 0);
    assert_int_equal(slabs_map(&s, 1, BYTES, -1, &map), 0);
    assert_int_equal(slabs_map(&s, 99, BYTES, fd, &map), 0);
    assert_int_equal(slabs_map(&s, 1, BYTES, -1, &map), 0);
    assert_int_equal(slabs_map(&s, 99, BYTES, -1, &map), 0);
    /* 2 was the oldest; without a descriptor it cannot come back. */
    assert_true(slabs_map(&s, 2, BYTES, -1, &map) < 0);
    assert_int_equal(slabs_map(&s, 3, BYTES, -1, &map), 0);
    (void)close(fd);
    slabs_release(&s);
}

static void what_is_no_sealed_slab_is_refused(void **state)
{
    struct slabs s = {0};
    const char *map;
    int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int small = prong_side_slab(BYTES, 0, prong_side_text("x"));

    (void)state;
    assert_int_equal(ftruncate(unsealed, BYTES), 0);
    assert_int_equal(slabs_map(&s, 1, BYTES, unsealed, &map), -EPROTO);
    assert_int_equal(slabs_map(&s, 1, BYTES + 1, small, &map), -EPROTO);
    assert_int_equal(slabs_map(&s, 0, BYTES, small, &map), -EPROTO);
    assert_int_equal(slabs_map(&s, 1, 0, small, &map), -EPROTO);
    assert_int_equal(slabs_map(&s, 1, BYTES, small, &map), 0);
    (void)close(unsealed);
    (void)close(small);
    slabs_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_slab_needs_no_descriptor),
        cmocka_unit_test(the_one_used_longest_ago_makes_room),
        cmocka_unit_test(what_is_no_sealed_slab_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
