/* Which files can be opened; seccomp is left out, which would refuse a kernel before Landlock does. */
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "box.h"

static char folder[64]; /* of the test's own, that everybody may look into */
static char file[96];

static int make_folder(void **state)
{
    FILE *f;

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/prong-landlock-XXXXXX");
    if (mkdtemp(folder) == NULL || chmod(folder, 0777) < 0)
        return -1;
    (void)snprintf(file, sizeof(file), "%s/file", folder);
    f = fopen(file, "w");
    return f == NULL || fputs("text\n", f) < 0 || fclose(f) != 0 || chmod(file, 0666) < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return unlink(file) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void open_nothing(void)
{
    MUST_FAIL(open("/etc/passwd", O_RDONLY), EACCES);
    MUST_FAIL(open("/usr/lib", O_RDONLY | O_DIRECTORY), EACCES);
    MUST_FAIL(open("/dev/null", O_RDONLY), EACCES);
    MUST_FAIL(open(file, O_WRONLY), EACCES);
    MUST_FAIL(unlink(file), EACCES);
    MUST_FAIL(truncate(file, 0), EACCES);
    MUST_FAIL(mkdir("/tmp/prong-landlock-made", 0700), EACCES);
}

static void a_kernel_opens_no_file(void **state)
{
    (void)state;
    box_holds((struct box) {.config.without = LAYER_SECCOMP, .check = open_nothing});
}

static void open_what_is_allowed(void)
{
    int count, fd = open("/dev/urandom", O_RDONLY);

    MUST(open("/usr/lib", O_RDONLY | O_DIRECTORY) >= 0);
    MUST(open("/bin/sh", O_RDONLY) >= 0);
    MUST(open("/dev/null", O_RDWR) >= 0);
    MUST(fd >= 0);
    if (sandbox_report()->landlock_abi >= 5)
        MUST_FAIL(ioctl(fd, RNDGETENTCNT, &count), EACCES);
    MUST_FAIL(open("/etc/passwd", O_RDONLY), EACCES);
    MUST_FAIL(open("/etc/resolv.conf", O_RDONLY), EACCES);
    MUST_FAIL(open("/proc/self/maps", O_RDONLY), EACCES);
    MUST_FAIL(open("/tmp", O_RDONLY | O_DIRECTORY), EACCES);
    MUST_FAIL(open(file, O_RDONLY), EACCES);
    MUST_FAIL(open("/tmp/prong-landlock-made", O_WRONLY | O_CREAT, 0600), EACCES);
    MUST_FAIL(open("/usr/lib/prong-landlock-made", O_WRONLY | O_CREAT, 0600), EACCES);
}

static void a_program_opens_what_the_system_is_made_of(void **state)
{
    (void)state;
    box_holds((struct box) {.policy.kind = SANDBOX_PROGRAM, .check = open_what_is_allowed});
}

static void read_the_file(void)
{
    char text[8] = "";
    int fd = open(file, O_RDONLY);

    MUST(fd >= 0 && read(fd, text, sizeof(text)) == 5);
    MUST_FAIL(open(file, O_WRONLY), EACCES);
    MUST_FAIL(unlink(file), EACCES);
    MUST_FAIL(open("/etc/passwd", O_RDONLY), EACCES);
}

static void a_program_reads_what_is_named(void **state)
{
    const char *const folders[] = {folder};
    const char *const files[] = {"/usr", file};
    const char *const missing[] = {"/nonexistent", folder};

    (void)state;
    box_holds((struct box) {.policy = {.kind = SANDBOX_PROGRAM, .read = folders, .read_count = 1},
                            .check = read_the_file});
    box_holds((struct box) {.policy = {.kind = SANDBOX_PROGRAM, .read = files, .read_count = 2},
                            .check = read_the_file});
    box_holds((struct box) {
        .policy.kind = SANDBOX_PROGRAM, .config.kernels_dir = folder, .check = read_the_file});
    /* The config's own may be missing: it is not known whether any program needs them. */
    box_holds((struct box) {.policy.kind = SANDBOX_PROGRAM,
                            .config = {.read = missing, .read_count = 2},
                            .check = read_the_file});
}

static void a_named_path_that_is_missing_is_told(void **state)
{
    const char *const missing[] = {"/nonexistent"};
    struct box box = {.policy = {.kind = SANDBOX_PROGRAM, .read = missing, .read_count = 1},
                      .check = read_the_file};

    (void)state;
    assert_int_equal(WEXITSTATUS(box_run(&box)), BOX_REFUSED);
}

static void read_names(void)
{
    MUST(access("/etc/hosts", F_OK) < 0 || open("/etc/hosts", O_RDONLY) >= 0);
    MUST_FAIL(open("/etc/passwd", O_RDONLY), EACCES);
}

static void with_network_names_can_be_looked_up(void **state)
{
    (void)state;
    box_holds(
        (struct box) {.policy = {.kind = SANDBOX_PROGRAM, .network = true}, .check = read_names});
}

static int name_listener = -1;
static struct sockaddr_un name = {.sun_family = AF_UNIX};
enum { NAME_BYTES = sizeof(sa_family_t) + 24 };

static void reach_by_name(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    MUST(fd >= 0);
    if (sandbox_report()->landlock_abi >= 6)
        MUST_FAIL(connect(fd, (struct sockaddr *)&name, NAME_BYTES), EPERM);
}

/* Of a network namespace, not of the file system: one that may use the network is still kept from these. */
static void abstract_sockets_outside_are_out_of_reach(void **state)
{
    (void)state;
    (void)snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "prong-test-%013d", getpid());
    name_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(name_listener, (struct sockaddr *)&name, NAME_BYTES), 0);
    assert_int_equal(listen(name_listener, 1), 0);
    box_holds((struct box) {.policy = {.kind = SANDBOX_PROGRAM, .network = true},
                            .check = reach_by_name});
    (void)close(name_listener);
}

static void signal_parent(void)
{
    if (sandbox_report()->landlock_abi >= 6)
        MUST_FAIL(kill(getppid(), 0), EPERM);
    MUST(kill(getpid(), 0) == 0);
}

/* Of the same uid, and no filter in the way. */
static void processes_outside_get_no_signal(void **state)
{
    (void)state;
    box_holds((struct box) {.config.without = LAYER_SECCOMP | LAYER_USER, .check = signal_parent});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_opens_no_file),
        cmocka_unit_test(a_program_opens_what_the_system_is_made_of),
        cmocka_unit_test(a_program_reads_what_is_named),
        cmocka_unit_test(a_named_path_that_is_missing_is_told),
        cmocka_unit_test(with_network_names_can_be_looked_up),
        cmocka_unit_test(abstract_sockets_outside_are_out_of_reach),
        cmocka_unit_test(processes_outside_get_no_signal),
    };

    if (sandbox_prepare(&(struct sandbox_config) {.mode = LAYERS_OFF}, NULL) < 0 ||
        sandbox_report()->landlock_abi == 0) {
        (void)printf("this system has no Landlock: nothing to test\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
