#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../zygote/kernel_dir.h"

#include "base/err.h"
#include "kernel/plugin.h"

static struct err err;

static int open_named(const char *name, struct plugin *p)
{
    char path[PATH_MAX];

    kernel_dir_source(name, path);
    err.text[0] = '\0';
    return plugin_open(path, p, NULL, &err);
}

static void a_kernel_is_loaded(void **state)
{
    struct plugin p;

    (void)state;
    if (open_named("rows", &p) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(p.kernel.name, "rows");
    assert_non_null(p.kernel.plan);
    assert_null(p.kernel.combine);
    plugin_release(&p);
    assert_null(p.handle);
}

static void check_refused(const char *name, int rc, const char *word)
{
    struct plugin p = {0};

    assert_int_equal(open_named(name, &p), rc);
    assert_non_null(strstr(err.text, word));
    assert_null(p.handle);
}

static void what_is_no_kernel_is_refused(void **state)
{
    (void)state;
    check_refused("no_entry", -ENOEXEC, "prong_kernel_entry");
    check_refused("declines", -ENOEXEC, "declines");
    check_refused("abi_ahead", -EINVAL, "ABI");
}

static void what_is_no_shared_object_is_refused(void **state)
{
    char path[] = "/tmp/prong-plugin-XXXXXX";
    struct plugin p;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "not ELF", 7), 7);
    assert_int_equal(plugin_open(path, &p, NULL, &err), -ENOEXEC);
    assert_int_equal(fchmod(fd, 0666), 0);
    assert_int_equal(plugin_open(path, &p, NULL, &err), -EPERM);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(plugin_open(path, &p, NULL, &err), -ENOEXEC);
    assert_int_equal(plugin_open("/tmp", &p, NULL, &err), -ENOEXEC);
}

/* Whoever loads without judging has had it judged. */
static void what_others_may_write_is_loaded_only_when_told(void **state)
{
    char from[PATH_MAX], path[] = "/tmp/prong-plugin-XXXXXX", bytes[4096];
    struct plugin p = {0};
    int in, out = mkstemp(path);
    ssize_t n;

    (void)state;
    kernel_dir_source("rows", from);
    in = open(from, O_RDONLY | O_CLOEXEC);
    while ((n = read(in, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    assert_int_equal(fchmod(out, 0666), 0);
    (void)close(in);
    (void)close(out);
    assert_int_equal(plugin_open(path, &p, NULL, &err), -EPERM);
    assert_int_equal(plugin_load(path, &p, NULL, &err), 0);
    assert_string_equal(p.kernel.name, "rows");
    plugin_release(&p);
    (void)unlink(path);
}

static void only_we_and_root_may_own_code(void **state)
{
    struct stat st = {.st_uid = 1000, .st_mode = S_IFREG | 0755};

    (void)state;
    assert_int_equal(plugin_check_owner("x", &st, 1000, &err), 0);
    assert_int_equal(plugin_check_owner("x", &st, 1001, &err), -EPERM);
    st.st_uid = 0;
    assert_int_equal(plugin_check_owner("x", &st, 1001, &err), 0);
    st.st_mode = S_IFREG | 0775;
    assert_int_equal(plugin_check_owner("x", &st, 1001, &err), -EPERM);
    st.st_mode = S_IFREG | 0757;
    assert_int_equal(plugin_check_owner("x", &st, 1001, &err), -EPERM);
    assert_non_null(strstr(err.text, "chmod"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_is_loaded),
        cmocka_unit_test(what_is_no_kernel_is_refused),
        cmocka_unit_test(what_is_no_shared_object_is_refused),
        cmocka_unit_test(what_others_may_write_is_loaded_only_when_told),
        cmocka_unit_test(only_we_and_root_may_own_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
