#include <string.h>

#include "prong/kernel.h"

enum { PARAM_START, PARAM_END };

#define END_MAX          10000000000000ll /* 10^13 */
#define UNIT_NUMBERS     (1ull << 20)
#define LANES            16u
#define PROGRESS_NUMBERS (1ull << 23) /* a third of a millisecond with AVX-512 */
#define DIGITS_MAX       40u          /* of a 128-bit number */

/* A unit is added up in 64 bits and cannot pass them; only units' sums are added in 128. */
_Static_assert((unsigned long long)END_MAX < UINT64_MAX / UNIT_NUMBERS, "a unit's sum overflows");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

typedef unsigned __int128 uint128;

static const struct prong_param params[] = {
    [PARAM_START] = PRONG_PARAM_INT("start", 0, END_MAX, 0, "The first integer"),
    [PARAM_END] = PRONG_PARAM_INT("end", 0, END_MAX, 100000000, "The integer after the last"),
};

/* Compilers know that 0 + 1 + … is n (n - 1) / 2 and would put that in place of the loop. The empty
 * asm claims to change `base` on every turn, and the one before the loop to change `offsets`, so none
 * of the additions can be foreseen. They cost no instruction, and the lanes of a turn still make
 * vectors: per integer one addition makes it and one adds it. */
VECTOR_CLONES static uint64_t sum_range(uint64_t from, uint64_t to)
{
    uint64_t lanes[LANES] = {0};
    uint64_t offsets[LANES];
    uint64_t base = from;
    uint64_t sum = 0;

    for (unsigned i = 0; i < LANES; i++)
        offsets[i] = i;
    __asm__("" : "+m"(offsets));
    for (uint64_t turns = (to - from) / LANES; turns > 0; turns--) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < LANES; i++)
            lanes[i] += base + offsets[i];
        base += LANES;
        __asm__("" : "+r"(base));
    }
    for (unsigned i = 0; i < LANES; i++)
        sum += lanes[i];
    for (; base < to; base++) {
        sum += base;
        __asm__("" : "+r"(sum));
    }
    return sum;
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    uint64_t start = (uint64_t)prong_int(ctx, PARAM_START);
    uint64_t end = (uint64_t)prong_int(ctx, PARAM_END);

    if (end < start)
        return prong_fail(ctx, "The end, %llu, lies before the start, %llu.",
                          (unsigned long long)end, (unsigned long long)start);
    uint64_t count = end - start;

    ret_work->units = (count + UNIT_NUMBERS - 1) / UNIT_NUMBERS;
    ret_work->unit_cost = (double)(count < UNIT_NUMBERS ? count : UNIT_NUMBERS);
    return 0;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    uint64_t start = (uint64_t)prong_int(ctx, PARAM_START);
    uint64_t end = (uint64_t)prong_int(ctx, PARAM_END);
    uint128 sum = 0;

    for (uint64_t unit = lo; unit < hi;) {
        uint64_t from = start + unit * UNIT_NUMBERS;
        uint64_t to = end - from < UNIT_NUMBERS ? end : from + UNIT_NUMBERS;

        sum += sum_range(from, to);
        unit++;
        if (unit % (PROGRESS_NUMBERS / UNIT_NUMBERS) == 0 &&
            prong_progress(ctx, unit - lo, hi - lo) != 0)
            break;
    }
    return prong_write(ctx, &sum, sizeof(sum));
}

static uint128 read_sum(struct prong_buf part)
{
    uint128 sum = 0;

    if (part.size == sizeof(sum))
        memcpy(&sum, part.data, sizeof(sum));
    return sum;
}

static int combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    uint128 sum = read_sum(left) + read_sum(right);

    return prong_write(ctx, &sum, sizeof(sum));
}

static const char *decimal(uint128 number, char text[static DIGITS_MAX])
{
    char *digit = &text[DIGITS_MAX - 1];

    *digit = '\0';
    do {
        *--digit = (char)('0' + (int)(number % 10));
        number /= 10;
    } while (number > 0);
    return digit;
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    int64_t count = prong_int(ctx, PARAM_END) - prong_int(ctx, PARAM_START);
    char text[DIGITS_MAX];

    return prong_print(ctx, "{\"sum\":%s,\"count\":%lld}", decimal(read_sum(whole), text),
                       (long long)count);
}

static const char *selftest(void *state)
{
    char text[DIGITS_MAX];

    (void)state;
    if (sum_range(0, 100001) != 5000050000 || sum_range(7, 7) != 0 || sum_range(5, 8) != 18)
        return "The integers from 0 to 100000 do not add up to 5000050000.";
    if (strcmp(decimal((uint128)1 << 100, text), "1267650600228229401496703205376") != 0)
        return "2^100 is not printed as 1267650600228229401496703205376.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE,
    .name = "sum",
    .version = "1",
    .summary = "Adds the integers from start to end, one by one, exactly.",
    .example = "end=100000000",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
    .map = map,
    .combine = combine,
    .finish = finish,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
