#include "live/cpu.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static struct cpu_table table;
static struct sched_status status;

static int set_up(void **state)
{
    (void)state;
    memset(&table, 0, sizeof(table));
    memset(&status, 0, sizeof(status));
    status.worker_count = 1;
    status.workers[0].worker.pid = getpid();
    return 0;
}

static uint64_t own_ns(void)
{
    uint64_t ns;

    assert_int_equal(cpu_total_ns(getpid(), &ns), 0);
    return ns;
}

static void use_cpu(uint64_t ns)
{
    uint64_t until = own_ns() + ns;

    while (own_ns() < until)
        ;
}

static void the_first_look_knows_no_rate(void **state)
{
    (void)state;
    assert_true(isnan(cpu_look(&table, &status, CLOCK_NS_PER_S)));
    assert_true(isnan(cpu_cores_of(&table, getpid())));
    assert_true(isnan(cpu_cores_of(&table, 1)));
}

static void a_rate_is_what_was_used_by_what_has_passed(void **state)
{
    double cores;

    (void)state;
    (void)cpu_look(&table, &status, CLOCK_NS_PER_S);
    use_cpu(20 * CLOCK_NS_PER_MS);
    cores = cpu_look(&table, &status, CLOCK_NS_PER_S + 100 * CLOCK_NS_PER_MS);
    assert_true(cores >= 0.2);
    assert_true(cpu_cores_of(&table, getpid()) == cores);
    cpu_rest(&table);
    assert_true(cpu_cores_of(&table, getpid()) == 0);
}

static void who_is_new_has_used_its_time_since(void **state)
{
    double cores;
    uint64_t total = own_ns();

    (void)state;
    status.worker_count = 0;
    (void)cpu_look(&table, &status, CLOCK_NS_PER_S);
    status.worker_count = 1;
    cores = cpu_look(&table, &status, 2 * CLOCK_NS_PER_S);
    assert_true(cores >= (double)total / (double)CLOCK_NS_PER_S);
}

static void a_pid_that_was_given_anew_does_not_go_back(void **state)
{
    (void)state;
    (void)cpu_look(&table, &status, CLOCK_NS_PER_S);
    table.entries[0].total_ns = UINT64_MAX / 2;
    assert_true(cpu_look(&table, &status, 2 * CLOCK_NS_PER_S) >= 0);
}

static void who_has_gone_is_left_out(void **state)
{
    uint64_t ns;
    int pid = fork();

    (void)state;
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(cpu_total_ns(pid, &ns) < 0);
    status.worker_count = 2;
    status.workers[1].worker.pid = pid;
    (void)cpu_look(&table, &status, CLOCK_NS_PER_S);
    assert_int_equal(table.count, 1);
    assert_true(isnan(cpu_cores_of(&table, pid)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_look_knows_no_rate, set_up),
        cmocka_unit_test_setup(a_rate_is_what_was_used_by_what_has_passed, set_up),
        cmocka_unit_test_setup(who_is_new_has_used_its_time_since, set_up),
        cmocka_unit_test_setup(a_pid_that_was_given_anew_does_not_go_back, set_up),
        cmocka_unit_test_setup(who_has_gone_is_left_out, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
