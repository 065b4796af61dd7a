#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

struct answer {
    long long n;
    double trace, frobenius;
};

static struct answer ask(struct mock *m, int64_t n, int64_t seed)
{
    struct answer answer = {0};

    mock_int(m, "n", n);
    mock_int(m, "seed", seed);
    struct mock_bytes text = mock_run(m);

    assert_int_equal(sscanf(text.data, "{\"n\":%lld,\"trace\":%lf,\"frobenius\":%lf}", &answer.n,
                            &answer.trace, &answer.frobenius),
                     3);
    free(text.data);
    return answer;
}

/* Elements are uniform in [-1, 1), of variance 1/3, so those of the product have n/9. */
static void the_product_is_as_large_as_it_should_be(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    for (int64_t n = 150; n < 400; n += 23) {
        struct answer a = ask(&m, n, n);

        assert_int_equal(a.n, n);
        assert_true(fabs(a.frobenius / ((double)n * sqrt((double)n / 9)) - 1) < 0.02);
        assert_true(fabs(a.trace) < 5 * (double)n / 3);
    }
    mock_release(&m);
}

static void the_smallest_product_is_one_number(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    struct answer a = ask(&m, 1, 3);

    assert_true(a.trace != 0 && fabs(a.trace) == a.frobenius);
    mock_release(&m);
}

/* A worker that has multiplied others before must answer as one that has not. */
static void what_was_kept_does_not_matter(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    struct answer first = ask(&m, 64, 1);
    struct answer seed = ask(&m, 64, 2);

    (void)ask(&m, 65, 1);
    struct answer again = ask(&m, 64, 1);

    assert_true(first.trace != seed.trace);
    assert_true(first.trace == again.trace && first.frobenius == again.frobenius);
    mock_release(&m);
}

/* As version "1" promises. */
static void the_default_answer_stays(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_check_answer(&m,
                      "{\"n\":256,\"trace\":11.186892882763189,\"frobenius\":1362.437466377132}");
    mock_release(&m);
}

static void splits_agree(void **state)
{
    static const int64_t sizes[] = {1, 2, 4, 5, 15, 16, 17, 33, 100, 255, 301, 512};
    struct mock m;

    (void)state;
    mock_init(&m);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        mock_int(&m, "n", sizes[i]);
        mock_check_splits(&m, 10);
    }
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_product_is_as_large_as_it_should_be),
        cmocka_unit_test(the_smallest_product_is_one_number),
        cmocka_unit_test(what_was_kept_does_not_matter),
        cmocka_unit_test(the_default_answer_stays),
        cmocka_unit_test(splits_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
