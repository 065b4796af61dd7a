#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "zygote/reap.h"
#include "zygote/selftest.h"

static struct registry registry;
static int reap_fd;

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static const char *passes(void *state)
{
    return state == NULL ? NULL : "It was given a state that it has not made.";
}

static const char *complains(void *state)
{
    (void)state;
    return "Two and two make five.";
}

static const char *crashes(void *state)
{
    (void)state;
    (void)raise(SIGFPE);
    return NULL;
}

static const char *exits(void *state)
{
    (void)state;
    _exit(42);
}

static const char *hangs(void *state)
{
    (void)state;
    while (pause() < 0)
        continue;
    return NULL;
}

static void add(const char *name, const char *(*selftest)(void *))
{
    const struct prong_kernel k = {
        .size = sizeof(k),
        .abi_major = PRONG_ABI_MAJOR,
        .name = name,
        .version = "1",
        .map = map,
        .selftest = selftest,
    };
    struct err err;

    assert_int_equal(registry_add(&registry, &k, NULL, &err), 0);
}

static void every_kernel_is_judged_alone(void **state)
{
    uint64_t start = clock_now_ns();

    (void)state;
    add("untested", NULL);
    add("passes", passes);
    add("complains", complains);
    add("crashes", crashes);
    add("exits", exits);
    add("hangs", hangs);
    add("hangs-too", hangs);
    selftest_run(&registry, reap_fd, CLOCK_NS_PER_S / 5);
    assert_null(registry.kernels[0].broken);
    assert_null(registry.kernels[1].broken);
    assert_string_equal(registry.kernels[2].broken, "Two and two make five.");
    assert_string_equal(registry.kernels[3].broken, "Its self-test died by SIGFPE.");
    assert_string_equal(registry.kernels[4].broken, "Its self-test ended with exit code 42.");
    assert_string_equal(registry.kernels[5].broken, "Its self-test did not end within 0.2 s.");
    assert_string_equal(registry.kernels[6].broken, "Its self-test did not end within 0.2 s.");
    /* One deadline for all, not one each. */
    assert_in_range(clock_now_ns() - start, CLOCK_NS_PER_S / 5, 3 * CLOCK_NS_PER_S);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    registry_release(&registry);
}

static void all_well_takes_no_time(void **state)
{
    uint64_t start = clock_now_ns();

    (void)state;
    selftest_run(&registry, reap_fd, CLOCK_NS_PER_S);
    add("a", passes);
    add("b", passes);
    selftest_run(&registry, reap_fd, 5 * CLOCK_NS_PER_S);
    assert_null(registry.kernels[0].broken);
    assert_null(registry.kernels[1].broken);
    assert_in_range(clock_now_ns() - start, 0, 2 * CLOCK_NS_PER_S);
    registry_release(&registry);
}

static int open_reap(void **state)
{
    (void)state;
    reap_fd = reap_open();
    return reap_fd < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_is_judged_alone),
        cmocka_unit_test(all_well_takes_no_time),
    };
    return cmocka_run_group_tests(tests, open_reap, NULL);
}
