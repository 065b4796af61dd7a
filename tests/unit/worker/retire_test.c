#include <sys/mman.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "worker/retire.h"

static struct shm_page page;

static struct retire with_limits(uint64_t tasks, uint64_t age_ns, uint64_t grow_bytes, int fd)
{
    const struct proto_fork limits = {
        .tasks_max = tasks,
        .age_ns_max = age_ns,
        .rss_grow_bytes_max = grow_bytes,
    };
    struct retire r;

    retire_init(&r, &limits, fd, &page);
    return r;
}

static void no_limits_means_for_ever(void **state)
{
    struct retire r = with_limits(0, 0, 0, -1);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_false(retire_is_due(&r, &page, CLOCK_NS_PER_S, CLOCK_NEVER - 1));
}

static void tasks_are_counted(void **state)
{
    struct retire r = with_limits(3, 0, 0, -1);

    (void)state;
    assert_false(retire_is_due(&r, &page, 1, 1));
    assert_false(retire_is_due(&r, &page, 1, 1));
    assert_true(retire_is_due(&r, &page, 1, 1));
}

static void age_is_by_the_clock(void **state)
{
    uint64_t now = clock_now_ns();
    struct retire r = with_limits(0, 60 * CLOCK_NS_PER_S, 0, -1);

    (void)state;
    assert_false(retire_is_due(&r, &page, 1, now + 59 * CLOCK_NS_PER_S));
    assert_true(retire_is_due(&r, &page, 1, now + 61 * CLOCK_NS_PER_S));
}

static void growth_is_seen_after_long_tasks_only(void **state)
{
    enum { GROWN = 64 << 20 };
    int fd = open("/proc/self/statm", O_RDONLY);
    struct retire r = with_limits(0, 0, GROWN / 2, fd);
    char *map;

    (void)state;
    assert_true(fd >= 0);
    assert_true(atomic_load(&page.rss_bytes) > 0);
    assert_false(retire_is_due(&r, &page, 2 * CLOCK_NS_PER_MS, 1));
    map = mmap(NULL, GROWN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
               0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_false(retire_is_due(&r, &page, 1, 1));
    assert_true(retire_is_due(&r, &page, 2 * CLOCK_NS_PER_MS, 1));
    assert_true(atomic_load(&page.rss_bytes) > GROWN);
    (void)munmap(map, GROWN);
    (void)close(fd);
}

static void shared_memory_is_no_leak(void **state)
{
    enum { GROWN = 64 << 20 };
    int fd = open("/proc/self/statm", O_RDONLY);
    struct retire r = with_limits(0, 0, GROWN / 2, fd);
    char *map =
        mmap(NULL, GROWN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    (void)state;
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_false(retire_is_due(&r, &page, 2 * CLOCK_NS_PER_MS, 1));
    (void)munmap(map, GROWN);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limits_means_for_ever),
        cmocka_unit_test(tasks_are_counted),
        cmocka_unit_test(age_is_by_the_clock),
        cmocka_unit_test(growth_is_seen_after_long_tasks_only),
        cmocka_unit_test(shared_memory_is_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
