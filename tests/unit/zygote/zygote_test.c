/*
 * prong-zygote as prong sees it: a program with a socket on descriptor 3. Needs $PRONG_ZYGOTE, its
 * path, and $PRONG_TEST_KERNELS, the directory of kernels built from tests/unit/zygote/kernels.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../worker/prong_side.h"
#include "kernel_dir.h"

#include "base/check.h"
#include "base/fd.h"
#include "ipc/description.h"
#include "ipc/wire.h"

extern char **environ;

enum { KERNELS_SEEN_MAX = 64 };

struct zygote_under_test {
    struct kernel_dir dir;
    const char *const *names;
    size_t name_count;
    pid_t pid;
    int control;
    char kernels[KERNELS_SEEN_MAX][64];
    char broken[KERNELS_SEEN_MAX][256];
    uint32_t kernel_count;
    char refused[4][256]; /* files */
    uint32_t refused_count;
};

static const char *const usual[] = {"probe", "rows"};
static struct zygote_under_test zygote;
static struct prong_side_answer got;
static uint64_t next_generation = 500;
static _Alignas(8) char frame[PROTO_FRAME_MAX];

/* Starts the program with this on descriptor 3; -1 for nothing there. */
static pid_t start_program(const char *dir, const char *flag, const char *value, int fd)
{
    const char *path = getenv("PRONG_ZYGOTE");
    char *argv[] = {(char *)(uintptr_t) "prong-zygote", (char *)(uintptr_t)dir,
                    (char *)(uintptr_t) "warning",      (char *)(uintptr_t)flag,
                    (char *)(uintptr_t)value,           NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;

    if (path == NULL)
        print_error("PRONG_ZYGOTE is not set\n");
    assert_non_null(path);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    if (fd >= 0)
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fd, PROTO_ZYGOTE_FD), 0);
    else
        assert_int_equal(posix_spawn_file_actions_addclose(&actions, PROTO_ZYGOTE_FD), 0);
    assert_int_equal(posix_spawn(&pid, path, &actions, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static const void *receive(enum proto_type type, size_t bytes)
{
    ssize_t n =
        chan_recv_until(zygote.control, frame, sizeof(frame), clock_now_ns() + PRONG_SIDE_WAIT_NS);

    assert_true(n > 0);
    memset(frame + n, 0, 8 < sizeof(frame) - (size_t)n ? 8 : 0);
    assert_int_equal(((const struct proto_head *)(const void *)frame)->type, type);
    assert_true((size_t)n >= bytes);
    return frame;
}

static void note_kernel(const struct proto_kernel *k)
{
    struct description *d;

    assert_in_range(k->index, 0, KERNELS_SEEN_MAX - 1);
    assert_int_equal(k->index, zygote.kernel_count);
    assert_int_equal(description_decode(k + 1, k->head.bytes - sizeof(*k), &d), 0);
    (void)snprintf(zygote.kernels[k->index], sizeof(zygote.kernels[0]), "%s", d->name);
    (void)snprintf(zygote.broken[k->index], sizeof(zygote.broken[0]), "%s", d->broken);
    zygote.kernel_count++;
    free(d);
}

static bool note_refused(size_t n)
{
    struct wire_reader r;

    if (chan_frame(frame, n, PROTO_REFUSED, sizeof(struct proto_refused)) == NULL)
        return false;
    wire_read_init(&r, frame + sizeof(struct proto_refused), n - sizeof(struct proto_refused));
    assert_true(zygote.refused_count < ARRAY_SIZE(zygote.refused));
    (void)snprintf(zygote.refused[zygote.refused_count++], sizeof(zygote.refused[0]), "%s",
                   wire_text(&r, PROTO_REFUSED_FILE_MAX));
    return true;
}

static void receive_kernels(void)
{
    const struct proto_hello *hello = receive(PROTO_HELLO, sizeof(*hello));

    assert_int_equal(hello->version, PROTO_VERSION);
    assert_int_equal(hello->pid, zygote.pid);
    for (;;) {
        ssize_t n = chan_recv_until(zygote.control, frame, sizeof(frame),
                                    clock_now_ns() + PRONG_SIDE_WAIT_NS);
        assert_true(n > 0);
        if (chan_frame_exact(frame, (size_t)n, PROTO_READY, sizeof(struct proto_ready)) != NULL)
            break;
        if (note_refused((size_t)n))
            continue;
        assert_non_null(chan_frame(frame, (size_t)n, PROTO_KERNEL, sizeof(struct proto_kernel)));
        note_kernel((const void *)frame);
    }
    assert_int_equal(((const struct proto_ready *)(const void *)frame)->kernel_count,
                     zygote.kernel_count);
}

static void start_zygote(const char *const *names, size_t count, const char *flag)
{
    int fds[2];

    zygote = (struct zygote_under_test) {
        .dir = kernel_dir_new(names, count),
        .names = names,
        .name_count = count,
    };
    assert_int_equal(chan_pair(fds), 0);
    zygote.pid = start_program(zygote.dir.path, flag, NULL, fds[1]);
    (void)close(fds[1]);
    zygote.control = fds[0];
    receive_kernels();
}

static int open_usual(void **state)
{
    (void)state;
    start_zygote(usual, ARRAY_SIZE(usual), NULL);
    return 0;
}

/* Its exit code, once the socket is closed. */
static int stop_zygote(void)
{
    int status;

    check_close_fd(&zygote.control);
    zygote.control = -1;
    assert_int_equal(waitpid(zygote.pid, &status, 0), zygote.pid);
    kernel_dir_free(&zygote.dir, zygote.names, zygote.name_count);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int close_usual(void **state)
{
    (void)state;
    return stop_zygote();
}

static uint32_t kernel_named(const char *name)
{
    for (uint32_t i = 0; i < zygote.kernel_count; i++) {
        if (strcmp(zygote.kernels[i], name) == 0)
            return i;
    }
    print_error("there is no kernel %s\n", name);
    assert_true(false);
    return 0;
}

struct worker_under_test {
    struct prong_side side;
    struct proto_fork fork;
    pid_t pid;
};

static struct worker_under_test new_worker(uint32_t slot)
{
    struct worker_under_test w = {
        .fork =
            {
                .head = chan_head(PROTO_FORK, sizeof(struct proto_fork)),
                .generation = next_generation++,
                .out_bytes = PRONG_SIDE_OUT_BYTES,
                .slot = slot,
            },
    };

    prong_side_open(&w.side, PRONG_SIDE_OUT_BYTES);
    return w;
}

static void send_fork(const struct worker_under_test *w, size_t fd_count)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)&w->fork, .iov_len = sizeof(w->fork)};
    assert_int_equal(chan_send(zygote.control, &iov, 1, w->side.worker_fds, fd_count, 0), 0);
}

static void fork_worker(struct worker_under_test *w)
{
    const struct proto_forked *forked;

    send_fork(w, PROTO_FORK_FD_COUNT);
    prong_side_hand_over(&w->side);
    forked = receive(PROTO_FORKED, sizeof(*forked));
    assert_int_equal(forked->generation, w->fork.generation);
    assert_int_equal(forked->slot, w->fork.slot);
    assert_int_equal(forked->error, 0);
    assert_true(forked->pid > 1);
    w->pid = forked->pid;
}

static struct proto_exited expect_exit(struct worker_under_test *w)
{
    const struct proto_exited *exited = receive(PROTO_EXITED, sizeof(*exited));

    assert_int_equal(exited->generation, w->fork.generation);
    assert_int_equal(exited->slot, w->fork.slot);
    assert_int_equal(exited->pid, w->pid);
    return *exited;
}

static void send_kill(const struct worker_under_test *w, uint64_t generation, int signal)
{
    struct proto_kill k = {
        .head = chan_head(PROTO_KILL, sizeof(k)),
        .generation = generation,
        .slot = w->fork.slot,
        .signal = signal,
    };
    assert_int_equal(chan_send_struct(zygote.control, &k, sizeof(k), 0), 0);
}

/* Ends it in peace: nothing more will come on its intake. */
static void retire(struct worker_under_test *w)
{
    struct proto_exited exited;

    check_close_fd(&w->side.intake);
    w->side.intake = -1;
    exited = expect_exit(w);
    assert_int_equal(exited.status, PROTO_EXIT_RETIRED << 8);
    prong_side_close(&w->side);
}

static struct proto_task probe(struct worker_under_test *w, uint32_t mode, int64_t count,
                               const char *text)
{
    struct proto_task t = prong_side_task(&w->side, kernel_named("probe"), PROTO_OP_START);

    t.wants_parts = mode == PROBE_EMIT || mode == PROBE_GRANDCHILD;
    prong_side_send(&w->side, &t, prong_side_none(), prong_side_none(),
                    prong_side_probe(mode, count, text), NULL, 0);
    return t;
}

static void expect_echo(struct worker_under_test *w)
{
    struct proto_task t = probe(w, PROBE_ECHO, 0, "still here");

    prong_side_expect(&w->side, &t, PROTO_ANSWER_RESULT, &got);
    assert_string_equal(got.body, "still here");
}

static void await_task(const struct worker_under_test *w, uint64_t task)
{
    uint64_t deadline = clock_now_ns() + PRONG_SIDE_WAIT_NS;

    while (atomic_load(&w->side.page->task) != task) {
        assert_true(clock_now_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static int exit_code_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void nobody_but_prong_starts_it(void **state)
{
    int pipes[2], stream[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
    assert_int_equal(exit_code_of(start_program("/tmp", NULL, NULL, -1)), 64);
    assert_int_equal(exit_code_of(start_program("/tmp", NULL, NULL, pipes[0])), 64);
    assert_int_equal(exit_code_of(start_program("/tmp", NULL, NULL, stream[0])), 64);
    chan_close_fds(pipes, 2);
    chan_close_fds(stream, 2);
}

static void wrong_arguments_are_refused(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(chan_pair(fds), 0);
    assert_int_equal(exit_code_of(start_program("/tmp", "--verbose", NULL, fds[1])), 64);
    assert_int_equal(exit_code_of(start_program("/tmp", "--parent", NULL, fds[1])), 64);
    assert_int_equal(exit_code_of(start_program("/tmp", "--parent", "-5", fds[1])), 64);
    /* Somebody else's child: its parent died before it could bind itself to it. */
    assert_int_equal(exit_code_of(start_program("/tmp", "--parent", "1", fds[1])), 0);
    chan_close_fds(fds, 2);
}

static void kernels_are_announced_broken_or_not(void **state)
{
    static const char *const names[] = {"selftest_fails", "selftest_crashes",   "rows", "fault",
                                        "no_entry",       "constructor_crashes"};

    (void)state;
    start_zygote(names, ARRAY_SIZE(names), NULL);
    assert_int_equal(zygote.kernel_count, 3);
    assert_string_equal(zygote.kernels[0], "rows");
    assert_string_equal(zygote.broken[0], "");
    assert_string_equal(zygote.kernels[1], "selftest_crashes");
    assert_string_equal(zygote.broken[1], "Its self-test died by SIGSEGV.");
    assert_string_equal(zygote.broken[2], "Two and two make five.");
    assert_int_equal(zygote.refused_count, 2);
    assert_string_equal(zygote.refused[0], "constructor_crashes.so");
    assert_string_equal(zygote.refused[1], "no_entry.so");
    assert_int_equal(stop_zygote(), 0);
}

static void the_fault_kernel_needs_its_flag(void **state)
{
    static const char *const names[] = {"fault", "rows"};

    (void)state;
    start_zygote(names, ARRAY_SIZE(names), "--enable-fault-kernel");
    assert_int_equal(zygote.kernel_count, 2);
    assert_string_equal(zygote.kernels[0], "fault");
    assert_int_equal(stop_zygote(), 0);
}

static void the_kernels_of_this_build_are_sound(void **state)
{
    const char *dir = getenv("PRONG_KERNELS");
    int fds[2];

    (void)state;
    if (dir == NULL)
        skip();
    zygote = (struct zygote_under_test) {.dir = kernel_dir_new(NULL, 0)};
    assert_int_equal(chan_pair(fds), 0);
    zygote.pid = start_program(dir, NULL, NULL, fds[1]);
    (void)close(fds[1]);
    zygote.control = fds[0];
    receive_kernels();
    assert_true(zygote.kernel_count > 0);
    for (uint32_t i = 0; i < zygote.kernel_count; i++)
        assert_string_equal(zygote.broken[i], "");
    assert_int_equal(stop_zygote(), 0);
}

static void an_open_directory_gives_no_kernels(void **state)
{
    int fds[2];

    (void)state;
    zygote = (struct zygote_under_test) {
        .dir = kernel_dir_new(usual, ARRAY_SIZE(usual)),
        .names = usual,
        .name_count = ARRAY_SIZE(usual),
    };
    assert_int_equal(chmod(zygote.dir.path, 0777), 0);
    assert_int_equal(chan_pair(fds), 0);
    zygote.pid = start_program(zygote.dir.path, NULL, NULL, fds[1]);
    (void)close(fds[1]);
    zygote.control = fds[0];
    receive_kernels();
    assert_int_equal(zygote.kernel_count, 0);
    assert_int_equal(stop_zygote(), 0);
}

static void tasks_are_answered(void **state)
{
    struct worker_under_test w = new_worker(0);

    (void)state;
    fork_worker(&w);
    for (int i = 0; i < 100; i++)
        expect_echo(&w);
    retire(&w);
}

static void workers_share_one_intake(void **state)
{
    enum { WORKERS = 8, TASKS = 64 };
    struct worker_under_test w[WORKERS];
    struct pollfd polled[WORKERS];
    int answered = 0;

    (void)state;
    for (uint32_t i = 0; i < WORKERS; i++) {
        w[i] = new_worker(i);
        if (i > 0) {
            (void)close(w[i].side.worker_fds[PROTO_FORK_INTAKE]);
            w[i].side.worker_fds[PROTO_FORK_INTAKE] = dup(w[0].side.worker_fds[PROTO_FORK_INTAKE]);
        }
        polled[i] = (struct pollfd) {.fd = w[i].side.channel, .events = POLLIN};
    }
    for (uint32_t i = WORKERS; i-- > 0;)
        fork_worker(&w[i]);
    for (int i = 0; i < TASKS; i++)
        (void)probe(&w[0], PROBE_ECHO, 0, "any");
    while (answered < TASKS) {
        assert_true(poll(polled, WORKERS, 20000) > 0);
        for (int i = 0; i < WORKERS; i++) {
            if (polled[i].revents == 0)
                continue;
            assert_true(prong_side_receive(&w[i].side, &got) > 0);
            answered++;
        }
    }
    check_close_fd(&w[0].side.intake);
    w[0].side.intake = -1;
    for (int i = 0; i < WORKERS; i++)
        (void)receive(PROTO_EXITED, sizeof(struct proto_exited));
    for (int i = 0; i < WORKERS; i++)
        prong_side_close(&w[i].side);
}

static void input_and_media_type_cross_inline_and_in_slabs(void **state)
{
    struct worker_under_test w = new_worker(1);
    struct proto_task t = prong_side_task(&w.side, kernel_named("probe"), PROTO_OP_START);
    int fd = prong_side_slab(1 << 16, 4096, prong_side_text("from the slab"));

    (void)state;
    fork_worker(&w);
    t.input_kind = PRONG_INPUT_RAW;
    prong_side_send(&w.side, &t, prong_side_text("inline"), prong_side_none(),
                    prong_side_probe(PROBE_ECHO, 0, ""), NULL, 0);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    assert_string_equal(got.body, "text/probeinline");
    t.input = (struct proto_area) {.slab = 9, .slab_bytes = 1 << 16, .offset = 4096, .bytes = 13};
    for (t.task++; t.task < 1050; t.task++) {
        prong_side_send(&w.side, &t, prong_side_none(), prong_side_none(),
                        prong_side_probe(PROBE_ECHO, 0, ""), &fd, 1);
        prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
        assert_string_equal(got.body, "text/probefrom the slab");
    }
    (void)close(fd);
    retire(&w);
}

static void large_results_wait_for_the_ack(void **state)
{
    struct worker_under_test w = new_worker(1);
    struct pollfd p = {.fd = w.side.channel, .events = POLLIN};
    struct proto_task first, second;

    (void)state;
    fork_worker(&w);
    first = probe(&w, PROBE_BLOB, PRONG_SIDE_OUT_BYTES, "");
    second = probe(&w, PROBE_BLOB, 20000, "");
    prong_side_expect(&w.side, &first, PROTO_ANSWER_RESULT, &got);
    assert_int_equal(got.head.in_slab, 1);
    assert_int_equal(got.head.result_bytes, PRONG_SIDE_OUT_BYTES);
    assert_int_equal(poll(&p, 1, 100), 0); /* the second must not overwrite the first */
    for (int i = 0; i < PRONG_SIDE_OUT_BYTES; i++)
        assert_int_equal(w.side.out[i], (char)(i % 251));
    prong_side_ack(&w.side);
    prong_side_expect(&w.side, &second, PROTO_ANSWER_RESULT, &got);
    assert_int_equal(got.head.result_bytes, 20000);
    first = probe(&w, PROBE_BLOB, PRONG_SIDE_OUT_BYTES + 1, "");
    prong_side_expect(&w.side, &first, PROTO_ANSWER_FAILED, &got);
    assert_non_null(strstr(got.body, "--result-max"));
    prong_side_ack(&w.side);
    expect_echo(&w);
    retire(&w);
}

static void parts_come_before_the_answer(void **state)
{
    struct worker_under_test w = new_worker(2);
    struct proto_task t;

    (void)state;
    fork_worker(&w);
    t = probe(&w, PROBE_EMIT, 25, "");
    for (int i = 0; i < 25; i++) {
        prong_side_expect(&w.side, &t, PROTO_ANSWER_EMITTED, &got);
        assert_int_equal(got.body[0], '0' + i % 10);
    }
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    retire(&w);
}

static void failures_are_told(void **state)
{
    struct worker_under_test w = new_worker(2);
    struct proto_task t;

    (void)state;
    fork_worker(&w);
    t = probe(&w, PROBE_FAIL, 0, "so");
    prong_side_expect(&w.side, &t, PROTO_ANSWER_FAILED, &got);
    assert_string_equal(got.body, "It is told to fail: so.");
    t = probe(&w, PROBE_SILENT, 0, "");
    prong_side_expect(&w.side, &t, PROTO_ANSWER_FAILED, &got);
    assert_string_equal(got.body, "The kernel probe failed without saying why.");
    expect_echo(&w);
    retire(&w);
}

static void rows(struct worker_under_test *w, struct proto_task *t, int64_t count, int64_t pause_ms,
                 struct prong_buf parts)
{
    const int64_t values[2] = {count, pause_ms};

    prong_side_send(&w->side, t, prong_side_none(), parts, prong_side_ints(values, 2), NULL, 0);
}

static void work_is_split_mapped_and_finished(void **state)
{
    struct worker_under_test w = new_worker(3);
    struct proto_task t = prong_side_task(&w.side, kernel_named("rows"), PROTO_OP_START);
    static char first[256], second[256];
    struct prong_buf parts[2] = {{first, 6 * 8}, {second, 4 * 8}};

    (void)state;
    fork_worker(&w);
    t.split_ns = 0;
    rows(&w, &t, 10, 0, prong_side_none());
    prong_side_expect(&w.side, &t, PROTO_ANSWER_PLANNED, &got);
    assert_int_equal(got.head.units, 10);
    assert_true(got.head.unit_cost == 2.0);
    t = prong_side_task(&w.side, kernel_named("rows"), PROTO_OP_MAP);
    t.lo = 0, t.hi = 6;
    rows(&w, &t, 10, 0, prong_side_none());
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    assert_int_equal(got.head.units, 6);
    memcpy(first, got.body, 6 * 8);
    t.lo = 6, t.hi = 10, t.task++;
    rows(&w, &t, 10, 0, prong_side_none());
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    memcpy(second, got.body, 4 * 8);
    t.op = PROTO_OP_FINISH, t.part_count = 2, t.task++;
    rows(&w, &t, 10, 0, prong_side_parts(parts, 2));
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    assert_string_equal(got.body, "10 rows, sum 45");
    retire(&w);
}

static void a_range_is_handed_back_when_asked(void **state)
{
    struct worker_under_test w = new_worker(3);
    struct proto_task t = prong_side_task(&w.side, kernel_named("rows"), PROTO_OP_MAP);
    uint64_t done;

    (void)state;
    fork_worker(&w);
    t.lo = 100, t.hi = 10000;
    rows(&w, &t, 10000, 5, prong_side_none());
    await_task(&w, t.task);
    while (atomic_load(&w.side.page->done) < 3)
        (void)poll(NULL, 0, 1);
    atomic_store(&w.side.control->yield[t.inflight], t.task);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    done = got.head.units;
    assert_in_range(done, 3, 9000);
    assert_int_equal(got.head.result_bytes, done * 8);
    for (uint64_t i = 0; i < done; i++) {
        uint64_t row;
        memcpy(&row, got.body + i * 8, 8);
        assert_int_equal(row, 100 + i);
    }
    retire(&w);
}

static void cancelled_before_and_while_it_runs(void **state)
{
    struct worker_under_test w = new_worker(4);
    struct proto_task t;

    (void)state;
    fork_worker(&w);
    atomic_store(&w.side.control->cancel[7], w.side.next_task);
    t = probe(&w, PROBE_CRASH, 0, "");
    prong_side_expect(&w.side, &t, PROTO_ANSWER_CANCELLED, &got);
    t = probe(&w, PROBE_SPIN, 0, "");
    await_task(&w, t.task);
    atomic_store(&w.side.control->cancel[7], t.task);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_CANCELLED, &got);
    expect_echo(&w);
    retire(&w);
}

static void the_deadline_stops_a_kernel_that_asks(void **state)
{
    struct worker_under_test w = new_worker(4);
    struct proto_task t = prong_side_task(&w.side, kernel_named("probe"), PROTO_OP_START);

    (void)state;
    fork_worker(&w);
    t.deadline_ns = clock_now_ns() + 30 * CLOCK_NS_PER_MS;
    prong_side_send(&w.side, &t, prong_side_none(), prong_side_none(),
                    prong_side_probe(PROBE_SPIN, 0, ""), NULL, 0);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_CANCELLED, &got);
    assert_true(clock_now_ns() >= t.deadline_ns);
    retire(&w);
}

static void a_crash_is_told_and_costs_nobody_else(void **state)
{
    struct worker_under_test w = new_worker(5), other = new_worker(6);
    struct proto_exited exited;
    struct proto_task t;

    (void)state;
    fork_worker(&w);
    fork_worker(&other);
    t = probe(&w, PROBE_CRASH, 0, "");
    exited = expect_exit(&w);
    assert_true(WIFSIGNALED(exited.status));
    assert_int_equal(WTERMSIG(exited.status), SIGSEGV);
    assert_int_equal(atomic_load(&w.side.page->task), t.task);
    assert_true(exited.max_rss_kb > 0);
    assert_int_equal(prong_side_receive(&w.side, &got), 0);
    expect_echo(&other);
    prong_side_close(&w.side);
    retire(&other);
}

static void an_exit_code_is_told(void **state)
{
    struct worker_under_test w = new_worker(5);

    (void)state;
    fork_worker(&w);
    (void)probe(&w, PROBE_EXIT, 23, "");
    assert_int_equal(expect_exit(&w).status, 23 << 8);
    prong_side_close(&w.side);
}

static void kill_needs_the_right_generation(void **state)
{
    struct worker_under_test w = new_worker(7);

    (void)state;
    fork_worker(&w);
    send_kill(&w, w.fork.generation - 1, SIGKILL);
    send_kill(&w, w.fork.generation + 1, SIGKILL);
    expect_echo(&w);
    send_kill(&w, w.fork.generation, SIGTERM);
    assert_int_equal(WTERMSIG(expect_exit(&w).status), SIGTERM);
    send_kill(&w, w.fork.generation, SIGKILL); /* too late, and no mistake */
    prong_side_close(&w.side);
    w = new_worker(7); /* the slot is free again */
    fork_worker(&w);
    send_kill(&w, w.fork.generation, SIGKILL); /* perhaps before it leads a group */
    assert_int_equal(WTERMSIG(expect_exit(&w).status), SIGKILL);
    prong_side_close(&w.side);
}

/* Gone, or a zombie: in a container nobody may care for those. */
static bool is_gone(pid_t pid)
{
    char path[64], text[512];

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    return fd_read_file(path, text, sizeof(text)) < 0 || strstr(text, ") Z") != NULL;
}

static void await_gone(pid_t pid)
{
    uint64_t deadline = clock_now_ns() + PRONG_SIDE_WAIT_NS;

    while (!is_gone(pid)) {
        assert_true(clock_now_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static void a_grandchild_goes_with_its_worker(void **state)
{
    struct worker_under_test w = new_worker(8);
    struct proto_task t;
    int32_t grandchild;

    (void)state;
    fork_worker(&w);
    t = probe(&w, PROBE_GRANDCHILD, 0, "");
    prong_side_expect(&w.side, &t, PROTO_ANSWER_EMITTED, &got);
    memcpy(&grandchild, got.body, sizeof(grandchild));
    assert_int_equal(kill(grandchild, 0), 0);
    assert_int_equal(kill(w.pid, SIGKILL), 0); /* only the worker itself */
    (void)expect_exit(&w);
    await_gone(grandchild);
    prong_side_close(&w.side);
}

static void retired_by_growth(void **state)
{
    struct worker_under_test w = new_worker(9);
    struct proto_task t;

    (void)state;
    w.fork.rss_grow_bytes_max = 16 << 20;
    fork_worker(&w);
    t = probe(&w, PROBE_LEAK, 64 << 20, "");
    prong_side_expect(&w.side, &t, PROTO_ANSWER_RESULT, &got);
    assert_int_equal(expect_exit(&w).status, PROTO_EXIT_RETIRED << 8);
    prong_side_close(&w.side);
}

static void unsound_tasks_end_the_worker(void **state)
{
    struct worker_under_test w;
    struct proto_task t;

    (void)state;
    for (int i = 0; i < 4; i++) {
        int fd = i == 3 ? memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                        : prong_side_slab(4096, 0, prong_side_text("x"));
        assert_int_equal(ftruncate(fd, 4096), 0);
        w = new_worker(10);
        fork_worker(&w);
        t = prong_side_task(&w.side, i == 0 ? 2 : kernel_named("probe"), PROTO_OP_START);
        t.input_kind = PRONG_INPUT_RAW;
        t.input = (struct proto_area) {.slab = 4, .slab_bytes = 4096, .bytes = 1};
        if (i == 1)
            t.input.bytes = 4097;
        prong_side_send(&w.side, &t, prong_side_none(), prong_side_none(),
                        prong_side_probe(PROBE_ECHO, 0, ""), &fd, i == 2 ? 0 : 1);
        assert_int_equal(expect_exit(&w).status, PROTO_EXIT_SETUP << 8);
        prong_side_close(&w.side);
        (void)close(fd);
    }
}

static void closing_the_socket_ends_everything(void **state)
{
    struct worker_under_test idle = new_worker(0), busy = new_worker(1);
    struct proto_task t;
    int32_t grandchild;

    (void)state;
    start_zygote(usual, ARRAY_SIZE(usual), NULL);
    fork_worker(&idle);
    fork_worker(&busy);
    t = probe(&busy, PROBE_GRANDCHILD, 0, "");
    prong_side_expect(&busy.side, &t, PROTO_ANSWER_EMITTED, &got);
    memcpy(&grandchild, got.body, sizeof(grandchild));
    assert_int_equal(stop_zygote(), 0);
    assert_true(is_gone(idle.pid));
    assert_true(is_gone(busy.pid));
    await_gone(grandchild);
    prong_side_close(&idle.side);
    prong_side_close(&busy.side);
}

static void workers_die_with_a_killed_zygote(void **state)
{
    struct worker_under_test w = new_worker(0);
    int status;

    (void)state;
    start_zygote(usual, ARRAY_SIZE(usual), NULL);
    fork_worker(&w);
    expect_echo(&w);
    assert_int_equal(kill(zygote.pid, SIGKILL), 0);
    assert_int_equal(waitpid(zygote.pid, &status, 0), zygote.pid);
    assert_int_equal(prong_side_receive(&w.side, &got), 0);
    (void)close(zygote.control);
    kernel_dir_free(&zygote.dir, usual, ARRAY_SIZE(usual));
    prong_side_close(&w.side);
}

static void the_terminals_signals_are_prongs_business(void **state)
{
    struct worker_under_test w = new_worker(0);

    (void)state;
    start_zygote(usual, ARRAY_SIZE(usual), NULL);
    assert_int_equal(kill(zygote.pid, SIGINT), 0);
    assert_int_equal(kill(zygote.pid, SIGHUP), 0);
    fork_worker(&w);
    expect_echo(&w);
    retire(&w);
    assert_int_equal(stop_zygote(), 0);
}

static void no_frame(void)
{
    assert_int_equal(send(zygote.control, "short", 5, 0), 5);
}

static void cut_frame(void)
{
    struct proto_kill k = {.head = chan_head(PROTO_KILL, sizeof(k))};
    assert_int_equal(send(zygote.control, &k, sizeof(k) - 1, 0), sizeof(k) - 1);
}

static void frame_of_the_wrong_side(void)
{
    struct proto_forked f = {.head = chan_head(PROTO_FORKED, sizeof(f))};
    assert_int_equal(chan_send_struct(zygote.control, &f, sizeof(f), 0), 0);
}

static void frame_too_long(void)
{
    static char zeros[4096];
    struct proto_head head = chan_head(PROTO_FORK, sizeof(zeros));
    memcpy(zeros, &head, sizeof(head));
    assert_int_equal(chan_send_struct(zygote.control, zeros, sizeof(zeros), 0), 0);
}

static void fork_without_all_descriptors(void)
{
    struct worker_under_test w = new_worker(0);
    send_fork(&w, PROTO_FORK_FD_COUNT - 1);
    prong_side_close(&w.side);
}

static void fork_beyond_the_slots(void)
{
    struct worker_under_test w = new_worker(PROTO_WORKERS_MAX);
    send_fork(&w, PROTO_FORK_FD_COUNT);
    prong_side_close(&w.side);
}

static void fork_into_a_taken_slot(void)
{
    struct worker_under_test first = new_worker(1), second = new_worker(1);

    fork_worker(&first);
    send_fork(&second, PROTO_FORK_FD_COUNT);
    /* Not before: without its intake the first would leave the slot. */
    assert_int_equal(prong_side_receive(&first.side, &got), 0);
    prong_side_close(&first.side);
    prong_side_close(&second.side);
}

static void kill_with_no_signal(void)
{
    struct worker_under_test w = new_worker(0);
    send_kill(&w, 0, 0);
    prong_side_close(&w.side);
}

static void unsound_frames_end_the_zygote(void **state)
{
    static void (*const acts[])(void) = {
        no_frame,
        cut_frame,
        frame_of_the_wrong_side,
        frame_too_long,
        fork_without_all_descriptors,
        fork_beyond_the_slots,
        fork_into_a_taken_slot,
        kill_with_no_signal,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        int status;
        start_zygote(usual, ARRAY_SIZE(usual), NULL);
        acts[i]();
        assert_int_equal(waitpid(zygote.pid, &status, 0), zygote.pid);
        assert_int_equal(status, 70 << 8);
        (void)close(zygote.control);
        kernel_dir_free(&zygote.dir, usual, ARRAY_SIZE(usual));
    }
}

#define WITH_ZYGOTE(test) cmocka_unit_test_setup_teardown(test, open_usual, close_usual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_but_prong_starts_it),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(kernels_are_announced_broken_or_not),
        cmocka_unit_test(the_fault_kernel_needs_its_flag),
        cmocka_unit_test(the_kernels_of_this_build_are_sound),
        cmocka_unit_test(an_open_directory_gives_no_kernels),
        WITH_ZYGOTE(tasks_are_answered),
        WITH_ZYGOTE(workers_share_one_intake),
        WITH_ZYGOTE(input_and_media_type_cross_inline_and_in_slabs),
        WITH_ZYGOTE(large_results_wait_for_the_ack),
        WITH_ZYGOTE(parts_come_before_the_answer),
        WITH_ZYGOTE(failures_are_told),
        WITH_ZYGOTE(work_is_split_mapped_and_finished),
        WITH_ZYGOTE(a_range_is_handed_back_when_asked),
        WITH_ZYGOTE(cancelled_before_and_while_it_runs),
        WITH_ZYGOTE(the_deadline_stops_a_kernel_that_asks),
        WITH_ZYGOTE(a_crash_is_told_and_costs_nobody_else),
        WITH_ZYGOTE(an_exit_code_is_told),
        WITH_ZYGOTE(kill_needs_the_right_generation),
        WITH_ZYGOTE(a_grandchild_goes_with_its_worker),
        WITH_ZYGOTE(retired_by_growth),
        WITH_ZYGOTE(unsound_tasks_end_the_worker),
        cmocka_unit_test(closing_the_socket_ends_everything),
        cmocka_unit_test(workers_die_with_a_killed_zygote),
        cmocka_unit_test(the_terminals_signals_are_prongs_business),
        cmocka_unit_test(unsound_frames_end_the_zygote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
