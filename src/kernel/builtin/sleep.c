#include <errno.h>
#include <time.h>

#include "prong/kernel.h"

enum { PARAM_SECONDS };

#define SECONDS_MAX   3600.0
#define SLICE_NS      50000000ull /* how late a cancellation is noticed */
#define NS_PER_MS     1000000ull
#define NS_PER_SECOND 1000000000ull
#define SELFTEST_NS   200000ull

static const struct prong_param params[] = {
    [PARAM_SECONDS] = PRONG_PARAM_REAL("seconds", 0.0, SECONDS_MAX, 1.0, "How long to sleep"),
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t time_ns)
{
    struct timespec until = {
        .tv_sec = (time_t)(time_ns / NS_PER_SECOND),
        .tv_nsec = (long)(time_ns % NS_PER_SECOND),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    double seconds = prong_real(ctx, PARAM_SECONDS);
    uint64_t total_ns = (uint64_t)(seconds * 1e9);
    uint64_t start_ns = now_ns();
    uint64_t slept_ns = 0;
    int err;

    (void)lo;
    (void)hi;
    while (slept_ns < total_ns) {
        uint64_t left_ns = total_ns - slept_ns;

        slept_ns += left_ns < SLICE_NS ? left_ns : SLICE_NS;
        sleep_until(start_ns + slept_ns);
        if (prong_progress(ctx, slept_ns / NS_PER_MS, total_ns / NS_PER_MS) != 0 &&
            slept_ns < total_ns)
            return 0;
    }
    if ((err = prong_print(ctx, "{\"slept\":")) != 0 || (err = prong_number(ctx, seconds)) != 0)
        return err;
    return prong_write(ctx, "}", 1);
}

static const char *selftest(void *state)
{
    uint64_t start_ns = now_ns();

    (void)state;
    sleep_until(start_ns + SELFTEST_NS);
    if (now_ns() - start_ns >= SELFTEST_NS)
        return NULL;
    return "A sleep was over before its time.";
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "sleep",
    .version = "1",
    .summary = "Sleeps, shows progress, and wakes when it is cancelled.",
    .example = "seconds=0.1",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
