/* What a program may call, tried by a child in a program's sandbox with all layers. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "box.h"

extern char **environ;

static const struct sandbox_policy alone = {.kind = SANDBOX_PROGRAM};
static const struct sandbox_policy many = {.kind = SANDBOX_PROGRAM, .threads = true};

static void hold(const struct sandbox_policy *policy, void (*check)(void))
{
    box_holds((struct box) {.policy = *policy, .check = check});
}

static void exec_true(void)
{
    char *argv[] = {(char *)(uintptr_t) "true", NULL};

    (void)execv("/bin/true", argv);
    MUST(!"/bin/true is executed");
}

static void a_program_is_executed(void **state)
{
    (void)state;
    hold(&alone, exec_true);
    hold(&many, exec_true);
}

static void meddle(void)
{
    struct rlimit limit;
    cpu_set_t cpus;

    MUST_FAIL(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL), EPERM);
    MUST_FAIL(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0), EPERM);
    MUST_FAIL(unshare(CLONE_NEWUSER), EPERM);
    MUST_FAIL(unshare(CLONE_NEWNS), EPERM);
    MUST_FAIL(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
    MUST_FAIL(chroot("/"), EPERM);
    MUST_FAIL(syscall(SYS_bpf, 0, NULL, 0), EPERM);
    MUST_FAIL(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM);
    MUST_FAIL(syscall(SYS_userfaultfd, 0), EPERM);
    MUST_FAIL(syscall(SYS_io_uring_setup, 1, NULL), EPERM);
    MUST_FAIL(memfd_create("uncounted", 0), EPERM);
    MUST_FAIL(syscall(SYS_shmget, 0, 4096, 01600), EPERM);
    MUST_FAIL(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
    MUST_FAIL(setuid(0), EPERM);
    MUST_FAIL(setsid(), EPERM);
    MUST_FAIL(setpgid(0, 0), EPERM);
    MUST_FAIL(prctl(PR_SET_PDEATHSIG, 0), EPERM);
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == SANDBOX_FILES_MAX);
    limit.rlim_max = 1000;
    MUST_FAIL(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    MUST_FAIL(prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL), EPERM);
    MUST_FAIL(setpriority(PRIO_PROCESS, (id_t)getppid(), 19), EPERM);
    MUST_FAIL(setpriority(PRIO_USER, 0, 19), EPERM);
    MUST(setpriority(PRIO_PROCESS, 0, 19) == 0);
    CPU_ZERO(&cpus);
    MUST(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
    MUST_FAIL(sched_setaffinity(getppid(), sizeof(cpus), &cpus), EPERM);
    MUST(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
}

static void no_meddling_with_others_or_the_system(void **state)
{
    (void)state;
    hold(&alone, meddle);
    hold(&many, meddle);
}

/* With arguments for which the system itself would have another error, or none. */
static void call_all_that_is_refused(void)
{
    static const long calls[] = {
        SYS_kcmp,          SYS_pidfd_getfd,    SYS_process_madvise,
        SYS_migrate_pages, SYS_move_pages,     SYS_process_vm_writev,
        SYS_setns,         SYS_move_mount,     SYS_fsopen,
        SYS_fsconfig,      SYS_fsmount,        SYS_name_to_handle_at,
        SYS_fanotify_init, SYS_io_uring_enter, SYS_io_uring_register,
        SYS_add_key,       SYS_request_key,    SYS_vmsplice,
        SYS_personality,   SYS_semget,         SYS_msgget,
        SYS_mq_open,
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        MUST_FAIL(syscall(calls[i], -1L, -1L, -1L, -1L, -1L, -1L), EPERM);
    MUST_FAIL(ioctl(STDERR_FILENO, TIOCSTI, "x"), EPERM);
    MUST_FAIL(syscall(SYS_ioctl, STDERR_FILENO, 1L << 32 | TIOCSTI, "x"), EPERM);
    MUST_FAIL(syscall(SYS_sched_setscheduler, getppid(), -1, NULL), EPERM);
    MUST_FAIL(syscall(SYS_sched_setparam, getppid(), NULL), EPERM);
    MUST_FAIL(syscall(SYS_sched_setattr, getppid(), NULL, 0), EPERM);
    MUST_FAIL(syscall(SYS_ioprio_set, 1, getppid(), -1), EPERM);
    MUST_FAIL(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]) {0}), EPERM);
}

static void what_is_refused_is_not_even_looked_at(void **state)
{
    (void)state;
    hold(&alone, call_all_that_is_refused);
    hold(&many, call_all_that_is_refused);
}

/* Numbers of the other interface that x86-64 may have: the rules know none of them. */
static void call_as_x32(void)
{
    (void)syscall(0x40000000L | SYS_getpid);
}

static void calls_of_another_interface_are_its_end(void **state)
{
    (void)state;
#ifdef __x86_64__
    box_kills((struct box) {.policy = alone, .check = call_as_x32}, SIGSYS);
#endif
}

static void compute(void)
{
    void *map =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int pair[2];
    char byte;

    MUST(map != MAP_FAILED); /* as a just-in-time compiler does */
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    MUST(write(pair[0], "x", 1) == 1 && read(pair[1], &byte, 1) == 1);
    MUST(dlopen("libpng16.so.16", RTLD_NOW) != NULL);
    MUST(raise(0) == 0);
}

static void what_a_computation_needs_is_there(void **state)
{
    (void)state;
    hold(&alone, compute);
}

static void *run_thread(void *arg)
{
    return arg;
}

static int start_thread(void)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, run_thread, NULL);

    return rc != 0 ? rc : pthread_join(thread, NULL);
}

static int start_child(void)
{
    char *argv[] = {(char *)(uintptr_t) "true", NULL};
    int status;
    pid_t pid;
    int rc = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);

    if (rc != 0)
        return rc;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void stay_alone(void)
{
    MUST_FAIL(fork(), EPERM);
    MUST_FAIL(syscall(SYS_clone3, NULL, 0), ENOSYS);
    MUST(start_thread() != 0);
    MUST(start_child() != 0);
    MUST_FAIL(kill(getppid(), 0), EPERM);
    MUST_FAIL(kill(-1, 0), EPERM);
    MUST_FAIL(kill(0, 0), EPERM);
    MUST(kill(getpid(), 0) == 0);
    /* No such signal, which the system sees before it asks whose process that is. */
    MUST_FAIL(syscall(SYS_tgkill, getppid(), getppid(), -1), EPERM);
    MUST_FAIL(syscall(SYS_rt_sigqueueinfo, getppid(), 0, NULL), EPERM);
    MUST_FAIL(syscall(SYS_rt_tgsigqueueinfo, getppid(), getppid(), 0, NULL), EPERM);
    MUST_FAIL(syscall(SYS_tkill, getpid(), 0), EPERM);
    MUST_FAIL(syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0), EPERM);
}

static void without_threads_it_stays_alone(void **state)
{
    (void)state;
    hold(&alone, stay_alone);
}

static void be_many(void)
{
    static const unsigned long spaces[] = {CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
                                           CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
                                           CLONE_NEWCGROUP};

    MUST(start_thread() == 0);
    MUST(start_child() == 0);
    /* CLONE_SIGHAND alone makes no sense, which the system sees first. */
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        MUST_FAIL(syscall(SYS_clone, spaces[i] | CLONE_SIGHAND, NULL, NULL, NULL, NULL), EPERM);
    MUST_FAIL(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM);
    MUST_FAIL(kill(-1, 0), EPERM);
    MUST_FAIL(kill(-getppid(), 0), EPERM);
    MUST_FAIL(kill(-getppid(), -1), EPERM);
    MUST(kill(0, 0) == 0);
    if (sandbox_report()->landlock_abi >= 6)
        MUST_FAIL(kill(getppid(), 0), EPERM);
}

static void with_threads_it_has_some_and_children(void **state)
{
    (void)state;
    hold(&many, be_many);
}

/* ---- the network ---- */

static int listener = -1;
static struct sockaddr_in address;

static void listen_here(void)
{
    socklen_t bytes = sizeof(address);

    if (listener < 0) {
        listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(listener >= 0);
        address =
            (struct sockaddr_in) {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listener, 8), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    }
}

static bool somebody_came(void)
{
    int fd = accept(listener, NULL, NULL);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static int reach(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static void find_no_socket(void)
{
    MUST_FAIL(socket(AF_INET, SOCK_DGRAM, 0), EPERM);
    MUST_FAIL(socket(AF_INET6, SOCK_STREAM, 0), EPERM);
    MUST_FAIL(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    MUST_FAIL(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
    MUST_FAIL(reach(), EPERM);
}

/* Where the system does not give the one layer that was not left out, there is nothing to try. */
static void reach_in_vain(void)
{
    bool has_landlock = box_active & LAYER_LANDLOCK && sandbox_report()->landlock_abi >= 4;

    if (has_landlock || box_active & (LAYER_SECCOMP | LAYER_NETWORK))
        MUST(reach() < 0);
}

/* Each of the layers alone keeps it from there. */
static void without_network_nobody_is_reached(void **state)
{
    static const uint32_t others[] = {
        LAYER_LANDLOCK | LAYER_NETWORK,
        LAYER_SECCOMP | LAYER_NETWORK,
        LAYER_SECCOMP | LAYER_LANDLOCK,
    };

    (void)state;
    listen_here();
    hold(&alone, find_no_socket);
    for (size_t i = 0; i < 3; i++) {
        struct box box = {.policy = alone, .config.without = others[i], .check = reach_in_vain};
        assert_int_equal(box_run(&box), 0);
    }
    assert_false(somebody_came());
}

static void find_the_listener(void)
{
    MUST(reach() == 0);
    MUST_FAIL(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
    MUST_FAIL(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0), EPERM);
    MUST_FAIL(socket(AF_AX25, SOCK_STREAM, -1), EPERM);
    MUST_FAIL(socket(AF_MAX, SOCK_STREAM, 0), EPERM);
}

static void with_network_it_is_that_of_the_server(void **state)
{
    (void)state;
    listen_here();
    hold(&(struct sandbox_policy) {.kind = SANDBOX_PROGRAM, .network = true}, find_the_listener);
    assert_true(somebody_came());
}

/* ---- trials ---- */

static void narrow(void)
{
    struct err err = {""};
    int (*answer)(void);

    MUST(dlopen("libpng16.so.16", RTLD_NOW) != NULL);
    answer = (int (*)(void))dlsym(RTLD_DEFAULT, "getpid");
    MUST(sandbox_narrow(&err) == 0);
    MUST(answer() == getpid());
    MUST_FAIL(open("/usr/lib", O_RDONLY), EPERM);
    MUST(abs(kill(getpid(), 0)) == 0);
    (void)unshare(CLONE_NEWUSER);
}

static void a_trial_goes_on_as_a_kernel(void **state)
{
    (void)state;
    box_kills((struct box) {.policy = alone, .check = narrow}, SIGSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_executed),
        cmocka_unit_test(no_meddling_with_others_or_the_system),
        cmocka_unit_test(what_is_refused_is_not_even_looked_at),
        cmocka_unit_test(calls_of_another_interface_are_its_end),
        cmocka_unit_test(what_a_computation_needs_is_there),
        cmocka_unit_test(without_threads_it_stays_alone),
        cmocka_unit_test(with_threads_it_has_some_and_children),
        cmocka_unit_test(without_network_nobody_is_reached),
        cmocka_unit_test(with_network_it_is_that_of_the_server),
        cmocka_unit_test(a_trial_goes_on_as_a_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
