#include "base/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <sched.h>

struct groups {
    char folder[64], child[96], files[2][128];
};

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int make_groups(void **state)
{
    struct groups *g = calloc(1, sizeof(*g));

    assert_non_null(g);
    (void)snprintf(g->folder, sizeof(g->folder), "/tmp/prong-machine-XXXXXX");
    assert_non_null(mkdtemp(g->folder));
    (void)snprintf(g->child, sizeof(g->child), "%s/service", g->folder);
    assert_int_equal(mkdir(g->child, 0700), 0);
    (void)snprintf(g->files[0], sizeof(g->files[0]), "%s/cpu.max", g->folder);
    (void)snprintf(g->files[1], sizeof(g->files[1]), "%s/cpu.max", g->child);
    *state = g;
    return 0;
}

static int remove_groups(void **state)
{
    struct groups *g = *state;

    (void)unlink(g->files[1]);
    (void)unlink(g->files[0]);
    (void)rmdir(g->child);
    (void)rmdir(g->folder);
    free(g);
    return 0;
}

static void without_a_limit_there_is_none(void **state)
{
    const struct groups *g = *state;

    assert_true(machine_quota_of(g->folder, "/service") == 0);
    write_text(g->files[1], "max 100000\n");
    assert_true(machine_quota_of(g->folder, "/service") == 0);
    assert_true(machine_quota_of(g->folder, "/no/such/group") == 0);
}

static void the_own_limit_counts_in_cores(void **state)
{
    const struct groups *g = *state;

    write_text(g->files[1], "150000 100000\n");
    assert_true(machine_quota_of(g->folder, "/service") == 1.5);
    assert_true(machine_quota_of(g->folder, "") == 0);
}

static void the_smallest_on_the_way_up_holds(void **state)
{
    const struct groups *g = *state;

    write_text(g->files[0], "50000 100000\n");
    write_text(g->files[1], "150000 100000\n");
    assert_true(machine_quota_of(g->folder, "/service") == 0.5);
    write_text(g->files[0], "300000 100000\n");
    assert_true(machine_quota_of(g->folder, "/service") == 1.5);
}

static void nonsense_is_no_limit(void **state)
{
    const struct groups *g = *state;

    write_text(g->files[1], "-5 100000\n");
    assert_true(machine_quota_of(g->folder, "/service") == 0);
    write_text(g->files[1], "100000 0\n");
    assert_true(machine_quota_of(g->folder, "/service") == 0);
    write_text(g->files[1], "a lot\n");
    assert_true(machine_quota_of(g->folder, "/service") == 0);
}

static void a_narrower_affinity_shows(void **state)
{
    struct machine_facts facts;
    cpu_set_t all, one;
    size_t first = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    machine_facts(&facts);
    assert_int_equal(facts.affinity, 1);
    assert_int_equal(machine_cores(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    machine_facts(&facts);
    assert_int_equal(facts.affinity, CPU_COUNT(&all));
}

static void facts_are_the_systems(void **state)
{
    struct machine_facts facts;

    (void)state;
    machine_facts(&facts);
    assert_int_equal(facts.cores, sysconf(_SC_NPROCESSORS_ONLN));
    assert_true(facts.affinity >= 1 && facts.affinity <= facts.cores);
    assert_true(facts.memory_bytes > 1 << 20);
    assert_true(strncmp(facts.kernel, "Linux ", 6) == 0);
    assert_null(strchr(facts.cpu_model, '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_limit_there_is_none, make_groups, remove_groups),
        cmocka_unit_test_setup_teardown(the_own_limit_counts_in_cores, make_groups, remove_groups),
        cmocka_unit_test_setup_teardown(the_smallest_on_the_way_up_holds, make_groups,
                                        remove_groups),
        cmocka_unit_test_setup_teardown(nonsense_is_no_limit, make_groups, remove_groups),
        cmocka_unit_test(a_narrower_affinity_shows),
        cmocka_unit_test(facts_are_the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
