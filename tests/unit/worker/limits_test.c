#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "worker/limits.h"

enum { MIB = 1 << 20 };

static int statm_fd;

static bool can_map(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return false;
    (void)munmap(map, bytes);
    return true;
}

static void memory_is_counted_from_where_the_task_begins(void **state)
{
    const struct manifest_limits l = {.memory_bytes = 32 * MIB};
    struct rlimit before, after;
    struct limits was;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    limits_set(&was, &l, statm_fd, 0);
    assert_true(can_map(30 * MIB));
    assert_false(can_map(33 * MIB));
    limits_lift(&was, &l);
    assert_true(can_map(33 * MIB));
    assert_int_equal(getrlimit(RLIMIT_DATA, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
}

static void computing_is_counted_in_whole_seconds_up(void **state)
{
    const struct manifest_limits l = {.cpu_s = 5};
    struct rlimit now, before;
    struct limits was;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_CPU, &before), 0);
    limits_set(&was, &l, statm_fd, 3 * CLOCK_NS_PER_S + 1);
    assert_int_equal(getrlimit(RLIMIT_CPU, &now), 0);
    assert_int_equal(now.rlim_cur, 9);
    assert_true(now.rlim_max == before.rlim_max);
    limits_lift(&was, &l);
    assert_int_equal(getrlimit(RLIMIT_CPU, &now), 0);
    assert_true(now.rlim_cur == before.rlim_cur);
}

static void without_limits_nothing_is_set(void **state)
{
    const struct manifest_limits none = {.cpu_s = 0};
    struct rlimit before, now;
    struct limits was;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_CPU, &before), 0);
    limits_set(&was, NULL, statm_fd, 0);
    limits_lift(&was, NULL);
    limits_set(&was, &none, statm_fd, 0);
    assert_int_equal(getrlimit(RLIMIT_CPU, &now), 0);
    assert_memory_equal(&before, &now, sizeof(now));
    assert_int_equal(getrlimit(RLIMIT_DATA, &now), 0);
    assert_true(now.rlim_cur == RLIM_INFINITY || now.rlim_cur == now.rlim_max);
}

static void statm_is_read_or_not_believed(void **state)
{
    (void)state;
    assert_int_equal(limits_data_bytes("765 446 418 5 0 123 0\n", 4096), 123 * 4096);
    assert_int_equal(limits_data_bytes("765 446\n", 4096), 0);
    assert_int_equal(limits_data_bytes("", 4096), 0);
}

static int open_statm(void **state)
{
    (void)state;
    statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    return statm_fd < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_counted_from_where_the_task_begins),
        cmocka_unit_test(computing_is_counted_in_whole_seconds_up),
        cmocka_unit_test(without_limits_nothing_is_set),
        cmocka_unit_test(statm_is_read_or_not_believed),
    };
    return cmocka_run_group_tests(tests, open_statm, NULL);
}
