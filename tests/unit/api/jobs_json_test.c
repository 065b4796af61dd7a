#include "api/jobs_json.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

static struct record record_of(enum record_state state)
{
    struct record r = {.seq = 7,
                       .id = {"0190a1b2-0000-7000-8000-000000000001"},
                       .kernel = "sum",
                       .state = state,
                       .priority = 1,
                       .timeout_us = 2500000,
                       .attempts_max = 3,
                       .created_us = 1700000000123456};

    return r;
}

static const json_t *at(const json_t *json, const char *name)
{
    const json_t *member = json_object_get(json, name);

    assert_non_null(member);
    return member;
}

static void all_members_are_there_and_null_when_unknown(void **state)
{
    static const char *const unknown[] = {"progress", "position", "eta",     "started", "finished",
                                          "deadline", "error",    "receipt", "result"};
    struct record r = record_of(RECORD_QUEUED);
    struct jobs_view v = {.record = &r};
    json_t *json = jobs_json(&v);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_true(json_is_null(at(json, unknown[i])));
    assert_string_equal(json_string_value(at(json, "id")), r.id.text);
    assert_string_equal(json_string_value(at(json, "state")), "queued");
    assert_string_equal(json_string_value(at(json, "priority")), "normal");
    assert_string_equal(json_string_value(at(at(json, "links"), "result")),
                        "/jobs/0190a1b2-0000-7000-8000-000000000001/result");
    assert_float_equal(json_real_value(at(json, "timeout")), 2.5, 0);
    json_decref(json);
}

static void times_keep_their_microseconds(void **state)
{
    struct record r = record_of(RECORD_QUEUED);
    struct jobs_view v = {.record = &r};
    size_t bytes;
    char *text = jobs_write(jobs_json(&v), "{}", &bytes);

    (void)state;
    assert_int_equal(strlen(text), bytes);
    assert_non_null(strstr(text, "\"created\":1700000000.12345,"));
    free(text);
}

static void parameters_go_in_as_they_were_kept(void **state)
{
    struct record r = record_of(RECORD_QUEUED);
    struct jobs_view v = {.record = &r};
    size_t bytes;
    char *text = jobs_write(jobs_json(&v), "{\"values\":[1,2.5]}", &bytes);
    json_t *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_non_null(json);
    assert_int_equal(json_array_size(at(at(json, "params"), "values")), 2);
    assert_string_equal(json_object_iter_key(json_object_iter(json)), "id");
    json_decref(json);
    free(text);
    text = jobs_write(jobs_json(&v), NULL, &bytes);
    assert_non_null(strstr(text, "\"params\":null"));
    free(text);
}

static void who_runs_says_when_it_will_be_done(void **state)
{
    struct record r = record_of(RECORD_RUNNING);
    struct jobs_view v = {.record = &r, .done = 25, .total = 100};
    json_t *json;

    (void)state;
    r.started_us = r.created_us + 1000;
    v.now_us = r.started_us + 5000000;
    json = jobs_json(&v);
    assert_float_equal(json_real_value(at(at(json, "progress"), "fraction")), 0.25, 0);
    assert_float_equal(json_real_value(at(json, "eta")), 15.0, 1e-9);
    json_decref(json);
    v.done = 33;
    v.total = 97;
    json = jobs_json(&v);
    assert_float_equal(json_real_value(at(at(json, "progress"), "fraction")), 0.340206, 0);
    assert_float_equal(json_real_value(at(json, "eta")), 9.697, 0);
    json_decref(json);
    v.total = 100;
    v.done = 0; /* from nothing nothing can be told */
    json = jobs_json(&v);
    assert_true(json_is_null(at(json, "eta")));
    assert_int_equal(json_integer_value(at(at(json, "progress"), "total")), 100);
    json_decref(json);
}

static void who_waits_says_when_if_a_rate_is_known(void **state)
{
    struct record r = record_of(RECORD_QUEUED);
    struct jobs_view v = {.record = &r, .has_position = true, .position = 9, .per_s = 2};
    json_t *json = jobs_json(&v);

    (void)state;
    assert_int_equal(json_integer_value(at(json, "position")), 9);
    assert_float_equal(json_real_value(at(json, "eta")), 5.0, 1e-9);
    json_decref(json);
    v.per_s = 0;
    json = jobs_json(&v);
    assert_true(json_is_null(at(json, "eta")));
    json_decref(json);
}

static void the_dead_have_a_problem_and_the_cancelled_none(void **state)
{
    struct record r = record_of(RECORD_DEAD);
    struct jobs_view v = {.record = &r};
    json_t *json;

    (void)state;
    r.attempts = 3;
    r.end = (struct record_end) {.outcome = JOB_DIED, .wait_status = SIGSEGV};
    json = jobs_json(&v);
    assert_int_equal(json_integer_value(at(at(json, "error"), "status")), 502);
    assert_int_equal(json_integer_value(at(at(json, "error"), "signal")), SIGSEGV);
    assert_int_equal(json_integer_value(at(at(json, "error"), "attempts")), 3);
    json_decref(json);
    r.state = RECORD_CANCELLED;
    json = jobs_json(&v);
    assert_true(json_is_null(at(json, "error")));
    json_decref(json);
}

/* A database of another version may hold what this program would not write. */
static void an_odd_end_is_still_told(void **state)
{
    struct record r = record_of(RECORD_FAILED);
    struct jobs_view v = {.record = &r};
    json_t *json;

    (void)state;
    r.end.outcome = JOB_PENDING;
    json = jobs_json(&v);
    assert_int_equal(json_integer_value(at(at(json, "error"), "status")), 500);
    json_decref(json);
}

static void a_result_is_named(void **state)
{
    struct record r = record_of(RECORD_SUCCEEDED);
    struct jobs_view v = {.record = &r};
    json_t *json;

    (void)state;
    r.result = RECORD_RESULT_KEPT;
    r.result_bytes = 12;
    r.receipt = (struct job_receipt) {.run_ns = 1500000, .workers = 1};
    (void)snprintf(r.media_type, sizeof(r.media_type), "image/png");
    json = jobs_json(&v);
    assert_true(json_is_false(at(at(json, "result"), "expired")));
    assert_string_equal(json_string_value(at(at(json, "result"), "media_type")), "image/png");
    assert_float_equal(json_real_value(at(at(json, "receipt"), "run_ms")), 1.5, 1e-9);
    json_decref(json);
    r.result = RECORD_RESULT_EXPIRED;
    json = jobs_json(&v);
    assert_true(json_is_true(at(at(json, "result"), "expired")));
    json_decref(json);
}

static void each_attempt_says_how_it_ended(void **state)
{
    struct record_attempt attempts[] = {
        {.number = 1,
         .started_us = 1,
         .finished_us = 2,
         .end = {.outcome = JOB_DIED, .wait_status = SIGKILL, .was_oom = true}},
        {.number = 2, .end = {.outcome = JOB_DIED, .wait_status = 3 << 8}},
        {.number = 3, .end = {.outcome = JOB_FAILED, .text = "not \xff UTF-8"}},
        {.number = 4, .end = {.outcome = JOB_PENDING}},
    };
    json_t *history = jobs_history_json(attempts, ARRAY_SIZE(attempts));
    const json_t *a = json_array_get(history, 0), *b = json_array_get(history, 1);

    (void)state;
    assert_int_equal(json_array_size(history), 4);
    assert_int_equal(json_integer_value(at(a, "signal")), SIGKILL);
    assert_string_equal(json_string_value(at(a, "signal_name")), "KILL");
    assert_true(json_is_true(at(a, "oom")));
    assert_true(json_is_null(at(a, "exit_code")));
    assert_true(json_is_null(at(b, "signal")));
    assert_int_equal(json_integer_value(at(b, "exit_code")), 3);
    assert_string_equal(json_string_value(at(json_array_get(history, 2), "detail")),
                        "not \xef\xbf\xbd UTF-8");
    assert_true(json_is_null(at(json_array_get(history, 3), "finished")));
    json_decref(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_are_there_and_null_when_unknown),
        cmocka_unit_test(times_keep_their_microseconds),
        cmocka_unit_test(parameters_go_in_as_they_were_kept),
        cmocka_unit_test(who_runs_says_when_it_will_be_done),
        cmocka_unit_test(who_waits_says_when_if_a_rate_is_known),
        cmocka_unit_test(the_dead_have_a_problem_and_the_cancelled_none),
        cmocka_unit_test(an_odd_end_is_still_told),
        cmocka_unit_test(a_result_is_named),
        cmocka_unit_test(each_attempt_says_how_it_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
