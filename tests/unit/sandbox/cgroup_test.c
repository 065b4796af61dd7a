/*
 * The cgroup, on a tree of ordinary files: what is written where. Whether the system then does what was
 * asked for is seen only where it delegates a cgroup.
 */
#include <sys/stat.h>

#include "base/fd.h"
#include "box.h"
#include "sandbox/internal.h"

static char root[64];

static void path_of(char out[256], const char *a, const char *b)
{
    (void)snprintf(out, 256, "%s/%s%s", root, a, b);
}

static void put(const char *a, const char *b, const char *text)
{
    char path[256];
    FILE *f;

    path_of(path, a, b);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect(const char *a, const char *b, const char *text)
{
    char path[256], found[256] = "";

    path_of(path, a, b);
    assert_true(fd_read_file(path, found, sizeof(found)) >= 0);
    assert_string_equal(found, text);
}

static void make_leaf(const char *name)
{
    static const char *const files[] = {"memory.max", "memory.swap.max", "memory.oom.group",
                                        "pids.max", "cgroup.procs"};
    char path[256];

    path_of(path, name, "");
    assert_int_equal(mkdir(path, 0755), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char file[64];
        (void)snprintf(file, sizeof(file), "/%s", files[i]);
        put(name, file, "");
    }
}

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/prong-cgroup-XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    put("", "cgroup.controllers", "cpuset cpu io memory pids\n");
    put("", "cgroup.procs", "");
    put("", "cgroup.subtree_control", "");
    return 0;
}

static int remove_root(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

static int prepare(void)
{
    struct sandbox_config config = {.cgroup_dir = root};
    struct err err;

    return cgroup_prepare(&config, &err);
}

static void it_is_shared_out(void **state)
{
    (void)state;
    assert_int_equal(prepare(), 0);
    expect("", "cgroup.subtree_control", "+memory +pids");
}

static void without_the_controllers_there_is_none(void **state)
{
    (void)state;
    put("", "cgroup.controllers", "cpu memory pidsx\n");
    assert_int_equal(prepare(), -ENOTSUP);
    expect("", "cgroup.subtree_control", "");
}

static void a_directory_that_is_none_is_not_offered(void **state)
{
    struct sandbox_config config = {.cgroup_dir = "/nonexistent"};
    struct err err = {""};

    (void)state;
    assert_int_equal(cgroup_prepare(&config, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "Delegate=yes"));
}

/* In its leaf, the zygote of a prong that has had another before uses the directory above. */
static void a_later_zygote_does_not_nest(void **state)
{
    char ours[256];
    struct sandbox_config config = {.cgroup_dir = ours};
    struct err err;

    (void)state;
    path_of(ours, "prong-server", "");
    assert_int_equal(mkdir(ours, 0755), 0);
    assert_int_equal(cgroup_prepare(&config, &err), 0);
    expect("", "cgroup.subtree_control", "+memory +pids");
}

/* A child that waits until its leaf, which the system would fill with files, has them. */
static void enter(const struct sandbox_policy *policy, char name[32])
{
    struct sandbox_rules rules = {.policy = policy};
    int go[2], status;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        struct err err = {""};
        MUST(read(go[0], &byte, 1) == 1);
        if (cgroup_enter(&rules, &err) == 0)
            _exit(0);
        dprintf(STDERR_FILENO, "%s\n", err.text);
        _exit(1);
    }
    (void)snprintf(name, 32, "prong-%d", pid);
    make_leaf(name);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(go[0]);
    (void)close(go[1]);
}

static void a_child_limits_itself(void **state)
{
    struct sandbox_policy policy = {.kind = SANDBOX_PROGRAM, .memory_bytes = 64 << 20};
    char name[32];

    (void)state;
    assert_int_equal(prepare(), 0);
    enter(&policy, name);
    expect(name, "/memory.max", "67108864");
    expect(name, "/memory.swap.max", "0");
    expect(name, "/memory.oom.group", "1");
    expect(name, "/pids.max", "1");
    expect(name, "/cgroup.procs", "0");
}

static void limits_are_the_policys(void **state)
{
    struct sandbox_policy policy = {.kind = SANDBOX_PROGRAM, .threads = true};
    char name[32];

    (void)state;
    assert_int_equal(prepare(), 0);
    enter(&policy, name);
    expect(name, "/memory.max", "max");
    expect(name, "/pids.max", "64");
    policy.pids = 7;
    enter(&policy, name);
    expect(name, "/pids.max", "7");
    policy = (struct sandbox_policy) {.kind = SANDBOX_KERNEL};
    enter(&policy, name);
    expect(name, "/pids.max", "1");
}

static bool is_there(const char *name)
{
    char path[256];

    path_of(path, name, "");
    return access(path, F_OK) == 0;
}

static void leaves_are_removed(void **state)
{
    char path[256];

    (void)state;
    assert_int_equal(prepare(), 0);
    path_of(path, "prong-1234567", "");
    assert_int_equal(mkdir(path, 0755), 0);
    cgroup_forget(1234567);
    assert_false(is_there("prong-1234567"));
    cgroup_forget(1234567);
}

static void leaves_of_a_zygote_before_are_removed(void **state)
{
    char path[256];

    (void)state;
    path_of(path, "prong-1234567", "");
    assert_int_equal(mkdir(path, 0755), 0);
    make_leaf("prong-1234568");
    path_of(path, "other", "");
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(prepare(), 0);
    assert_false(is_there("prong-1234567"));
    assert_true(is_there("prong-1234568")); /* not empty */
    assert_true(is_there("other"));
}

/* What still lives in there is killed, and the leaf goes when it can. */
static void a_leaf_that_is_not_empty_goes_later(void **state)
{
    char path[256];

    (void)state;
    assert_int_equal(prepare(), 0);
    path_of(path, "prong-1234567", "");
    assert_int_equal(mkdir(path, 0755), 0);
    put("prong-1234567", "/cgroup.kill", "");
    cgroup_forget(1234567);
    assert_true(is_there("prong-1234567"));
    expect("prong-1234567", "/cgroup.kill", "1");
    path_of(path, "prong-1234567", "/cgroup.kill");
    assert_int_equal(unlink(path), 0);
    cgroup_forget(7654321);
    assert_false(is_there("prong-1234567"));
}

/* ---- finding ours ---- */

static const char mounts[] =
    "22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw\n"
    "31 22 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n";

static void find(const char *own, const char *mountinfo, const char *expected)
{
    char found[256] = "";
    int n = cgroup_find(own, mountinfo, found, sizeof(found));

    if (expected == NULL) {
        assert_int_equal(n, -ENOTSUP);
    } else {
        assert_string_equal(found, expected);
        assert_int_equal(n, strlen(expected));
    }
}

static void ours_is_found(void **state)
{
    static const char part[] = "30 22 0:26 /system.slice /mnt rw - cgroup2 none rw\n";

    (void)state;
    find("0::/system.slice/prong.service\n", mounts, "/sys/fs/cgroup/system.slice/prong.service");
    find("5:memory:/x\n0::/a", mounts, "/sys/fs/cgroup/a");
    find("0::/\n", mounts, "/sys/fs/cgroup/");
    find("0::/system.slice/prong.service\n", part, "/mnt/prong.service");
    find("0::/user.slice\n", part, NULL);
    find("5:memory:/x\n", mounts, NULL);
    find("", mounts, NULL);
    find("0::/a\n", "", NULL);
    find("0::/a\n", "22 28 0:20 / /sys rw - sysfs sysfs rw\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_shared_out, make_root, remove_root),
        cmocka_unit_test_setup_teardown(without_the_controllers_there_is_none, make_root,
                                        remove_root),
        cmocka_unit_test(a_directory_that_is_none_is_not_offered),
        cmocka_unit_test_setup_teardown(a_later_zygote_does_not_nest, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_child_limits_itself, make_root, remove_root),
        cmocka_unit_test_setup_teardown(limits_are_the_policys, make_root, remove_root),
        cmocka_unit_test_setup_teardown(leaves_are_removed, make_root, remove_root),
        cmocka_unit_test_setup_teardown(leaves_of_a_zygote_before_are_removed, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(a_leaf_that_is_not_empty_goes_later, make_root,
                                        remove_root),
        cmocka_unit_test(ours_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
