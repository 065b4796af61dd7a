#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

struct answer {
    double pi;
    long long samples;
    long long inside;
};

static struct answer ask(struct mock *m, int64_t samples, int64_t seed)
{
    struct answer answer = {0};

    mock_int(m, "samples", samples);
    mock_int(m, "seed", seed);
    struct mock_bytes text = mock_run(m);
    int read = sscanf(text.data, "{\"pi\":%lf,\"samples\":%lld,\"inside\":%lld}", &answer.pi,
                      &answer.samples, &answer.inside);

    assert_int_equal(read, 3);
    assert_int_equal(answer.samples, samples);
    free(text.data);
    return answer;
}

static void comes_near_pi(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    for (int64_t seed = 0; seed < 20; seed++) {
        struct answer a = ask(&m, 4000000, seed);

        assert_true(fabs(a.pi - M_PI) < 5 * 1.642 / 2000);
        assert_true(fabs(a.pi - 4.0 * (double)a.inside / (double)a.samples) < 1e-15);
    }
    mock_release(&m);
}

/* The spread over seeds is that of independent points: variance pi/4 (1 - pi/4) of one sample. */
static void is_as_random_as_it_should_be(void **state)
{
    const int64_t samples = 131072 + 77;
    const int seeds = 400;
    double spread = 0;
    struct mock m;

    (void)state;
    mock_init(&m);
    for (int seed = 0; seed < seeds; seed++) {
        double off = (double)ask(&m, samples, seed).inside - M_PI / 4 * (double)samples;

        spread += off * off / ((double)samples * M_PI / 4 * (1 - M_PI / 4));
    }
    assert_true(fabs(spread / seeds - 1) < 0.3);
    mock_release(&m);
}

static void seeds_differ_and_samples_nest(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    assert_int_not_equal(ask(&m, 1000000, 1).inside, ask(&m, 1000000, 2).inside);
    for (int64_t n = 131060; n < 131090; n++) {
        long long more = ask(&m, n + 1, 7).inside - ask(&m, n, 7).inside;

        assert_in_range(more, 0, 1);
    }
    mock_release(&m);
}

/* As version "1" promises: the same seed gives the same points on every machine. */
static void the_default_answer_stays(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_check_answer(&m, "{\"pi\":3.1420804,\"samples\":10000000,\"inside\":7855201}");
    mock_release(&m);
}

static void splits_agree(void **state)
{
    static const int64_t samples[] = {1, 131071, 131072, 131073, 5000000};
    struct mock m;

    (void)state;
    mock_init(&m);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        mock_int(&m, "samples", samples[i]);
        mock_check_splits(&m, 30);
    }
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_near_pi),
        cmocka_unit_test(is_as_random_as_it_should_be),
        cmocka_unit_test(seeds_differ_and_samples_nest),
        cmocka_unit_test(the_default_answer_stays),
        cmocka_unit_test(splits_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
