#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "host/ready.h"
#include "kernel/describe.h"

static int map_none(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    (void)ctx, (void)lo, (void)hi;
    return 0;
}

static int plan_none(struct prong_ctx *ctx, struct prong_work *work)
{
    (void)ctx, (void)work;
    return 0;
}

static int combine_none(struct prong_ctx *ctx, struct prong_buf a, struct prong_buf b)
{
    (void)ctx, (void)a, (void)b;
    return 0;
}

static int finish_none(struct prong_ctx *ctx, struct prong_buf a)
{
    (void)ctx, (void)a;
    return 0;
}

static const char *const words[] = {"red", "green", NULL};

static const struct prong_param params[] = {
    PRONG_PARAM_INT("n", INT64_MIN, INT64_MAX, -3, "A number"),
    PRONG_PARAM_REAL("x", -1e300, 0.1, 1e-17, "A \"share\""),
    PRONG_PARAM_TEXT("name", 8, "", "A name"),
    PRONG_PARAM_CHOICE("colour", words, "green", "A colour"),
    PRONG_PARAM_VALUES("values", 100, "Numbers"),
    PRONG_PARAM_JSON("tree", 20, "Anything"),
    {.size = sizeof(struct prong_param),
     .type = PRONG_JSON,
     .name = "list",
     .help = "Has a default",
     .count_max = 1000,
     .text_default = "[1,{\"a\":2}]"},
};

static struct prong_kernel everything(void)
{
    return (struct prong_kernel) {
        .size = sizeof(struct prong_kernel),
        .abi_major = PRONG_ABI_MAJOR,
        .abi_minor = PRONG_ABI_MINOR,
        .flags = PRONG_PURE | PRONG_ASSOCIATIVE | PRONG_PARTIAL_OK,
        .name = "all",
        .version = "2.1",
        .summary = "Has everything: é.",
        .example = "n=1&x=0",
        .media_type = "text/plain; charset=utf-8",
        .takes_raw = 1,
        .params = params,
        .param_count = sizeof(params) / sizeof(params[0]),
        .plan = plan_none,
        .map = map_none,
        .combine = combine_none,
        .finish = finish_none,
    };
}

static struct declared *told(const struct prong_kernel *k)
{
    struct declared *found[DESCRIBE_KERNELS_MAX];
    char *text = ready_text(k);
    uint32_t count = 0;
    struct err err;

    assert_non_null(text);
    if (describe_read(text, strlen(text), found, &count, &err) < 0)
        fail_msg("%s in %s", err.text, text);
    assert_int_equal(count, 1);
    free(text);
    return found[0];
}

static void what_is_told_is_what_there_is(void **state)
{
    struct prong_kernel k = everything();
    struct declared *d = told(&k);

    (void)state;
    assert_string_equal(d->kernel.name, "all");
    assert_string_equal(d->kernel.version, "2.1");
    assert_string_equal(d->kernel.summary, "Has everything: é.");
    assert_string_equal(d->kernel.example, "n=1&x=0");
    assert_string_equal(d->kernel.media_type, "text/plain; charset=utf-8");
    assert_int_equal(d->kernel.flags, k.flags);
    assert_true(d->kernel.takes_raw);
    assert_non_null(d->kernel.plan);
    assert_non_null(d->kernel.combine);
    assert_non_null(d->kernel.finish);
    (void)declared_free(d);
}

static void parameters_are_told_with_bounds_and_defaults(void **state)
{
    struct prong_kernel k = everything();
    struct declared *d = told(&k);
    const struct prong_param *p = d->params;

    (void)state;
    assert_int_equal(d->kernel.param_count, k.param_count);
    for (uint32_t i = 0; i < k.param_count; i++) {
        assert_int_equal(p[i].type, params[i].type);
        assert_string_equal(p[i].name, params[i].name);
        assert_string_equal(p[i].help, params[i].help);
    }
    assert_true(p[0].int_min == INT64_MIN && p[0].int_max == INT64_MAX && p[0].int_default == -3);
    assert_true(p[1].real_min == -1e300 && p[1].real_max == 0.1 && p[1].real_default == 1e-17);
    assert_true(p[2].count_max == 8 && !p[2].required);
    assert_string_equal(p[2].text_default, "");
    assert_string_equal(p[3].choices[1], "green");
    assert_null(p[3].choices[2]);
    assert_string_equal(p[3].text_default, "green");
    assert_int_equal(p[4].count_max, 100);
    assert_true(p[5].required && p[5].count_max == 20);
    assert_false(p[6].required);
    assert_string_equal(p[6].text_default, "[1,{\"a\":2}]");
    (void)declared_free(d);
}

/* Bounds wider than a program may have are narrowed, not refused. */
static void wide_bounds_are_narrowed(void **state)
{
    static const struct prong_param wide[] = {
        PRONG_PARAM_TEXT("text", UINT64_MAX, "", "Long"),
        PRONG_PARAM_VALUES("values", 1ULL << 40, "Many"),
    };
    struct prong_kernel k = everything();
    struct declared *d;

    (void)state;
    k.params = wide;
    k.param_count = 2;
    d = told(&k);
    assert_int_equal(d->params[0].count_max, DECLARED_TEXT_MAX);
    assert_int_equal(d->params[1].count_max, DECLARED_COUNT_MAX);
    (void)declared_free(d);
}

static void little_may_be_said(void **state)
{
    struct prong_kernel k = {.size = sizeof(k), .name = "least", .version = "1", .map = map_none};
    struct declared *d = told(&k);

    (void)state;
    assert_null(d->kernel.plan);
    assert_null(d->kernel.finish);
    assert_int_equal(d->kernel.flags, 0);
    assert_false(d->kernel.takes_raw);
    assert_int_equal(d->kernel.param_count, 0);
    (void)declared_free(d);
}

static void what_is_no_utf8_cannot_be_told(void **state)
{
    struct prong_kernel k = everything();

    (void)state;
    k.summary = "\xff";
    assert_null(ready_text(&k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_is_what_there_is),
        cmocka_unit_test(parameters_are_told_with_bounds_and_defaults),
        cmocka_unit_test(wide_bounds_are_narrowed),
        cmocka_unit_test(little_may_be_said),
        cmocka_unit_test(what_is_no_utf8_cannot_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
