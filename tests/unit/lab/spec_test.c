#include "lab/spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static int read_spec(const char *text, struct lab_spec *ret, struct lab_problem *problem)
{
    json_t *body = json_loads(text, 0, NULL);
    int rc;

    assert_non_null(body);
    rc = lab_spec_read(body, ret, problem);
    json_decref(body);
    return rc;
}

static struct lab_spec good(const char *text)
{
    struct lab_problem problem;
    struct lab_spec spec;

    assert_int_equal(read_spec(text, &spec, &problem), 0);
    return spec;
}

static void what_is_not_said_is_usual(void **state)
{
    struct lab_spec spec = good("{\"experiment\":\"cpu\"}");

    (void)state;
    assert_int_equal(spec.experiment, LAB_CPU);
    assert_int_equal(spec.n, 100000000);
    assert_int_equal(spec.workers, 2);
    assert_int_equal(spec.repeat, 3);
    assert_int_equal(spec.modes, lab_modes_of(LAB_CPU));
    assert_false(spec.has_seed);
    assert_int_equal(good("{\"experiment\":\"io\"}").n, 8);
    assert_int_equal(good("{\"experiment\":\"crash\"}").modes,
                     LAB_MODE_BIT(LAB_THREADS) | LAB_MODE_BIT(LAB_PROCESSES));
}

static void what_is_said_counts(void **state)
{
    struct lab_spec spec = good("{\"experiment\":\"race\",\"n\":10000000,\"workers\":16,"
                                "\"repeat\":20,\"modes\":[\"atomic\",\"locked\"],\"seed\":7}");

    (void)state;
    assert_int_equal(spec.experiment, LAB_RACE);
    assert_int_equal(spec.n, 10000000);
    assert_int_equal(spec.workers, LAB_WORKERS_MAX);
    assert_int_equal(spec.repeat, LAB_REPEAT_MAX);
    assert_int_equal(spec.modes, LAB_MODE_BIT(LAB_ATOMIC) | LAB_MODE_BIT(LAB_LOCKED));
    assert_true(spec.has_seed && spec.seed == 7);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *body, *parameter, *says;
    } cases[] = {
        {"[]", NULL, "object"},
        {"{}", "experiment", "cpu, io, race or crash"},
        {"{\"experiment\":\"gpu\"}", "experiment", "cpu"},
        {"{\"experiment\":3}", "experiment", "cpu"},
        {"{\"experiment\":\"cpu\",\"n\":0}", "n", "1000000000"},
        {"{\"experiment\":\"cpu\",\"n\":1000000001}", "n", "1000000000"},
        {"{\"experiment\":\"cpu\",\"n\":1.5}", "n", "integer"},
        {"{\"experiment\":\"io\",\"n\":1001}", "n", "1000"},
        {"{\"experiment\":\"cpu\",\"workers\":17}", "workers", "16"},
        {"{\"experiment\":\"cpu\",\"workers\":\"2\"}", "workers", "16"},
        {"{\"experiment\":\"cpu\",\"repeat\":21}", "repeat", "20"},
        {"{\"experiment\":\"cpu\",\"seed\":-1}", "seed", "2147483647"},
        {"{\"experiment\":\"cpu\",\"modes\":[]}", "modes", "threads+gil"},
        {"{\"experiment\":\"cpu\",\"modes\":\"threads\"}", "modes", "array"},
        {"{\"experiment\":\"cpu\",\"modes\":[\"atomic\"]}", "modes", "python-processes"},
        {"{\"experiment\":\"race\",\"modes\":[\"locked\",\"threads\"]}", "modes", "unlocked"},
        {"{\"experiment\":\"cpu\",\"colour\":1}", "colour", "workers"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lab_problem p;
        struct lab_spec spec;
        assert_int_equal(read_spec(cases[i].body, &spec, &p), -EINVAL);
        if (cases[i].parameter == NULL)
            assert_null(p.parameter);
        assert_non_null(strstr(p.text, cases[i].says));
        assert_int_equal(p.text[strlen(p.text) - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_usual),
        cmocka_unit_test(what_is_said_counts),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
