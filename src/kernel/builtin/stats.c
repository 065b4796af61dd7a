#include <math.h>
#include <string.h>

#include "prong/kernel.h"

/*
 * Count, sum, extremes, mean and deviation of many numbers. A block of them gives one record, added
 * up in lanes whose number does not depend on the machine; `finish` joins the records as a tree
 * whose shape depends on nothing but their number. So every rounding is the same however the blocks
 * were shared out.
 */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw input is read as it lies in memory");

#define VALUES_MAX      (1u << 24) /* of a JSON array; raw input is limited by the server alone */
#define BLOCK_VALUES    16384u     /* 128 KiB: the later passes find it in the cache */
#define LANES           16u
#define EXTREME_LANES   64u
#define PROGRESS_BLOCKS 32u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

static const struct prong_param params[] = {
    PRONG_PARAM_VALUES("values", VALUES_MAX, "The numbers; or send them raw as float64"),
};

struct record {
    double count, sum, min, max;
    double squares; /* the sum of (value - mean)^2 */
};

VECTOR_CLONES static void add_lanes(const double *values, size_t turns, double sum[static LANES])
{
    double lanes[LANES] = {0};

    for (size_t turn = 0; turn < turns; turn++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++)
            lanes[i] += values[turn * LANES + i];
    }
    memcpy(sum, lanes, sizeof(lanes));
}

VECTOR_CLONES static void square_lanes(const double *values, size_t turns, double mean,
                                       double sum[static LANES])
{
    double lanes[LANES] = {0};

    for (size_t turn = 0; turn < turns; turn++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++) {
            double off = values[turn * LANES + i] - mean;

            lanes[i] += off * off;
        }
    }
    memcpy(sum, lanes, sizeof(lanes));
}

static double fold_lanes(double lanes[static LANES])
{
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

static double sum_of(const double *values, size_t count)
{
    double lanes[LANES];

    add_lanes(values, count / LANES, lanes);
    for (size_t i = 0; i < count % LANES; i++)
        lanes[i] += values[count - count % LANES + i];
    return fold_lanes(lanes);
}

static double squares_of(const double *values, size_t count, double mean)
{
    double lanes[LANES];

    square_lanes(values, count / LANES, mean, lanes);
    for (size_t i = 0; i < count % LANES; i++) {
        double off = values[count - count % LANES + i] - mean;

        lanes[i] += off * off;
    }
    return fold_lanes(lanes);
}

static double lesser(double a, double b)
{
    return b < a ? b : a;
}

static double greater(double a, double b)
{
    return b > a ? b : a;
}

/* More lanes than registers on purpose: gcc makes vectors of comparisons in a loop, not in an
 * unrolled one. */
VECTOR_CLONES static void compare_lanes(const double *values, size_t turns, double *restrict low,
                                        double *restrict high)
{
    for (size_t turn = 0; turn < turns; turn++) {
        for (size_t i = 0; i < EXTREME_LANES; i++) {
            low[i] = lesser(low[i], values[turn * EXTREME_LANES + i]);
            high[i] = greater(high[i], values[turn * EXTREME_LANES + i]);
        }
    }
}

static void find_extremes(const double *values, size_t count, struct record *record)
{
    double low[EXTREME_LANES], high[EXTREME_LANES];

    for (size_t i = 0; i < EXTREME_LANES; i++)
        low[i] = high[i] = values[0];
    compare_lanes(values, count / EXTREME_LANES, low, high);
    record->min = low[0];
    record->max = high[0];
    for (size_t i = 1; i < EXTREME_LANES; i++) {
        record->min = lesser(record->min, low[i]);
        record->max = greater(record->max, high[i]);
    }
    for (size_t i = count - count % EXTREME_LANES; i < count; i++) {
        record->min = lesser(record->min, values[i]);
        record->max = greater(record->max, values[i]);
    }
}

/* Comparisons skip a NaN, so extremes are asked for it apart; its sum is NaN, which is seldom. */
static int has_nan(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return 1;
    return 0;
}

static struct record summed_up(const double *values, size_t count)
{
    struct record record = {.count = (double)count, .sum = sum_of(values, count)};

    record.squares = squares_of(values, count, record.sum / record.count);
    if (isnan(record.sum) && has_nan(values, count))
        record.min = record.max = (double)NAN;
    else
        find_extremes(values, count, &record);
    return record;
}

/* Chan, Golub and LeVeque (1979). */
static struct record joined(struct record a, struct record b)
{
    double count = a.count + b.count;
    double off = b.sum / b.count - a.sum / a.count;

    return (struct record) {
        .count = count,
        .sum = a.sum + b.sum,
        .min = isnan(a.min)   ? a.min
               : isnan(b.min) ? b.min
                              : lesser(a.min, b.min),
        .max = isnan(a.max)   ? a.max
               : isnan(b.max) ? b.max
                              : greater(a.max, b.max),
        .squares = a.squares + b.squares + off * off * (a.count * (b.count / count)),
    };
}

/* The left half is the largest power of two below `count`. */
static struct record fold(const char *records, size_t count)
{
    struct record record;
    size_t left = 1;

    if (count == 1) {
        memcpy(&record, records, sizeof(record));
        return record;
    }
    while (2 * left < count)
        left *= 2;
    return joined(fold(records, left), fold(records + left * sizeof(record), count - left));
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    struct prong_buf input;

    (void)prong_input(ctx, &input);
    if (input.size % sizeof(double) != 0)
        return prong_fail(ctx, "The body has %zu bytes, which is not a whole number of float64s.",
                          input.size);
    size_t values = input.size / sizeof(double);

    ret_work->units = (values + BLOCK_VALUES - 1) / BLOCK_VALUES;
    ret_work->unit_cost = (double)(values < BLOCK_VALUES ? values : BLOCK_VALUES);
    return 0;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct prong_buf input;
    int err;

    (void)prong_input(ctx, &input);
    const double *values = input.data;
    size_t count = input.size / sizeof(double);

    for (uint64_t block = lo; block < hi;) {
        size_t from = (size_t)block * BLOCK_VALUES;
        size_t left = count - from;
        struct record record = summed_up(values + from, left < BLOCK_VALUES ? left : BLOCK_VALUES);

        if ((err = prong_write(ctx, &record, sizeof(record))) != 0)
            return err;
        block++;
        if (block % PROGRESS_BLOCKS == 0 && prong_progress(ctx, block - lo, hi - lo) != 0)
            break;
    }
    return 0;
}

static int print_record(struct prong_ctx *ctx, const struct record *record)
{
    const struct {
        const char *name;
        double value;
    } members[] = {
        {"sum", record->sum},
        {"min", record->min},
        {"max", record->max},
        {"mean", record->sum / record->count},
        {"stddev", sqrt(record->squares / record->count)},
    };
    int err = prong_print(ctx, "{\"count\":%.0f", record->count);

    for (size_t i = 0; err == 0 && i < sizeof(members) / sizeof(members[0]); i++)
        if ((err = prong_print(ctx, ",\"%s\":", members[i].name)) == 0)
            err = prong_number(ctx, members[i].value);
    return err != 0 ? err : prong_write(ctx, "}", 1);
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    const double nan = (double)NAN;
    struct record record = {.sum = nan, .min = nan, .max = nan, .squares = nan};

    if (whole.size > 0)
        record = fold(whole.data, whole.size / sizeof(record));
    return print_record(ctx, &record);
}

static const char *selftest(void *state)
{
    double values[37];

    (void)state;
    for (int i = 0; i < 37; i++)
        values[i] = i;
    struct record all = summed_up(values, 37);
    struct record halves = joined(summed_up(values, 20), summed_up(values + 20, 17));

    if (all.sum != 666 || all.min != 0 || all.max != 36 || all.squares != 4218)
        return "The numbers from 0 to 36 are summed up wrongly.";
    if (halves.sum != 666 || halves.max != 36 || fabs(halves.squares - 4218) > 1e-9)
        return "Two halves do not make a whole.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "stats",
    .version = "1",
    .summary = "Count, sum, extremes, mean and population standard deviation of numbers.",
    .example = "values=[1,2,3,4]",
    .media_type = "application/json",
    .takes_raw = 1,
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
    .map = map,
    .finish = finish,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
