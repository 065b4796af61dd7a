#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "box.h"

/* As in sandbox/internal.h: a sanitizer's shadow alone is terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

enum { MEMORY = 64 << 20 };

static void look_at_limits(void)
{
    static const struct {
        int resource;
        rlim_t max;
    } expected[] = {
        {RLIMIT_CORE, 0},    {RLIMIT_NOFILE, SANDBOX_FILES_MAX},
        {RLIMIT_MEMLOCK, 0}, {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_NPROC, 0},
    };

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct rlimit limit;
        MUST(getrlimit((__rlimit_resource_t)expected[i].resource, &limit) == 0);
        MUST(limit.rlim_max == expected[i].max && limit.rlim_cur == expected[i].max);
    }
}

static void everybody_has_the_usual_limits(void **state)
{
    (void)state;
    box_holds((struct box) {.check = look_at_limits});
    box_holds((struct box) {.policy.kind = SANDBOX_PROGRAM, .check = look_at_limits});
}

static void must_be(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit limit;

    MUST(getrlimit((__rlimit_resource_t)resource, &limit) == 0);
    MUST(limit.rlim_cur == soft && limit.rlim_max == hard);
}

static void look_at_limits_of_program(void)
{
    must_be(RLIMIT_FSIZE, 256 << 20, 256 << 20);
    must_be(RLIMIT_CPU, 60, 61); /* who lives through SIGXCPU has one second more */
    if (box_active & LAYER_USER)
        must_be(RLIMIT_NPROC, 1024, 1024);
}

static void a_program_has_limits_of_its_own(void **state)
{
    (void)state;
    box_holds((struct box) {.policy = {.kind = SANDBOX_PROGRAM, .threads = true, .cpu_s = 60},
                            .check = look_at_limits_of_program});
}

static void allow_few_files(void)
{
    const struct rlimit few = {.rlim_cur = 20, .rlim_max = 30};

    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
}

static void look_at_few_files(void)
{
    must_be(RLIMIT_NOFILE, 30, 30);
}

/* Who is not root could not raise it, and would have no worker. */
static void a_limit_that_is_lower_stays(void **state)
{
    (void)state;
    box_holds((struct box) {.before = allow_few_files, .check = look_at_few_files});
}

static void look_at_files(void)
{
    struct rlimit limit;

    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == 17);
}

static void a_policy_says_how_many_files(void **state)
{
    (void)state;
    box_holds((struct box) {.policy.nofile = 17, .check = look_at_files});
}

static void *map(size_t bytes, int flags)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

static void allocate(void)
{
    MUST(map(MEMORY / 2, MAP_PRIVATE) != MAP_FAILED);
    MUST(map(2 * MEMORY, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM);
    MUST(malloc(2 * MEMORY) == NULL);
}

static void memory_is_limited(void **state)
{
    struct box box = {.policy.memory_bytes = MEMORY, .check = allocate};

    (void)state;
    if (SANITIZED)
        return;
    box_holds(box);
    box.policy.kind = SANDBOX_PROGRAM;
    box.policy.memory_bytes = 3 * MEMORY / 2; /* with what the test itself has mapped */
    box_holds(box);
}

/* Seccomp is out of the way; it refuses a kernel such memory, but for the slabs that it is given. */
static void map_shared(void)
{
    MUST(map(2 * MEMORY, MAP_SHARED) != MAP_FAILED);
}

static void map_no_shared(void)
{
    MUST(map(2 * MEMORY, MAP_SHARED) == MAP_FAILED);
}

static void slabs_are_not_a_kernels_memory(void **state)
{
    struct box box = {
        .policy.memory_bytes = MEMORY, .config.without = LAYER_SECCOMP, .check = map_shared};

    (void)state;
    if (SANITIZED)
        return;
    box_holds(box);
    box.policy.kind = SANDBOX_PROGRAM;
    box.check = map_no_shared;
    box_holds(box);
}

static void spin(void)
{
    for (volatile unsigned i = 0;; i++)
        ;
}

static void too_much_time_is_told_from_other_deaths(void **state)
{
    (void)state;
    box_kills((struct box) {.policy.cpu_s = 1, .check = spin}, SIGXCPU);
}

static void *run_thread(void *arg)
{
    return arg;
}

static void start(void)
{
    pthread_t thread;

    MUST_FAIL(fork(), EAGAIN);
    MUST(pthread_create(&thread, NULL, run_thread, NULL) != 0);
}

/* Where there is no seccomp; root's processes are not counted. */
static void no_process_is_added(void **state)
{
    (void)state;
    box_holds((struct box) {.config.without = LAYER_SECCOMP, .check = start});
}

static char log_file[] = "/tmp/prong-limits-XXXXXX";

static void log_to_file(void)
{
    int fd = open(log_file, O_WRONLY | O_APPEND);

    MUST(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
}

static void log_to_pipe(void)
{
    int ends[2];

    MUST(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
}

static void write_log(void)
{
    MUST(write(STDERR_FILENO, "line\n", 5) == 5);
}

static void look_at_file_size(void)
{
    struct rlimit limit;

    MUST(getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_max == 0);
}

static void a_log_in_a_file_goes_on(void **state)
{
    int fd = mkstemp(log_file);

    (void)state;
    assert_true(fd >= 0 && fchmod(fd, 0666) == 0);
    box_holds((struct box) {.before = log_to_file, .check = write_log});
    assert_true(lseek(fd, 0, SEEK_END) >= 5);
    box_holds((struct box) {.before = log_to_pipe, .check = look_at_file_size});
    (void)close(fd);
    (void)unlink(log_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_has_the_usual_limits),
        cmocka_unit_test(a_program_has_limits_of_its_own),
        cmocka_unit_test(a_limit_that_is_lower_stays),
        cmocka_unit_test(a_policy_says_how_many_files),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(slabs_are_not_a_kernels_memory),
        cmocka_unit_test(too_much_time_is_told_from_other_deaths),
        cmocka_unit_test(no_process_is_added),
        cmocka_unit_test(a_log_in_a_file_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
