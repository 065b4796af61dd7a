#include <math.h>
#include <string.h>

#include "prong/kernel.h"

/*
 * A segmented sieve of Eratosthenes. A byte stands for 30 numbers, a bit for one of the 8 of them
 * that 2, 3 and 5 do not divide. Multiples of the primes up to 163 come ready-made from patterns that
 * repeat; those of the smaller ones above are crossed off block by block while the block is in the
 * first-level cache, those of the larger ones over a batch of blocks that fits the second.
 */

enum { PARAM_LIMIT };

#define LIMIT_MAX       100000000000ll /* 10^11 */
#define ROOT_MAX        316228u        /* no smaller than its square root */
#define PRIMES_MAX      27293u         /* primes up to ROOT_MAX */
#define WHEEL           8u             /* numbers below 30 that 2, 3 and 5 do not divide */
#define BLOCK_BYTES     32768u
#define UNIT_NUMBERS    (30ull * BLOCK_BYTES)
#define BATCH_UNITS     8u
#define SMALL_PRIME_MAX 4096u /* above, too few multiples fall in one block */

#define PATTERNS           16u
#define PATTERN_PRIMES     3u
#define PATTERN_PRIME_MAX  163u
#define PATTERN_PERIOD_MAX 10001u
#define PATTERN_CHUNK      2048u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

static const struct prong_param params[] = {
    [PARAM_LIMIT] = PRONG_PARAM_INT("limit", 0, LIMIT_MAX, 10000000, "The largest number to test"),
};

/* The numbers that the bits of a byte stand for, the first of the next byte, and the way back. */
static const uint8_t wheel[WHEEL + 1] = {1, 7, 11, 13, 17, 19, 23, 29, 31};
static const uint8_t bit_of[30] = {
    [1] = 0, [7] = 1, [11] = 2, [13] = 3, [17] = 4, [19] = 5, [23] = 6, [29] = 7};

/* Grouped so that the periods, whose bytes are the product, are small together. */
static const uint8_t pattern_primes[PATTERNS][PATTERN_PRIMES] = {
    {7, 23, 37}, {11, 19, 31}, {13, 17, 29}, {41, 163}, {43, 157}, {47, 151}, {53, 149}, {59, 139},
    {61, 137},   {67, 131},    {71, 127},    {73, 113}, {79, 109}, {83, 107}, {89, 103}, {97, 101},
};

struct pattern {
    uint32_t period;
    uint8_t bytes[PATTERN_PERIOD_MAX + PATTERN_CHUNK]; /* goes on, so that no chunk wraps */
};

/* Made once in the zygote, read by all workers. The primes are those above PATTERN_PRIME_MAX by
 * their residue mod 30, since a residue's multiples fall on the same bits: of wheel[i] from
 * classes[i] to classes[i + 1], ascending. */
static struct {
    struct pattern patterns[PATTERNS];
    uint32_t primes[PRIMES_MAX];
    uint32_t classes[WHEEL + 1];
} tables;

/* A prime's next multiple: its byte, counted from where sieving goes on, and which it is of the 8 in
 * a turn. A turn is 30 times the prime: as many bytes as the prime. */
struct crossing {
    uint32_t prime;
    uint32_t byte;
    uint32_t step;
};

/* The worker's own: it runs one task at a time. */
static struct crossing crossings[PRIMES_MAX];
static uint8_t sieve[BATCH_UNITS * BLOCK_BYTES] __attribute__((aligned(64)));

struct span {
    struct crossing *small, *large, *end;
};

struct sieving {
    uint64_t limit;
    uint64_t unit; /* the next to be sieved */
    struct span classes[WHEEL];
};

static inline uint8_t bit(unsigned number)
{
    return (uint8_t)(1u << bit_of[number % 30]);
}

/* `residue` is a constant wherever this is inlined, which makes the masks and half of the offsets
 * constants: whole turns, which are most of the work, are 8 instructions on memory. */
static inline __attribute__((always_inline)) void cross_off(struct crossing *c, uint8_t *bytes,
                                                            uint32_t size, const uint32_t residue)
{
    const uint32_t q = c->prime / 30;
    uint32_t at = c->byte;
    uint32_t step = c->step;

#define BYTE(j)      (q * (wheel[j] - 1u) + residue * wheel[j] / 30)
#define CROSS(j, to) bytes[to] &= (uint8_t)~bit(residue * wheel[j])
#define NEXT(j)      (BYTE((j) + 1) - BYTE(j))
    for (; at < size && step != 0; step = (step + 1) % WHEEL) {
        CROSS(step, at);
        at += NEXT(step);
    }
    for (; at + BYTE(WHEEL - 1) < size; at += c->prime) {
        CROSS(0, at);
        CROSS(1, at + BYTE(1));
        CROSS(2, at + BYTE(2));
        CROSS(3, at + BYTE(3));
        CROSS(4, at + BYTE(4));
        CROSS(5, at + BYTE(5));
        CROSS(6, at + BYTE(6));
        CROSS(7, at + BYTE(7));
    }
    for (; at < size; step = (step + 1) % WHEEL) {
        CROSS(step, at);
        at += NEXT(step);
    }
#undef BYTE
#undef CROSS
#undef NEXT
    c->byte = at - size;
    c->step = step;
}

#define CROSSER(residue)                                                                           \
    static void cross_off_##residue(struct crossing *from, struct crossing *to, uint8_t *bytes,    \
                                    uint32_t size)                                                 \
    {                                                                                              \
        for (; from < to; from++)                                                                  \
            cross_off(from, bytes, size, residue);                                                 \
    }

CROSSER(1)
CROSSER(7)
CROSSER(11)
CROSSER(13)
CROSSER(17)
CROSSER(19)
CROSSER(23)
CROSSER(29)

static void (*const crossers[WHEEL])(struct crossing *, struct crossing *, uint8_t *, uint32_t) = {
    cross_off_1,  cross_off_7,  cross_off_11, cross_off_13,
    cross_off_17, cross_off_19, cross_off_23, cross_off_29,
};

VECTOR_CLONES static void and_patterns(uint8_t *restrict chunk, const uint8_t *const *from)
{
    const uint8_t *a = from[0], *b = from[1], *c = from[2], *d = from[3];

    for (unsigned i = 0; i < PATTERN_CHUNK; i++)
        chunk[i] = (uint8_t)(chunk[i] & a[i] & b[i] & c[i] & d[i]);
}

static void lay_patterns(uint8_t *block, uint32_t size, uint64_t first_byte)
{
    const uint8_t *from[PATTERNS];

    memset(block, 0xff, size);
    for (uint32_t at = 0; at < size; at += PATTERN_CHUNK) {
        for (unsigned i = 0; i < PATTERNS; i++)
            from[i] = tables.patterns[i].bytes + (first_byte + at) % tables.patterns[i].period;
        for (unsigned i = 0; i < PATTERNS; i += 4)
            and_patterns(block + at, from + i);
    }
}

/* The patterns cross off their own primes too, and nothing crosses off 1. */
static void mend_first_bytes(uint8_t *bytes)
{
    bytes[0] &= (uint8_t)~bit(1);
    for (unsigned i = 0; i < PATTERNS; i++)
        for (unsigned j = 0; j < PATTERN_PRIMES && pattern_primes[i][j] > 0; j++)
            bytes[pattern_primes[i][j] / 30] |= bit(pattern_primes[i][j]);
}

static void forget_above(uint64_t limit, uint64_t first_byte, uint32_t size)
{
    uint64_t last = limit / 30 - first_byte;

    if (last >= size)
        return;
    memset(sieve + last + 1, 0, size - last - 1);
    for (unsigned i = 0; i < WHEEL; i++)
        if (limit % 30 < wheel[i])
            sieve[last] &= (uint8_t)~bit(wheel[i]);
}

VECTOR_CLONES static uint64_t count_bits(uint32_t size)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t bits;

        memcpy(&bits, sieve + i, sizeof(bits));
        count += (uint64_t)__builtin_popcountll(bits);
    }
    return count;
}

static void set_crossing(struct crossing *c, uint32_t prime, uint64_t first)
{
    uint64_t factor = (first + prime - 1) / prime;

    if (factor < prime)
        factor = prime; /* smaller multiples have a smaller factor, which crosses them off */
    uint32_t step = 0;

    while (wheel[step] < factor % 30)
        step++;
    factor += wheel[step] - factor % 30;
    *c = (struct crossing) {
        .prime = prime, .byte = (uint32_t)((prime * factor - first) / 30), .step = step};
}

/* Primes whose square lies in the units before `end_unit` are needed, and no others. */
static void start(struct sieving *s, uint64_t limit, uint64_t unit, uint64_t end_unit)
{
    uint64_t end = end_unit * UNIT_NUMBERS < limit ? end_unit * UNIT_NUMBERS : limit;
    struct crossing *c = crossings;

    s->limit = limit;
    s->unit = unit;
    for (unsigned i = 0; i < WHEEL; i++) {
        const uint32_t *prime = tables.primes + tables.classes[i];
        const uint32_t *last = tables.primes + tables.classes[i + 1];

        s->classes[i].small = c;
        for (; prime < last && *prime <= SMALL_PRIME_MAX && (uint64_t)*prime * *prime <= end;
             prime++)
            set_crossing(c++, *prime, unit * UNIT_NUMBERS);
        s->classes[i].large = c;
        for (; prime < last && (uint64_t)*prime * *prime <= end; prime++)
            set_crossing(c++, *prime, unit * UNIT_NUMBERS);
        s->classes[i].end = c;
    }
}

/* Whole chunks of patterns, but little beyond the limit: a small one should cost little. */
static uint32_t bytes_to_sieve(const struct sieving *s, uint32_t units)
{
    uint64_t left = s->limit / 30 - s->unit * BLOCK_BYTES + 1;
    uint64_t chunks = (left + PATTERN_CHUNK - 1) / PATTERN_CHUNK;

    if (chunks > (uint64_t)units * (BLOCK_BYTES / PATTERN_CHUNK))
        return units * BLOCK_BYTES;
    return (uint32_t)chunks * PATTERN_CHUNK;
}

/* Counts the primes of the next units, but not 2, 3 and 5, which have no bits. */
static uint64_t count_next(struct sieving *s, uint32_t units)
{
    uint64_t first_byte = s->unit * BLOCK_BYTES;
    uint32_t size = bytes_to_sieve(s, units);

    for (uint32_t at = 0; at < size; at += BLOCK_BYTES) {
        uint32_t block_size = size - at < BLOCK_BYTES ? size - at : BLOCK_BYTES;

        lay_patterns(sieve + at, block_size, first_byte + at);
        for (unsigned i = 0; i < WHEEL; i++)
            crossers[i](s->classes[i].small, s->classes[i].large, sieve + at, block_size);
    }
    for (unsigned i = 0; i < WHEEL; i++)
        crossers[i](s->classes[i].large, s->classes[i].end, sieve, size);
    if (s->unit == 0)
        mend_first_bytes(sieve);
    forget_above(s->limit, first_byte, size);
    s->unit += units;
    return count_bits(size);
}

static void make_pattern(struct pattern *pattern, const uint8_t primes[static PATTERN_PRIMES])
{
    pattern->period = 1;
    for (unsigned j = 0; j < PATTERN_PRIMES && primes[j] > 0; j++)
        pattern->period *= primes[j];
    memset(pattern->bytes, 0xff, sizeof(pattern->bytes));
    for (unsigned j = 0; j < PATTERN_PRIMES && primes[j] > 0; j++)
        for (uint32_t n = primes[j]; n < 30 * (pattern->period + PATTERN_CHUNK);
             n += 2u * primes[j])
            if (n % 3 != 0 && n % 5 != 0)
                pattern->bytes[n / 30] &= (uint8_t)~bit(n);
}

static void make_primes(void)
{
    static uint8_t composite[ROOT_MAX + 1];
    uint32_t count = 0;

    for (uint32_t p = 3; p * p <= ROOT_MAX; p += 2)
        for (uint32_t n = p * p; composite[p] == 0 && n <= ROOT_MAX; n += 2 * p)
            composite[n] = 1;
    for (unsigned i = 0; i < WHEEL; i++) {
        tables.classes[i] = count;
        for (uint32_t p = 150u + wheel[i]; p <= ROOT_MAX; p += 30)
            if (p > PATTERN_PRIME_MAX && composite[p] == 0)
                tables.primes[count++] = p;
    }
    tables.classes[WHEEL] = count;
}

static int init(const struct prong_host *host, void **ret_state)
{
    (void)host;
    *ret_state = NULL; /* the tables are static: nothing is made per host */
    for (unsigned i = 0; i < PATTERNS; i++)
        make_pattern(&tables.patterns[i], pattern_primes[i]);
    make_primes();
    return 0;
}

/* What a number costs grows with the digits of the limit; measured, this is near from 10^7 up. */
static double number_cost(uint64_t limit)
{
    return limit < 3000000 ? 1.0 : log10((double)limit) - 5.4;
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    uint64_t limit = (uint64_t)prong_int(ctx, PARAM_LIMIT);
    uint64_t numbers = limit < UNIT_NUMBERS ? limit + 1 : UNIT_NUMBERS;

    ret_work->units = limit / UNIT_NUMBERS + 1;
    ret_work->unit_cost = (double)numbers * number_cost(limit);
    return 0;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct sieving sieving;
    uint64_t count = 0;

    start(&sieving, (uint64_t)prong_int(ctx, PARAM_LIMIT), lo, hi);
    while (sieving.unit < hi) {
        uint64_t left = hi - sieving.unit;

        count += count_next(&sieving, left < BATCH_UNITS ? (uint32_t)left : BATCH_UNITS);
        if (prong_progress(ctx, sieving.unit - lo, hi - lo) != 0)
            break;
    }
    return prong_write(ctx, &count, sizeof(count));
}

static uint64_t read_count(struct prong_buf part)
{
    uint64_t count = 0;

    if (part.size == sizeof(count))
        memcpy(&count, part.data, sizeof(count));
    return count;
}

static int combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    uint64_t count = read_count(left) + read_count(right);

    return prong_write(ctx, &count, sizeof(count));
}

static uint64_t primes_of_30(uint64_t limit)
{
    return (uint64_t)(limit >= 2) + (uint64_t)(limit >= 3) + (uint64_t)(limit >= 5);
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    uint64_t limit = (uint64_t)prong_int(ctx, PARAM_LIMIT);

    return prong_print(ctx, "{\"count\":%llu,\"limit\":%llu}",
                       (unsigned long long)(read_count(whole) + primes_of_30(limit)),
                       (unsigned long long)limit);
}

static const char *selftest(void *state)
{
    struct sieving sieving;

    (void)state;
    start(&sieving, 100000, 0, 1);
    if (count_next(&sieving, 1) + primes_of_30(100000) != 9592)
        return "There are 9592 primes up to 100000, but the sieve finds another number of them.";
    start(&sieving, LIMIT_MAX, 101725, 101726);
    if (count_next(&sieving, 1) != 10105)
        return "The sieve miscounts the primes just below 10^11.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE,
    .name = "primes",
    .version = "1",
    .summary = "Counts the primes up to a limit, by a segmented sieve of Eratosthenes.",
    .example = "limit=10000000",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .init = init,
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
