#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "kernel_dir.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "zygote/reap.h"
#include "zygote/trial.h"

enum { REFUSED_MAX = 16 };

static struct registry registry;
static struct folder folder;
static struct kernel_dir dir;
static const struct prong_host host = {.size = sizeof(host)};
static char refused[REFUSED_MAX][2][320];
static size_t refused_count;
static int reap_fd;

static void refuse(void *arg, const char *file, const char *why)
{
    assert_ptr_equal(arg, &refused);
    assert_true(refused_count < REFUSED_MAX);
    (void)snprintf(refused[refused_count][0], sizeof(refused[0][0]), "%s", file);
    (void)snprintf(refused[refused_count++][1], sizeof(refused[0][0]), "%s", why);
}

static void try_with(const char *const *names, size_t count, uint64_t timeout_ns, bool with_fault)
{
    struct trial_config config = {
        .folder = &folder,
        .host = &host,
        .with_fault = with_fault,
        .reap_fd = reap_fd,
        .timeout_ns = timeout_ns,
        .refuse = refuse,
        .refuse_arg = &refused,
    };
    struct err err;

    refused_count = 0;
    dir = kernel_dir_new(names, count);
    assert_int_equal(folder_read(dir.path, &folder, refuse, &refused, &err), 0);
    trial_run(&registry, &config);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void release(const char *const *names, size_t count)
{
    registry_release(&registry);
    folder_release(&folder);
    kernel_dir_free(&dir, names, count);
}

static const char *why_refused(const char *file)
{
    for (size_t i = 0; i < refused_count; i++) {
        if (strcmp(refused[i][0], file) == 0)
            return refused[i][1];
    }
    fail_msg("%s is not refused", file);
    return NULL;
}

static const struct registry_kernel *find(const char *name)
{
    for (uint32_t i = 0; i < registry.count; i++) {
        if (strcmp(registry.kernels[i].kernel.name, name) == 0)
            return &registry.kernels[i];
    }
    fail_msg("there is no kernel %s", name);
    return NULL;
}

/* Were any of them loaded here, this test would die of it. */
static void what_fails_early_is_refused_and_never_loaded(void **state)
{
    static const char *const names[] = {"abi_ahead",         "constructor_crashes",
                                        "constructor_exits", "declaration_crashes",
                                        "declines",          "entry_crashes",
                                        "init_crashes",      "init_fails",
                                        "no_entry",          "rows"};

    (void)state;
    try_with(names, ARRAY_SIZE(names), 20 * CLOCK_NS_PER_S, false);
    assert_string_equal(why_refused("constructor_crashes.so"), "Its constructor died by SIGSEGV.");
    assert_string_equal(why_refused("constructor_exits.so"),
                        "Its constructor ended with exit code 0.");
    assert_string_equal(why_refused("entry_crashes.so"), "Its prong_kernel_entry died by SIGILL.");
    assert_string_equal(why_refused("init_crashes.so"), "Its init died by SIGFPE.");
    assert_string_equal(why_refused("init_fails.so"), "Its init failed.");
    assert_non_null(strstr(why_refused("declaration_crashes.so"), "Its declaration "));
    assert_non_null(strstr(why_refused("no_entry.so"), "exports no prong_kernel_entry"));
    assert_non_null(strstr(why_refused("declines.so"), "declines"));
    assert_non_null(strstr(why_refused("abi_ahead.so"), "ABI"));
    assert_int_equal(refused_count, 9);
    assert_int_equal(registry.count, 1);
    assert_null(find("rows")->broken);
    assert_null(find("rows")->declared);
    release(names, ARRAY_SIZE(names));
}

static void a_failed_selftest_is_told_with_the_description(void **state)
{
    static const char *const names[] = {"selftest_crashes", "selftest_exits", "selftest_fails",
                                        "twin_a", "twin_b"};

    (void)state;
    try_with(names, ARRAY_SIZE(names), 20 * CLOCK_NS_PER_S, false);
    assert_string_equal(find("selftest_crashes")->broken, "Its self-test died by SIGSEGV.");
    assert_string_equal(find("selftest_exits")->broken, "Its self-test ended with exit code 42.");
    assert_string_equal(find("selftest_fails")->broken, "Two and two make five.");
    assert_non_null(find("selftest_fails")->declared); /* it is not loaded */
    assert_null(find("twin")->broken);
    assert_non_null(strstr(why_refused("twin_b.so"), "There is a kernel called twin already."));
    assert_int_equal(refused_count, 1);
    release(names, ARRAY_SIZE(names));
}

/* A file that the kernel killed_once looks for. */
static void leave_file(const char *variable, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "/tmp/prong-killed-XXXXXX");
    assert_int_equal(close(mkstemp(path)), 0);
    assert_int_equal(setenv(variable, path, 1), 0);
}

static void who_is_killed_by_others_is_tried_again(void **state)
{
    static const char *const names[] = {"constructor_killed", "killed_once", "rows"};
    char in_constructor[PATH_MAX], in_selftest[PATH_MAX];

    (void)state;
    leave_file("PRONG_TEST_KILLED_IN_CONSTRUCTOR", in_constructor);
    leave_file("PRONG_TEST_KILLED_IN_SELFTEST", in_selftest);
    try_with(names, ARRAY_SIZE(names), 20 * CLOCK_NS_PER_S, false);
    assert_int_equal(access(in_constructor, F_OK), -1); /* it was killed there */
    assert_int_equal(access(in_selftest, F_OK), -1);
    assert_null(find("killed_once")->broken);
    assert_null(find("rows")->broken);
    /* But not for ever: it may be its own doing. */
    assert_string_equal(why_refused("constructor_killed.so"), "Its constructor died by SIGKILL.");
    assert_int_equal(refused_count, 1);
    release(names, ARRAY_SIZE(names));
}

static void who_hangs_costs_the_others_nothing(void **state)
{
    static const char *const names[] = {"constructor_hangs", "rows", "selftest_hangs"};
    uint64_t start = clock_now_ns();

    (void)state;
    try_with(names, ARRAY_SIZE(names), CLOCK_NS_PER_S / 2, false);
    assert_string_equal(why_refused("constructor_hangs.so"),
                        "Its constructor did not end within 0.5 s.");
    assert_string_equal(find("selftest_hangs")->broken, "Its self-test did not end within 0.5 s.");
    assert_null(find("rows")->broken);
    /* One deadline for all, not one each. */
    assert_in_range(clock_now_ns() - start, CLOCK_NS_PER_S / 2, 5 * CLOCK_NS_PER_S);
    release(names, ARRAY_SIZE(names));
}

static void the_fault_kernel_is_left_out_without_a_word(void **state)
{
    static const char *const names[] = {"fault", "rows"};

    (void)state;
    try_with(names, ARRAY_SIZE(names), 20 * CLOCK_NS_PER_S, false);
    assert_int_equal(registry.count, 1);
    assert_int_equal(refused_count, 0);
    release(names, ARRAY_SIZE(names));
    try_with(names, ARRAY_SIZE(names), 20 * CLOCK_NS_PER_S, true);
    assert_int_equal(registry.count, 2);
    assert_string_equal(registry.kernels[0].kernel.name, "fault");
    release(names, ARRAY_SIZE(names));
}

static void a_kernel_of_the_older_abi_is_loaded(void **state)
{
    static const char *const names[] = {"abi_1_0"};

    (void)state;
    try_with(names, ARRAY_SIZE(names), 20 * CLOCK_NS_PER_S, false);
    assert_int_equal(refused_count, 0);
    assert_int_equal(find("abi-1-0")->kernel.param_count, 2);
    assert_null(find("abi-1-0")->kernel.batch);
    release(names, ARRAY_SIZE(names));
}

static void an_empty_folder_is_fine(void **state)
{
    (void)state;
    try_with(NULL, 0, CLOCK_NS_PER_S, false);
    assert_int_equal(registry.count, 0);
    release(NULL, 0);
}

static void limits_of_the_manifest_are_found(void **state)
{
    static const char *const names[] = {"rows"};
    static const char text[] = "[limits]\nmemory = 64M\ncpu = 3\n";
    struct trial_config config = {
        .folder = &folder,
        .host = &host,
        .reap_fd = reap_fd,
        .timeout_ns = 20 * CLOCK_NS_PER_S,
        .refuse = refuse,
        .refuse_arg = &refused,
    };
    char path[PATH_MAX];
    struct err err;
    FILE *file;

    (void)state;
    refused_count = 0;
    dir = kernel_dir_new(names, 1);
    (void)snprintf(path, sizeof(path), "%s/rows.kernel", dir.path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(folder_read(dir.path, &folder, refuse, &refused, &err), 0);
    trial_run(&registry, &config);
    assert_int_equal(refused_count, 0);
    assert_int_equal(find("rows")->limits->memory_bytes, 64 << 20);
    assert_int_equal(find("rows")->limits->cpu_s, 3);
    (void)unlink(path);
    release(names, 1);
}

static int open_reap(void **state)
{
    (void)state;
    reap_fd = reap_open();
    return reap_fd < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_early_is_refused_and_never_loaded),
        cmocka_unit_test(a_failed_selftest_is_told_with_the_description),
        cmocka_unit_test(who_is_killed_by_others_is_tried_again),
        cmocka_unit_test(who_hangs_costs_the_others_nothing),
        cmocka_unit_test(the_fault_kernel_is_left_out_without_a_word),
        cmocka_unit_test(a_kernel_of_the_older_abi_is_loaded),
        cmocka_unit_test(an_empty_folder_is_fine),
        cmocka_unit_test(limits_of_the_manifest_are_found),
    };
    return cmocka_run_group_tests(tests, open_reap, NULL);
}
