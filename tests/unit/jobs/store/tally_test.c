#include "jobs/store/tally.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

enum { CLIENTS = 5000 };

static const struct store_limits limits = {.queued_max = 10, .queued_bytes_max = 1000};

static int set_up(void **state)
{
    *state = tally_new(&limits);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)tally_free(*state);
    return 0;
}

static struct record job(const char *client, unsigned priority, uint64_t bytes)
{
    struct record record = {.priority = priority, .payload_bytes = bytes};

    (void)snprintf(record.client, sizeof(record.client), "%s", client);
    return record;
}

static void queue(struct tally *t, const struct record *record, unsigned times)
{
    while (times-- > 0)
        assert_int_equal(tally_move(t, record, RECORD_STATE_COUNT, RECORD_QUEUED), 0);
}

static void a_job_counts_where_it_is(void **state)
{
    struct record record = job("a", 1, 30);
    struct store_counts counts;

    queue(*state, &record, 2);
    assert_int_equal(tally_move(*state, &record, RECORD_QUEUED, RECORD_RUNNING), 0);
    tally_commit(*state);
    tally_counts(*state, &counts);
    assert_int_equal(counts.queued[0], 0);
    assert_int_equal(counts.queued[1], 1);
    assert_int_equal(counts.running, 1);
    assert_int_equal(counts.queued_bytes, 60);

    record.result = RECORD_RESULT_KEPT;
    record.result_bytes = 7;
    assert_int_equal(tally_move(*state, &record, RECORD_RUNNING, RECORD_SUCCEEDED), 0);
    tally_commit(*state);
    tally_counts(*state, &counts);
    assert_int_equal(counts.running, 0);
    assert_int_equal(counts.ended, 1);
    assert_int_equal(counts.queued_bytes, 30);
    assert_int_equal(counts.results_bytes, 7);

    assert_int_equal(tally_move(*state, &record, RECORD_SUCCEEDED, RECORD_STATE_COUNT), 0);
    tally_commit(*state);
    tally_counts(*state, &counts);
    assert_int_equal(counts.ended, 0);
    assert_int_equal(counts.results_bytes, 0);
}

static void a_result_that_went_is_not_taken_off_again(void **state)
{
    struct record record = job("a", 0, 0);
    struct store_counts counts;

    record.result = RECORD_RESULT_KEPT;
    record.result_bytes = 7;
    assert_int_equal(tally_move(*state, &record, RECORD_STATE_COUNT, RECORD_SUCCEEDED), 0);
    tally_result(*state, -7);
    record.result = RECORD_RESULT_EXPIRED;
    assert_int_equal(tally_move(*state, &record, RECORD_SUCCEEDED, RECORD_STATE_COUNT), 0);
    tally_commit(*state);
    tally_counts(*state, &counts);
    assert_int_equal(counts.results_bytes, 0);
}

static void only_so_many_jobs_may_wait(void **state)
{
    struct record record = job("a", 0, 0);

    queue(*state, &record, 9);
    assert_int_equal(tally_admit(*state, "a", 0), 0);
    queue(*state, &record, 1);
    assert_int_equal(tally_admit(*state, "a", 0), -EBUSY);
    assert_int_equal(tally_move(*state, &record, RECORD_QUEUED, RECORD_RUNNING), 0);
    assert_int_equal(tally_admit(*state, "a", 0), 0);
}

static void only_so_many_bytes_may_wait_or_run(void **state)
{
    struct record record = job("a", 0, 900);

    queue(*state, &record, 1);
    assert_int_equal(tally_move(*state, &record, RECORD_QUEUED, RECORD_RUNNING), 0);
    assert_int_equal(tally_admit(*state, "a", 100), 0);
    assert_int_equal(tally_admit(*state, "a", 101), -EFBIG);
    assert_int_equal(tally_admit(*state, "a", UINT64_MAX), -EFBIG);
}

static void half_is_enough_for_one_when_others_wait(void **state)
{
    struct record a = job("a", 0, 0), b = job("b", 2, 0);

    queue(*state, &a, 5);
    assert_int_equal(tally_admit(*state, "a", 0), 0);
    queue(*state, &b, 1);
    assert_int_equal(tally_admit(*state, "a", 0), -EDQUOT);
    assert_int_equal(tally_admit(*state, "b", 0), 0);
    assert_int_equal(tally_move(*state, &b, RECORD_QUEUED, RECORD_RUNNING), 0);
    assert_int_equal(tally_admit(*state, "a", 0), 0);
}

static void a_rollback_undoes_all_since_the_commit(void **state)
{
    struct record a = job("a", 0, 10), b = job("b", 0, 10);
    struct store_counts before, after;

    queue(*state, &a, 4);
    tally_commit(*state);
    tally_counts(*state, &before);
    queue(*state, &a, 2);
    queue(*state, &b, 1);
    assert_int_equal(tally_admit(*state, "a", 0), -EDQUOT);
    tally_counts(*state, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    tally_rollback(*state);
    tally_counts_now(*state, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    queue(*state, &b, 1);
    assert_int_equal(tally_admit(*state, "a", 0), 0);
}

static void a_client_whose_last_job_left_comes_back_by_a_rollback(void **state)
{
    struct record a = job("a", 0, 0), b = job("b", 0, 0);

    queue(*state, &a, 5);
    queue(*state, &b, 1);
    tally_commit(*state);
    for (int i = 0; i < 5; i++)
        assert_int_equal(tally_move(*state, &a, RECORD_QUEUED, RECORD_RUNNING), 0);
    assert_int_equal(tally_admit(*state, "a", 0), 0);
    tally_rollback(*state);
    assert_int_equal(tally_admit(*state, "a", 0), -EDQUOT);
}

static void many_clients_are_told_apart(void **state)
{
    const struct store_limits wide = {.queued_max = 10 * CLIENTS, .queued_bytes_max = 1};
    struct tally *t = tally_new(&wide);
    struct store_counts counts;
    char name[RECORD_CLIENT_BYTES];

    (void)state;
    assert_non_null(t);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            (void)snprintf(name, sizeof(name), "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
            struct record record = job(name, i % RECORD_PRIORITY_COUNT, 0);
            if (round == 0)
                queue(t, &record, 1);
            else
                assert_int_equal(tally_move(t, &record, RECORD_QUEUED, RECORD_RUNNING), 0);
        }
        tally_commit(t);
    }
    tally_counts(t, &counts);
    assert_int_equal(counts.running, CLIENTS);
    assert_int_equal(counts.queued[0] + counts.queued[1] + counts.queued[2], 0);
    (void)tally_free(t);
}

static void ended_ones_can_be_loaded_together(void **state)
{
    struct store_counts counts;

    tally_load_ended(*state, 1000000);
    tally_result(*state, 5);
    tally_commit(*state);
    tally_counts(*state, &counts);
    assert_int_equal(counts.ended, 1000000);
    assert_int_equal(counts.results_bytes, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_counts_where_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_result_that_went_is_not_taken_off_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_so_many_jobs_may_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_so_many_bytes_may_wait_or_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_is_enough_for_one_when_others_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rollback_undoes_all_since_the_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_whose_last_job_left_comes_back_by_a_rollback,
                                        set_up, tear_down),
        cmocka_unit_test(many_clients_are_told_apart),
        cmocka_unit_test_setup_teardown(ended_ones_can_be_loaded_together, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
