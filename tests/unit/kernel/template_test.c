#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mock_host.h"

static void check_best(int64_t limit, const char *expected)
{
    struct mock m;

    mock_init(&m);
    mock_int(&m, "limit", limit);
    mock_check_answer(&m, expected);
    mock_release(&m);
}

static void finds_the_known_ones(void **state)
{
    (void)state;
    check_best(2, "{\"number\":1,\"steps\":0}");
    check_best(3, "{\"number\":2,\"steps\":1}");
    check_best(10, "{\"number\":9,\"steps\":19}");
    check_best(100, "{\"number\":97,\"steps\":118}");
    check_best(1000, "{\"number\":871,\"steps\":178}");
    check_best(1025, "{\"number\":871,\"steps\":178}");
    check_best(1000000, "{\"number\":837799,\"steps\":524}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_known_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
