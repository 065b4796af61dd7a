#include <grp.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "box.h"
#include "sandbox/internal.h"

static uint64_t capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    MUST(syscall(SYS_capget, &head, data) == 0);
    return data[0].permitted | data[0].effective | (uint64_t)data[1].permitted << 32 |
           (uint64_t)data[1].effective << 32;
}

static void be_nobody(void)
{
    uid_t ruid, euid, suid;
    int death = 0;

    MUST(getresuid(&ruid, &euid, &suid) == 0);
    MUST(ruid == 65534 && euid == 65534 && suid == 65534);
    MUST(getgid() == 65534 && getegid() == 65534 && getgroups(0, NULL) == 0);
    MUST(capabilities() == 0);
    MUST_FAIL(setuid(0), EPERM);
    MUST_FAIL(setresuid(0, 0, 0), EPERM);
    MUST_FAIL(setgid(0), EPERM);
    MUST(prctl(PR_GET_PDEATHSIG, &death) == 0 && death == SIGKILL);
    MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    MUST(sandbox_report()->uid == 65534);
}

static void have_no_privileges(void)
{
    MUST(getuid() == BOX_NOT_ROOT && capabilities() == 0);
    MUST_FAIL(setuid(0), EPERM);
    MUST(!(box_active & LAYER_USER) && sandbox_report()->uid == BOX_NOT_ROOT);
    /* Others of its uid may not look in. */
    MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == SANDBOX_DUMPABLE);
}

static void join_a_group(void)
{
    const gid_t group = 12345;

    MUST(setgroups(1, &group) == 0);
}

static const struct sandbox_config no_seccomp = {.without = LAYER_SECCOMP};

static void root_becomes_nobody(void **state)
{
    struct box box = {.config = no_seccomp, .check = be_nobody, .before = join_a_group};

    (void)state;
    if (geteuid() == 0)
        assert_int_equal(box_run(&box), 0);
}

static void who_is_not_root_stays_who_it_is(void **state)
{
    struct box box = {.config = no_seccomp, .as_other = true, .check = have_no_privileges};

    (void)state;
    if (geteuid() == 0)
        assert_int_equal(box_run(&box), 0);
}

static void be_number(void)
{
    MUST(getuid() == 12345 && getgid() == 12345);
}

static void a_user_may_be_a_number(void **state)
{
    struct box box = {.config = no_seccomp, .check = be_number};

    (void)state;
    box.config.user = "12345";
    if (geteuid() == 0)
        assert_int_equal(box_run(&box), 0);
}

static void be_powerless_root(void)
{
    MUST(getuid() == 0 && capabilities() == 0);
    MUST_FAIL(setuid(1), EPERM);
    MUST_FAIL(kill(1, 0), EPERM);
}

static void root_that_stays_has_no_capabilities(void **state)
{
    struct box box = {.config.without = LAYER_SECCOMP | LAYER_USER, .check = be_powerless_root};

    (void)state;
    if (geteuid() == 0)
        assert_int_equal(box_run(&box), 0);
}

/* A file with the set-uid bit gives nothing to who executes it. */
static char set_uid_file[] = "/tmp/prong-user-XXXXXX";

static void exec_set_uid(void)
{
    char *argv[] = {set_uid_file, (char *)(uintptr_t) "-u", NULL};

    (void)execv(set_uid_file, argv);
    MUST(!"it is executed");
}

static int copy_file(const char *from, int to)
{
    int fd = open(from, O_RDONLY);
    char bytes[65536];
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
        if (write(to, bytes, (size_t)n) != n)
            return -1;
    }
    (void)close(fd);
    return n == 0 ? 0 : -1;
}

static int said;

static void say_into_pipe(void)
{
    MUST(dup2(said, STDERR_FILENO) == STDERR_FILENO);
}

static void no_new_privileges_come_by_exec(void **state)
{
    struct box box = {
        .policy.kind = SANDBOX_PROGRAM, .check = exec_set_uid, .before = say_into_pipe};
    const char *const read_paths[] = {set_uid_file};
    int fd, ends[2];
    char text[32] = "";

    (void)state;
    if (geteuid() != 0)
        return;
    fd = mkstemp(set_uid_file);
    assert_true(fd >= 0 && copy_file("/usr/bin/id", fd) == 0 && fchmod(fd, 04755) == 0);
    (void)close(fd);
    assert_int_equal(pipe(ends), 0);
    said = ends[1];
    box.policy.read = read_paths;
    box.policy.read_count = 1;
    assert_int_equal(box_run(&box), 0);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "65534\n");
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)unlink(set_uid_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_becomes_nobody),
        cmocka_unit_test(who_is_not_root_stays_who_it_is),
        cmocka_unit_test(a_user_may_be_a_number),
        cmocka_unit_test(root_that_stays_has_no_capabilities),
        cmocka_unit_test(no_new_privileges_come_by_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
