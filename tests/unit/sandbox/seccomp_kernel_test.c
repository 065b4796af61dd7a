/* What a kernel may call, tried by a child in a kernel's sandbox with all layers. */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "box.h"

static void hold(void (*check)(void))
{
    box_holds((struct box) {.check = check});
}

static void die(void (*check)(void))
{
    box_kills((struct box) {.check = check}, SIGSYS);
}

static void open_files(void)
{
    struct stat st;

    MUST_FAIL(open("/etc/passwd", O_RDONLY), EPERM);
    MUST_FAIL(open("/usr/lib", O_RDONLY | O_DIRECTORY), EPERM);
    MUST_FAIL(open("/tmp/prong-sandbox-test", O_WRONLY | O_CREAT, 0600), EPERM);
    MUST_FAIL(stat("/etc/passwd", &st), EPERM);
    MUST_FAIL(access("/etc/passwd", R_OK), EPERM);
    MUST(fstat(STDERR_FILENO, &st) == 0);
}

static void no_file_is_opened(void **state)
{
    (void)state;
    hold(open_files);
}

static void *run_thread(void *arg)
{
    return arg;
}

static void start_something(void)
{
    char *argv[] = {(char *)(uintptr_t) "true", NULL};
    pthread_t thread;

    MUST_FAIL(fork(), EPERM);
    MUST_FAIL(vfork(), EPERM);
    MUST(pthread_create(&thread, NULL, run_thread, NULL) != 0);
    MUST_FAIL(syscall(SYS_clone3, NULL, 0), ENOSYS);
    MUST_FAIL(execv("/bin/true", argv), EPERM);
}

static void nothing_is_started(void **state)
{
    (void)state;
    hold(start_something);
}

static void talk(void)
{
    int pair[2];

    MUST_FAIL(socket(AF_INET, SOCK_STREAM, 0), EPERM);
    MUST_FAIL(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
    MUST_FAIL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EPERM);
    MUST_FAIL(connect(3, NULL, 0), EPERM);
}

static void no_socket_is_made(void **state)
{
    (void)state;
    hold(talk);
}

static void signal_others(void)
{
    MUST_FAIL(kill(getppid(), 0), EPERM);
    MUST_FAIL(kill(-1, 0), EPERM);
    MUST_FAIL(kill(0, 0), EPERM);
    MUST_FAIL(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM);
    MUST(kill(getpid(), 0) == 0);
    MUST(raise(0) == 0);
}

static void others_get_no_signal(void **state)
{
    (void)state;
    hold(signal_others);
}

static void call_abort(void)
{
    abort();
}

static void abort_still_works(void **state)
{
    (void)state;
    box_kills((struct box) {.check = call_abort}, SIGABRT);
}

static void make_code(void)
{
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    MUST(map != MAP_FAILED);
    MUST(mprotect(map, 4096, PROT_READ) == 0);
    MUST_FAIL(mprotect(map, 4096, PROT_READ | PROT_EXEC), EPERM);
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
             MAP_FAILED &&
         errno == EPERM);
}

static void no_code_is_made(void **state)
{
    (void)state;
    hold(make_code);
}

static void take_uncounted_memory(void)
{
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) ==
             MAP_FAILED &&
         errno == EPERM);
    MUST_FAIL(memfd_create("more", 0), EPERM);
}

static void no_memory_goes_uncounted(void **state)
{
    (void)state;
    hold(take_uncounted_memory);
}

static void raise_limits(void)
{
    struct rlimit limit;

    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == SANDBOX_FILES_MAX);
    limit.rlim_max = 1000;
    MUST_FAIL(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    MUST_FAIL(prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL), EPERM);
    MUST_FAIL(setrlimit(RLIMIT_STACK, &limit), EPERM);
    MUST_FAIL(setrlimit(RLIMIT_FSIZE, &limit), EPERM);
    MUST_FAIL(setuid(0), EPERM);
    MUST_FAIL(setsid(), EPERM);
}

static void no_limit_is_raised(void **state)
{
    (void)state;
    hold(raise_limits);
}

static void change_shared_flags(void)
{
    MUST(fcntl(STDERR_FILENO, F_GETFL) >= 0);
    MUST_FAIL(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), EPERM);
    MUST_FAIL(prctl(PR_SET_PDEATHSIG, 0), EPERM);
}

static void descriptors_stay_as_they_are(void **state)
{
    (void)state;
    hold(change_shared_flags);
}

static void call_ptrace(void)
{
    (void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void call_unshare(void)
{
    (void)unshare(CLONE_NEWUSER);
}

static void call_unknown(void)
{
    (void)syscall(9999);
}

static void call_tricky_fcntl(void)
{
    (void)fcntl(STDERR_FILENO, F_SETOWN, 1);
}

static void limit_another(void)
{
    const struct rlimit limit = {0, 0};

    (void)prlimit(getppid(), RLIMIT_DATA, &limit, NULL);
}

static void look_at_limits_of_another(void)
{
    struct rlimit limit;

    (void)prlimit(getppid(), RLIMIT_DATA, NULL, &limit);
}

static void what_no_kernel_needs_is_its_end(void **state)
{
    (void)state;
    die(call_ptrace);
    die(call_unshare);
    die(call_unknown);
    die(call_tricky_fcntl);
    die(limit_another);
    die(look_at_limits_of_another);
}

static void do_what_libraries_do(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char text[64];
    time_t now = time(NULL);
    struct tm tm;

    MUST(f == NULL);
    MUST(localtime_r(&now, &tm) != NULL && strftime(text, sizeof(text), "%H:%M", &tm) > 0);
    MUST(isatty(STDERR_FILENO) == 0);
    MUST(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    MUST(malloc(100 << 20) != NULL);
    MUST(nice(1) >= -1);
    MUST(system("true") != 0);
}

static void libraries_are_told_no_and_live(void **state)
{
    (void)state;
    hold(do_what_libraries_do);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_is_opened),
        cmocka_unit_test(nothing_is_started),
        cmocka_unit_test(no_socket_is_made),
        cmocka_unit_test(others_get_no_signal),
        cmocka_unit_test(abort_still_works),
        cmocka_unit_test(no_code_is_made),
        cmocka_unit_test(no_memory_goes_uncounted),
        cmocka_unit_test(no_limit_is_raised),
        cmocka_unit_test(descriptors_stay_as_they_are),
        cmocka_unit_test(what_no_kernel_needs_is_its_end),
        cmocka_unit_test(libraries_are_told_no_and_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
