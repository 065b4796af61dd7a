#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <getopt.h>

#include "base/clock.h"
#include "config.h"

static struct config config;
static struct err err;
static char wants;

static int read_args(const char *const *args)
{
    char *argv[16] = {(char *)(uintptr_t) "prong"};
    int argc = 1;

    for (; *args != NULL; args++)
        argv[argc++] = (char *)(uintptr_t)*args;
    optind = 0;
    return config_read(&config, argc, argv, &wants, &err);
}

#define READ(...) read_args((const char *const[]) {__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(read_args((const char *const[]) {NULL}), 0);
    assert_string_equal(config.listen, "127.0.0.1:8080");
    assert_int_equal(config.queue_max, 1024);
    assert_int_equal(config.timeout_ns, 30 * CLOCK_NS_PER_S);
    assert_int_equal(config.raw_max, 64 << 20);
    assert_int_equal(config.workers, 0);
    assert_null(config.www);
    assert_false(config.insecure);
}

static void test_flag_beats_environment_beats_default(void **state)
{
    (void)state;
    assert_int_equal(setenv("PRONG_QUEUE", "64", 1), 0);
    assert_int_equal(setenv("PRONG_ENABLE_FAULT_KERNEL", "1", 1), 0);
    assert_int_equal(READ("--timeout", "2.5"), 0);
    assert_int_equal(config.queue_max, 64);
    assert_true(config.enable_fault_kernel);
    assert_int_equal(config.timeout_ns, 2500 * CLOCK_NS_PER_MS);
    assert_int_equal(READ("--queue=128", "--raw-max", "2M"), 0);
    assert_int_equal(config.queue_max, 128);
    assert_int_equal(config.raw_max, 2 << 20);
    (void)unsetenv("PRONG_QUEUE");
    (void)unsetenv("PRONG_ENABLE_FAULT_KERNEL");
}

static void refuses(const char *flag, const char *value, const char *word)
{
    assert_int_equal(READ(flag, value), -EINVAL);
    if (strstr(err.text, word) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, word);
}

static void test_refusals_name_the_option(void **state)
{
    (void)state;
    refuses("--queue", "0", "--queue must be an integer from 1 to 1000000, not '0'");
    refuses("--queue", "many", "not 'many'");
    refuses("--queue", "-1", "not '-1'");
    refuses("--timeout", "99999999", "seconds");
    refuses("--raw-max", "1T", "bytes");
    refuses("--raw-max", "99999999999999999999G", "bytes");
    refuses("--listen", "", "must not be empty");
    refuses("--nonsense", "1", "no option --nonsense");
    refuses("stray", "word", "What is 'stray'?");
    assert_int_equal(READ("--queue"), -EINVAL);
    assert_non_null(strstr(err.text, "needs a value"));
    assert_int_equal(setenv("PRONG_QUEUE", "x", 1), 0);
    refuses("--workers", "1", "environment");
    (void)unsetenv("PRONG_QUEUE");
}

static void test_help_and_version(void **state)
{
    (void)state;
    assert_int_equal(READ("--help"), 0);
    assert_int_equal(wants, 'h');
    assert_int_equal(READ("--version"), 0);
    assert_int_equal(wants, 'v');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_flag_beats_environment_beats_default),
        cmocka_unit_test(test_refusals_name_the_option),
        cmocka_unit_test(test_help_and_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
