#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

#define SIMPLE_MAX 300000

static void check_count(struct mock *m, int64_t limit, int64_t count)
{
    char expected[80];

    mock_int(m, "limit", limit);
    (void)snprintf(expected, sizeof(expected), "{\"count\":%lld,\"limit\":%lld}", (long long)count,
                   (long long)limit);
    struct mock_bytes answer = mock_run(m);

    assert_string_equal(answer.data, expected);
    free(answer.data);
}

static void counts_known_numbers_of_primes(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    check_count(&m, 10000000, 664579);
    check_count(&m, 100000000, 5761455);
    mock_release(&m);
}

/* Every limit of the first thousand, and some of the following. */
static void agrees_with_a_simple_sieve(void **state)
{
    static char composite[SIMPLE_MAX];
    struct mock m;
    int64_t count = 0;

    (void)state;
    mock_init(&m);
    for (int64_t p = 2; p * p < SIMPLE_MAX; p++)
        for (int64_t n = p * p; n < SIMPLE_MAX; n += p)
            composite[n] = 1;
    for (int64_t n = 0; n < SIMPLE_MAX; n++) {
        count += n >= 2 && !composite[n];
        if (n < 1000 || n % 997 == 0)
            check_count(&m, n, count);
    }
    mock_release(&m);
}

static void splits_agree(void **state)
{
    static const int64_t limits[] = {10000000, 67108864, 67240001, 983040, 983039, 983041};
    struct mock m;

    (void)state;
    mock_init(&m);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        mock_int(&m, "limit", limits[i]);
        mock_check_splits(&m, 20);
    }
    mock_release(&m);
}

/* The number is primesieve's, for 99990896640 to 10^11. */
static void counts_at_the_top(void **state)
{
    struct mock m;
    struct mock_bytes part;
    uint64_t count;

    (void)state;
    mock_init(&m);
    mock_int(&m, "limit", 100000000000);
    struct prong_work work = mock_plan(&m);

    assert_int_equal(work.units, 101726);
    assert_int_equal(mock_map(&m, work.units - 10, work.units, MOCK_NO_CUT, &part), work.units);
    assert_int_equal(part.size, sizeof(count));
    memcpy(&count, part.data, sizeof(count));
    assert_int_equal(count, 359487);
    free(part.data);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_known_numbers_of_primes),
        cmocka_unit_test(agrees_with_a_simple_sieve),
        cmocka_unit_test(splits_agree),
        cmocka_unit_test(counts_at_the_top),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
