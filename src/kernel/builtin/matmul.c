#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "prong/kernel.h"

/*
 * C = A B for two square matrices made from a seed. Every element of C is added up in the order of k,
 * one multiplication and one addition at a time, in whatever group of rows it is computed, so the
 * rows can be shared out at will. B is wanted whole by every worker, so it is kept from one call to
 * the next.
 */

enum { PARAM_N, PARAM_SEED };

#define N_MAX         2048
#define SEED_MAX      9007199254740991ll /* what JSON's numbers hold exactly */
#define TILE_ROWS     4u
#define TILE_COLUMNS  16u
#define GROUP_UNITS   4u  /* units that go through B together, so that it is read less often */
#define PROGRESS_COST 4e6 /* multiplications: half a millisecond */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

static const struct prong_param params[] = {
    [PARAM_N] = PRONG_PARAM_INT("n", 1, N_MAX, 256, "Rows and columns of either matrix"),
    [PARAM_SEED] = PRONG_PARAM_INT("seed", 0, SEED_MAX, 1, "Another seed, other matrices"),
};

struct row {
    double diagonal; /* what the row gives to the trace */
    double squares;
};

/* The right-hand matrix in panels of TILE_COLUMNS columns, one row after the other in each; the last
 * panel is filled up with zeros. */
static struct {
    size_t n;
    uint64_t seed;
    double *panels;
} right;

/* The left-hand rows of a group: tiles of TILE_ROWS rows, one column after the other in each. */
static double left[GROUP_UNITS][N_MAX * TILE_ROWS] __attribute__((aligned(64)));

struct group {
    size_t n;
    size_t units;
    size_t first_row;
    struct row rows[GROUP_UNITS * TILE_ROWS];
};

static uint32_t key_of(uint64_t seed, unsigned matrix)
{
    uint64_t z = (2 * seed + matrix + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

/* A number in [-1, 1) that depends on nothing but the key and the element's index. */
static inline double element(uint32_t key, uint32_t index)
{
    uint32_t x = index * 0x9e3779b9u + key;

    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    x ^= x >> 16;
    return (double)(int32_t)x * 0x1p-31;
}

/* Padding is set too, but never looked at: an element of C depends on one column of B. */
VECTOR_CLONES static void make_panel(double *panel, size_t n, size_t column, uint32_t key)
{
    for (size_t k = 0; k < n; k++)
        for (size_t j = 0; j < TILE_COLUMNS; j++)
            panel[k * TILE_COLUMNS + j] = element(key, (uint32_t)(k * N_MAX + column + j));
}

static int make_right(size_t n, uint64_t seed)
{
    size_t count = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;

    if (right.panels != NULL && right.n == n && right.seed == seed)
        return 0;
    free(right.panels);
    right.panels = aligned_alloc(64, count * TILE_COLUMNS * n * sizeof(double));
    if (right.panels == NULL)
        return -1;
    for (size_t i = 0; i < count; i++)
        make_panel(right.panels + i * TILE_COLUMNS * n, n, i * TILE_COLUMNS, key_of(seed, 1));
    right.n = n;
    right.seed = seed;
    return 0;
}

static void make_left(const struct group *g, uint64_t seed)
{
    uint32_t key = key_of(seed, 0);

    for (size_t unit = 0; unit < g->units; unit++)
        for (size_t k = 0; k < g->n; k++)
            for (size_t i = 0; i < TILE_ROWS; i++)
                left[unit][k * TILE_ROWS + i] =
                    element(key, (uint32_t)((g->first_row + unit * TILE_ROWS + i) * N_MAX + k));
}

VECTOR_CLONES static void multiply_tile(const double *restrict a, const double *restrict b,
                                        size_t n, double c[restrict TILE_ROWS][TILE_COLUMNS])
{
    double sums[TILE_ROWS][TILE_COLUMNS] = {{0}};

    for (size_t k = 0; k < n; k++) {
#pragma GCC unroll 4
        for (size_t i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 16
            for (size_t j = 0; j < TILE_COLUMNS; j++)
                sums[i][j] += a[k * TILE_ROWS + i] * b[k * TILE_COLUMNS + j];
    }
    memcpy(c, sums, sizeof(sums));
}

static void note_tile(struct group *g, size_t unit, size_t column,
                      double c[TILE_ROWS][TILE_COLUMNS])
{
    size_t columns = g->n - column < TILE_COLUMNS ? g->n - column : TILE_COLUMNS;

    for (size_t i = 0; i < TILE_ROWS; i++) {
        struct row *row = &g->rows[unit * TILE_ROWS + i];
        size_t diagonal = g->first_row + unit * TILE_ROWS + i - column;

        for (size_t j = 0; j < columns; j++)
            row->squares += c[i][j] * c[i][j];
        if (diagonal < columns)
            row->diagonal = c[i][diagonal];
    }
}

static void multiply_panel(struct group *g, size_t panel)
{
    double c[TILE_ROWS][TILE_COLUMNS];

    for (size_t unit = 0; unit < g->units; unit++) {
        multiply_tile(left[unit], right.panels + panel * TILE_COLUMNS * g->n, g->n, c);
        note_tile(g, unit, panel * TILE_COLUMNS, c);
    }
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    size_t n = (size_t)prong_int(ctx, PARAM_N);

    ret_work->units = (n + TILE_ROWS - 1) / TILE_ROWS;
    ret_work->unit_cost = (double)TILE_ROWS * (double)n * (double)n;
    return 0;
}

static int write_rows(struct prong_ctx *ctx, const struct group *g)
{
    size_t rows = g->units * TILE_ROWS;

    if (rows > g->n - g->first_row)
        rows = g->n - g->first_row;
    return prong_write(ctx, g->rows, rows * sizeof(g->rows[0]));
}

/* Nonzero when it was told to stop halfway; the group is then as good as not begun. */
static int multiply_group(struct prong_ctx *ctx, struct group *g, uint64_t done, uint64_t total)
{
    static double cost; /* since the last progress, which may be groups ago */

    for (size_t panel = 0; panel * TILE_COLUMNS < g->n; panel++) {
        multiply_panel(g, panel);
        cost += (double)(g->units * TILE_ROWS * TILE_COLUMNS * g->n);
        if (cost < PROGRESS_COST)
            continue;
        cost = 0;
        if (prong_progress(ctx, done, total) != 0)
            return 1;
    }
    return 0;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    size_t n = (size_t)prong_int(ctx, PARAM_N);
    uint64_t seed = (uint64_t)prong_int(ctx, PARAM_SEED);
    int err = 0;

    if (make_right(n, seed) != 0)
        return prong_fail(ctx, "There is no memory for a matrix of %zu rows.", n);
    for (uint64_t unit = lo; err == 0 && unit < hi;) {
        struct group g = {.n = n, .first_row = (size_t)unit * TILE_ROWS};

        g.units = hi - unit < GROUP_UNITS ? (size_t)(hi - unit) : GROUP_UNITS;
        make_left(&g, seed);
        if (multiply_group(ctx, &g, unit - lo, hi - lo) != 0)
            break;
        err = write_rows(ctx, &g);
        unit += g.units;
    }
    return err;
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    double trace = 0, squares = 0;
    int err;

    for (size_t at = 0; at + sizeof(struct row) <= whole.size; at += sizeof(struct row)) {
        struct row row;

        memcpy(&row, (const char *)whole.data + at, sizeof(row));
        trace += row.diagonal;
        squares += row.squares;
    }
    if ((err = prong_print(ctx, "{\"n\":%lld,\"trace\":", (long long)prong_int(ctx, PARAM_N))) !=
            0 ||
        (err = prong_number(ctx, trace)) != 0 ||
        (err = prong_write(ctx, ",\"frobenius\":", 13)) != 0 ||
        (err = prong_number(ctx, sqrt(squares))) != 0)
        return err;
    return prong_write(ctx, "}", 1);
}

/* The tiled product of 5 by 5 matrices against the schoolbook's. */
static const char *selftest(void *state)
{
    struct group g = {.n = 5, .units = 2};

    (void)state;
    if (make_right(g.n, 1) != 0)
        return "There is no memory for a matrix of 5 rows.";
    make_left(&g, 1);
    multiply_panel(&g, 0);
    for (uint32_t i = 0; i < 5; i++) {
        double squares = 0;

        for (uint32_t j = 0; j < 5; j++) {
            double c = 0;

            for (uint32_t k = 0; k < 5; k++)
                c += element(key_of(1, 0), i * N_MAX + k) * element(key_of(1, 1), k * N_MAX + j);
            squares += c * c;
            if (i == j && c != g.rows[i].diagonal)
                return "The diagonal of a product of 5 by 5 matrices is wrong.";
        }
        if (squares != g.rows[i].squares)
            return "A row of a product of 5 by 5 matrices is wrong.";
    }
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "matmul",
    .version = "1",
    .summary = "Multiplies two square matrices made from a seed.",
    .example = "n=256",
    .media_type = "application/json",
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
