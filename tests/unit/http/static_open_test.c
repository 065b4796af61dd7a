#include "http/static_open.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/check.h"

static char path[] = "/tmp/prong-open-XXXXXX";
static int directory; /* of that path */

static void write_file(const char *name, const char *text)
{
    const struct timespec then[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, 3), 3);
    assert_int_equal(futimens(fd, then), 0);
    assert_int_equal(close(fd), 0);
}

static int set_up_all(void **state)
{
    struct err err;

    (void)state;
    assert_non_null(mkdtemp(path));
    directory = static_open_directory(path, &err);
    assert_true(directory >= 0);
    write_file("file", "one");
    assert_int_equal(mkdirat(directory, "sub", 0755), 0);
    write_file("sub/file", "two");
    assert_int_equal(mkfifoat(directory, "pipe", 0644), 0);
    assert_int_equal(symlinkat("file", directory, "link"), 0);
    assert_int_equal(symlinkat("/etc", directory, "out"), 0);
    return 0;
}

static int tear_down_all(void **state)
{
    char command[64];

    (void)state;
    assert_int_equal(close(directory), 0);
    (void)snprintf(command, sizeof(command), "rm -r %s", path);
    return system(command);
}

static struct static_version version_of(const char *name)
{
    struct static_version version;
    int fd = static_open(directory, name, &version);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return version;
}

static void a_file_is_opened(void **state)
{
    (void)state;
    assert_int_equal(version_of("file").bytes, 3);
    assert_int_equal(version_of("sub/file").modified.tv_sec, 1600000000);
}

static void what_is_no_file_beneath_is_not(void **state)
{
    static const char *const names[] = {"nothing",     "sub",    "pipe",    "link",
                                        "out/passwd",  "file/x", "../file", "/etc/passwd",
                                        "sub/../../x", ""};
    struct static_version version;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int rc = static_open(directory, names[i], &version);
        if (rc >= 0 || static_is_shortage(rc))
            fail_msg("%s: %d", names[i], rc);
    }
    assert_int_equal(static_open(directory, "sub", &version), -EISDIR);
}

static void too_many_open_files_are_a_shortage(void **state)
{
    struct rlimit limit, none;
    struct static_version version;
    int rc;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = static_open(directory, "file", &version);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(rc, -EMFILE);
    assert_true(static_is_shortage(rc));
}

static void versions_are_told_apart(void **state)
{
    struct static_version first, second, third;

    (void)state;
    write_file("live", "one");
    first = version_of("live");
    second = version_of("live");
    assert_true(static_version_equal(&first, &second));
    /* As long, and as old. */
    write_file("next", "two");
    assert_int_equal(renameat(directory, "next", directory, "live"), 0);
    second = version_of("live");
    assert_false(static_version_equal(&first, &second));
    third = second;
    third.inode++;
    assert_false(static_version_equal(&second, &third));
    third = second;
    third.changed.tv_nsec++;
    assert_false(static_version_equal(&second, &third));
    third = second;
    third.modified.tv_nsec++;
    assert_false(static_version_equal(&second, &third));
    third = second;
    third.bytes++;
    assert_false(static_version_equal(&second, &third));
}

static void a_missing_directory_is_told(void **state)
{
    struct err err = {.text = ""};

    (void)state;
    assert_int_equal(static_open_directory("/nonexistent", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_opened),
        cmocka_unit_test(what_is_no_file_beneath_is_not),
        cmocka_unit_test(too_many_open_files_are_a_shortage),
        cmocka_unit_test(versions_are_told_apart),
        cmocka_unit_test(a_missing_directory_is_told),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
