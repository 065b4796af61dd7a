#include "lab/found.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "lab/background.h"

static const char answer[] = "{\"wall_s\":0.5,\"cpu_s\":1,\"result\":499999999500000000,"
                             "\"expected\":499999999500000000,\"switches\":3,\"note\":\"So.\","
                             "\"lanes\":[{\"lane\":0,\"spans\":[[0,0.5]]}]}";

static int read_text(const char *text, struct lab_found *ret)
{
    return lab_found_read(text, strlen(text), ret);
}

static void a_good_answer_is_read_exactly(void **state)
{
    struct lab_found found;

    (void)state;
    assert_int_equal(read_text(answer, &found), 0);
    assert_int_equal(found.result, 499999999500000000);
    assert_int_equal(found.switches, 3);
    assert_true(found.wall_s > 0.49 && found.wall_s < 0.51);
    assert_string_equal(found.note, "So.");
    assert_int_equal(json_array_size(found.lanes), 1);
    json_decref(found.root);
}

static void anything_else_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"wall_s\":-1,\"cpu_s\":1,\"result\":1,\"expected\":1,\"switches\":0,\"note\":\"\","
        "\"lanes\":[]}",
        "{\"wall_s\":1,\"cpu_s\":\"1\",\"result\":1,\"expected\":1,\"switches\":0,\"note\":\"\","
        "\"lanes\":[]}",
        "{\"wall_s\":1,\"cpu_s\":1,\"result\":1.5,\"expected\":1,\"switches\":0,\"note\":\"\","
        "\"lanes\":[]}",
        "{\"wall_s\":1,\"cpu_s\":1,\"result\":-1,\"expected\":1,\"switches\":0,\"note\":\"\","
        "\"lanes\":[]}",
        "{\"wall_s\":1,\"cpu_s\":1,\"result\":1,\"expected\":1,\"switches\":0,\"note\":3,\"lanes\":"
        "[]}",
        "{\"wall_s\":1,\"cpu_s\":1,\"result\":1,\"expected\":1,\"switches\":0,\"note\":\"\","
        "\"lanes\":{}}",
        "{\"wall_s\":1,\"cpu_s\":1,\"result\":1,\"expected\":1,\"switches\":0,\"note\":\"\","
        "\"lanes\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct lab_found found = {.wall_s = 7};
        assert_int_equal(read_text(bad[i], &found), -EINVAL);
        assert_true(found.wall_s > 6);
    }
}

static void a_report_has_all_that_was_found(void **state)
{
    struct lab_spec spec = {.experiment = LAB_CPU, .n = 10, .workers = 2, .repeat = 2, .seed = 3};
    struct lab_figures all[LAB_MODE_COUNT] = {{0}};
    struct lab_found typical[LAB_MODE_COUNT] = {{0}};
    struct lab_facts facts = {.cores = 2, .background_cores = 0.25};
    struct lab_plan plan;
    struct lab_findings f = {.spec = &spec,
                             .plan = &plan,
                             .all = all,
                             .typical = typical,
                             .facts = &facts,
                             .why_no_python = "There is none.",
                             .left_out = LAB_MODE_BIT(LAB_PY_THREADS)};
    json_t *report, *run;

    (void)state;
    spec.modes = LAB_MODE_BIT(LAB_SEQUENTIAL) | LAB_MODE_BIT(LAB_GIL);
    lab_plan_make(&spec, &plan);
    assert_int_equal(read_text(answer, &typical[LAB_GIL]), 0);
    for (int i = 0; i < 2; i++) {
        lab_figures_add(&all[LAB_SEQUENTIAL], &typical[LAB_GIL]);
        lab_figures_add(&all[LAB_GIL], &typical[LAB_GIL]);
    }
    report = lab_report_json(&f);
    assert_int_equal(json_array_size(json_object_get(report, "order")), 6);
    assert_int_equal(json_array_size(json_object_get(report, "runs")), 2);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(report, "left_out"), 0), "why")),
                        "There is none.");
    run = json_array_get(json_object_get(report, "runs"), 1);
    assert_string_equal(json_string_value(json_object_get(run, "mode")), "threads+gil");
    assert_int_equal(json_array_size(json_object_get(run, "wall_s")), 2);
    assert_int_equal(json_array_size(json_object_get(run, "switches")), 2);
    assert_int_equal(json_array_size(json_object_get(run, "lanes")), 1);
    assert_true(json_is_true(json_object_get(run, "exact")));
    assert_true(json_is_null(json_object_get(json_object_get(report, "machine"), "python")));
    json_decref(report);
    json_decref(typical[LAB_GIL].root);
}

static void what_others_used_is_counted(void **state)
{
    struct background b = {0};
    struct background_sample from = {.busy_ns = 1000, .at_ns = 0},
                             to = {.busy_ns = 4000, .at_ns = 2000};

    (void)state;
    assert_true(background_cores(&b) < 0.001);
    background_add(&b, from, to, 1000);
    assert_true(background_cores(&b) > 0.99 && background_cores(&b) < 1.01);
    background_add(&b, from, to, 9000); /* ours, by a finer clock */
    assert_true(background_cores(&b) > 0.49 && background_cores(&b) < 0.51);
    background_add(&b, (struct background_sample) {0}, to, 0); /* not known before */
    assert_true(background_cores(&b) > 0.49 && background_cores(&b) < 0.51);
}

static void the_systems_line_is_read(void **state)
{
    uint64_t second = background_busy_ns("cpu  100 0 0 5000 7 0 0 0 0 0\ncpu0 1 1 1\n");

    (void)state;
    assert_int_equal(background_busy_ns("cpu  10 20 30 5000 7 5 5 30 0 0\n"), second);
    assert_int_equal(background_busy_ns("intr 1 2 3\n"), 0);
    assert_int_equal(background_busy_ns(""), 0);
    assert_true(background_sample().at_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_is_read_exactly),
        cmocka_unit_test(anything_else_is_none),
        cmocka_unit_test(a_report_has_all_that_was_found),
        cmocka_unit_test(what_others_used_is_counted),
        cmocka_unit_test(the_systems_line_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
