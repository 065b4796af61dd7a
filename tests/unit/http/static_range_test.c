#include "http/static_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

/* A case: what is asked of how many bytes, and what comes. */
struct ask {
    const char *text;
    uint64_t total;
    enum static_range_kind kind;
    uint64_t first, bytes;
};

static void check(const struct ask *asks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct static_range range = {.first = 77, .bytes = 78};
        enum static_range_kind kind = static_range_parse(asks[i].text, asks[i].total, &range);
        bool is_part = asks[i].kind == STATIC_RANGE_PART;
        if (kind != asks[i].kind || range.first != (is_part ? asks[i].first : 77) ||
            range.bytes != (is_part ? asks[i].bytes : 78))
            fail_msg("'%s' of %llu: kind %d, %llu bytes from %llu", asks[i].text,
                     (unsigned long long)asks[i].total, (int)kind, (unsigned long long)range.bytes,
                     (unsigned long long)range.first);
    }
}

static void one_range_is_a_part(void **state)
{
    static const struct ask asks[] = {
        {"bytes=0-0", 10, STATIC_RANGE_PART, 0, 1},
        {"bytes=2-5", 10, STATIC_RANGE_PART, 2, 4},
        {"bytes=9-9", 10, STATIC_RANGE_PART, 9, 1},
        {"bytes=0-9", 10, STATIC_RANGE_PART, 0, 10},
        {"bytes=5-", 10, STATIC_RANGE_PART, 5, 5},
        {"bytes=0-", 10, STATIC_RANGE_PART, 0, 10},
        {"bytes=5-10", 10, STATIC_RANGE_PART, 5, 5},
        {"bytes=-1", 10, STATIC_RANGE_PART, 9, 1},
        {"bytes=-10", 10, STATIC_RANGE_PART, 0, 10},
        {"bytes=-11", 10, STATIC_RANGE_PART, 0, 10},
        {"BYTES=1-2", 10, STATIC_RANGE_PART, 1, 2},
        {"bytes=,, 1-2 ,", 10, STATIC_RANGE_PART, 1, 2},
        {"bytes=007-8", 10, STATIC_RANGE_PART, 7, 2},
        {"bytes=5000000000-5000000001", 6000000000, STATIC_RANGE_PART, 5000000000, 2},
    };

    (void)state;
    check(asks, ARRAY_SIZE(asks));
}

static void numbers_beyond_all_bounds_are_beyond_the_file(void **state)
{
    static const struct ask asks[] = {
        {"bytes=1-18446744073709551615", 10, STATIC_RANGE_PART, 1, 9},
        {"bytes=1-18446744073709551616", 10, STATIC_RANGE_PART, 1, 9},
        {"bytes=1-99999999999999999999999999", 10, STATIC_RANGE_PART, 1, 9},
        {"bytes=-99999999999999999999999999", 10, STATIC_RANGE_PART, 0, 10},
        {"bytes=18446744073709551616-", 10, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 10, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=99999999999999999999999999-", 10, STATIC_RANGE_OUTSIDE, 0, 0},
    };

    (void)state;
    check(asks, ARRAY_SIZE(asks));
}

static void what_is_not_there_is_outside(void **state)
{
    static const struct ask asks[] = {
        {"bytes=10-", 10, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=10-20", 10, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=-0", 10, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=0-", 0, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=0-0", 0, STATIC_RANGE_OUTSIDE, 0, 0},
        {"bytes=-0", 0, STATIC_RANGE_OUTSIDE, 0, 0},
    };

    (void)state;
    check(asks, ARRAY_SIZE(asks));
}

static void all_else_is_the_whole(void **state)
{
    static const char *const texts[] = {"",
                                        "bytes",
                                        "bytes=",
                                        "bytes=-",
                                        "bytes=a-b",
                                        "bytes=5-2",
                                        "bytes=1",
                                        "bytes=1-2-3",
                                        "bytes=1-2 3",
                                        "bytes 1-2",
                                        "lines=1-2",
                                        "bytes=+1-2",
                                        "bytes=0x1-2",
                                        "bytes=1 - 2",
                                        "bytes=1- 2",
                                        "bytes=--1",
                                        "bytes =1-2",
                                        "bytes=1-2;",
                                        "bytes=0-0,2-2",
                                        "bytes=0-0, -1",
                                        "bytes=0-0,x",
                                        "bytes=10-,0-0",
                                        "bytes=1.5-2",
                                        "0-1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const struct ask ask = {texts[i], 10, STATIC_RANGE_WHOLE, 0, 0};
        check(&ask, 1);
    }
    check(&(struct ask) {"bytes=-5", 0, STATIC_RANGE_WHOLE, 0, 0}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_is_a_part),
        cmocka_unit_test(numbers_beyond_all_bounds_are_beyond_the_file),
        cmocka_unit_test(what_is_not_there_is_outside),
        cmocka_unit_test(all_else_is_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
