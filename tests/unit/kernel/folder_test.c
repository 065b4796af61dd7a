#include <errno.h>
#include <fcntl.h>
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

#include "base/check.h"
#include "base/err.h"
#include "kernel/folder.h"

enum { FILES_MAX = 32 };

static char dir[64];
static const char *made[FILES_MAX];
static size_t made_count;
static struct folder folder;
static char refused[FILES_MAX][2][320];
static size_t refused_count;
static struct err err;

static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    made[made_count++] = name;
}

static int set_up(void **state)
{
    (void)state;
    made_count = refused_count = 0;
    (void)snprintf(dir, sizeof(dir), "/tmp/prong-folder-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
    char path[PATH_MAX];

    (void)state;
    folder_release(&folder);
    while (made_count > 0) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, made[--made_count]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

static void refuse(void *arg, const char *file, const char *why)
{
    (void)arg;
    assert_true(refused_count < FILES_MAX);
    (void)snprintf(refused[refused_count][0], sizeof(refused[0][0]), "%s", file);
    (void)snprintf(refused[refused_count++][1], sizeof(refused[0][0]), "%s", why);
}

static void expect(const char *const *files, uint32_t count)
{
    assert_int_equal(folder_read(dir, &folder, refuse, NULL, &err), 0);
    for (uint32_t i = 0; i < MIN(count, folder.count); i++)
        assert_string_equal(folder.entries[i].file, files[i]);
    assert_int_equal(folder.count, count);
}

static void shared_objects_come_first_each_by_name(void **state)
{
    static const char *const files[] = {"a.so", "b.so", "tool.py", "c.kernel"};

    (void)state;
    put("c.kernel", "[kernel]\ncommand = cat\n");
    put("b.so", "");
    put("tool.py", "import prong\n");
    put("library.py", "import os\n");
    put("notes.txt", "");
    put(".hidden.so", "");
    put("a.so", "");
    expect(files, ARRAY_SIZE(files));
    assert_true(folder.entries[0].is_shared_object);
    assert_null(folder.entries[0].manifest);
    assert_false(folder.entries[2].is_shared_object);
    assert_string_equal(folder.entries[2].manifest->argv[3], "tool.py");
    assert_string_equal(folder.entries[3].manifest->argv[0], "cat");
    assert_int_equal(refused_count, 0);
}

static void what_a_manifest_names_is_no_kernel_besides(void **state)
{
    static const char *const files[] = {"lib.kernel", "run.kernel"};

    (void)state;
    put("ray.so", "");
    put("lib.kernel", "[kernel]\nlibrary = ray.so\n");
    put("fib.py", "import prong\n");
    put("run.kernel", "[kernel]\ncommand = python3 ./fib.py\n");
    expect(files, ARRAY_SIZE(files));
    assert_int_equal(refused_count, 0);
}

static void limits_belong_to_their_shared_object(void **state)
{
    static const char *const files[] = {"a.so", "b.so"};

    (void)state;
    put("a.so", "");
    put("b.so", "");
    put("b.kernel", "[limits]\ncpu = 7\n");
    expect(files, ARRAY_SIZE(files));
    assert_null(folder.entries[0].manifest);
    assert_int_equal(folder.entries[1].manifest->limits.cpu_s, 7);
}

static void a_refused_manifest_takes_its_twins_along(void **state)
{
    static const char *const files[] = {"c.so"};

    (void)state;
    put("a.so", "");
    put("a.kernel", "[limits]\nmemory = lots\n");
    put("b.py", "import prong\n");
    put("b.kernel", "[kernel]\ncommand =\n");
    put("c.so", "");
    expect(files, ARRAY_SIZE(files));
    assert_int_equal(refused_count, 3);
    assert_string_equal(refused[0][0], "a.kernel");
    assert_non_null(strstr(refused[0][1], "a.kernel, line 2: memory"));
    assert_string_equal(refused[1][0], "b.kernel");
    assert_string_equal(refused[2][0], "a.so");
}

static void a_directory_that_others_can_write_is_refused(void **state)
{
    (void)state;
    put("a.so", "");
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(folder_read(dir, &folder, refuse, NULL, &err), -EPERM);
    assert_non_null(strstr(err.text, dir));
    assert_int_equal(chmod(dir, 0770), 0);
    assert_int_equal(folder_read(dir, &folder, refuse, NULL, &err), -EPERM);
    assert_int_equal(folder.count, 0);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(folder_read("/tmp/no/such", &folder, refuse, NULL, &err), -ENOENT);
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(shared_objects_come_first_each_by_name),
        FOLDER_TEST(what_a_manifest_names_is_no_kernel_besides),
        FOLDER_TEST(limits_belong_to_their_shared_object),
        FOLDER_TEST(a_refused_manifest_takes_its_twins_along),
        FOLDER_TEST(a_directory_that_others_can_write_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
