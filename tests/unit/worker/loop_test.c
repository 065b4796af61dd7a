#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/loop.h"

#include "prong_side.h"

/* A worker of a process of its own, as the zygote would fork it, with one kernel: its input comes
 * back, "spin" waits for the end, "crash" brings it. */
static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    struct prong_buf in;

    (void)lo, (void)hi;
    (void)prong_input(c, &in);
    if (in.size == 5 && memcmp(in.data, "crash", 5) == 0)
        abort();
    while (in.size == 4 && memcmp(in.data, "spin", 4) == 0) {
        if (prong_progress(c, 1, 2) != 0)
            return 0;
    }
    return prong_write(c, in.data, in.size);
}

static struct registry registry = {
    .count = 1,
    .kernels = {{.kernel = {.size = sizeof(struct prong_kernel), .name = "echo", .map = map}}},
};

struct worker_under_test {
    struct prong_side side;
    struct proto_fork limits;
    pid_t pid;
};

static struct prong_side_answer got;

static struct worker_under_test new_worker(void)
{
    struct worker_under_test w = {.limits = {.out_bytes = PRONG_SIDE_OUT_BYTES}};

    prong_side_open(&w.side, PRONG_SIDE_OUT_BYTES);
    return w;
}

static void start(struct worker_under_test *w)
{
    struct worker_config config = {.registry = &registry, .fork = &w->limits, .parent = getpid()};

    memcpy(config.fds, w->side.worker_fds, sizeof(config.fds));
    w->pid = fork();
    if (w->pid == 0)
        worker_run(&config);
    prong_side_hand_over(&w->side);
}

static struct proto_task give(struct worker_under_test *w, const char *input)
{
    struct proto_task t = prong_side_task(&w->side, 0, PROTO_OP_START);

    t.input_kind = PRONG_INPUT_RAW;
    prong_side_send(&w->side, &t, prong_side_text(input), prong_side_none(), prong_side_none(),
                    NULL, 0);
    return t;
}

static void echo_once(struct worker_under_test *w)
{
    struct proto_task t = give(w, "hello");

    prong_side_expect(&w->side, &t, PROTO_ANSWER_RESULT, &got);
    assert_string_equal(got.body, "hello");
}

static int end(struct worker_under_test *w)
{
    int status;

    check_close_fd(&w->side.intake);
    w->side.intake = -1;
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    prong_side_close(&w->side);
    return status;
}

static void await_task(const struct worker_under_test *w, uint64_t task)
{
    uint64_t deadline = clock_now_ns() + PRONG_SIDE_WAIT_NS;

    while (atomic_load(&w->side.page->task) != task) {
        assert_true(clock_now_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static void tasks_are_answered_and_counted(void **state)
{
    struct worker_under_test w = new_worker();

    (void)state;
    start(&w);
    for (int i = 0; i < 100; i++)
        echo_once(&w);
    await_task(&w, 0);
    assert_int_equal(got.head.units, 1);
    assert_true(got.head.max_rss_kb > 0 && got.head.run_ns > 0);
    assert_true(atomic_load(&w.side.page->rss_bytes) > 0);
    assert_int_equal(end(&w), 0);
}

static void the_page_names_the_task_that_killed_it(void **state)
{
    struct worker_under_test w = new_worker();
    struct proto_task t;
    uint64_t task;
    int status;

    (void)state;
    start(&w);
    echo_once(&w);
    t = give(&w, "crash");
    assert_int_equal(prong_side_receive(&w.side, &got), 0);
    task = atomic_load(&w.side.page->task);
    status = end(&w);
    assert_int_equal(task, t.task);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void cancelled_before_it_starts(void **state)
{
    struct worker_under_test w = new_worker();
    struct proto_task t;

    (void)state;
    atomic_store(&w.side.control->cancel[7], w.side.next_task);
    t = give(&w, "crash");
    start(&w);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_CANCELLED, &got);
    assert_int_equal(got.head.run_ns, 0); /* nothing was even looked at */
    echo_once(&w);
    assert_int_equal(end(&w), 0);
}

static void cancelled_while_it_runs(void **state)
{
    struct worker_under_test w = new_worker();
    struct proto_task t;

    (void)state;
    start(&w);
    t = give(&w, "spin");
    await_task(&w, t.task);
    atomic_store(&w.side.control->cancel[7], t.task);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_CANCELLED, &got);
    assert_true(got.head.cpu_ns > 0 || got.head.run_ns > 0);
    assert_int_equal(end(&w), 0);
}

/* The signal for a task that is over would hit the next one. */
static void condemned_it_takes_no_other_task(void **state)
{
    static char frame[PROTO_FRAME_MAX];
    struct worker_under_test w = new_worker();
    const struct proto_task *left = (const void *)frame;
    struct proto_task t, next;
    int intake = dup(w.side.worker_fds[PROTO_FORK_INTAKE]);

    (void)state;
    start(&w);
    t = give(&w, "spin");
    await_task(&w, t.task);
    next = give(&w, "for another worker");
    atomic_store(&w.side.control->condemned[7], t.task);
    atomic_store(&w.side.control->cancel[7], t.task);
    prong_side_expect(&w.side, &t, PROTO_ANSWER_CANCELLED, &got);
    assert_int_equal(prong_side_receive(&w.side, &got), 0);
    assert_int_equal(atomic_load(&w.side.page->task), 0);
    assert_true(chan_recv(intake, frame, sizeof(frame), NULL, NULL, MSG_DONTWAIT) > 0);
    assert_int_equal(left->task, next.task);
    (void)close(intake);
    assert_int_equal(end(&w), PROTO_EXIT_RETIRED << 8);
}

static void condemned_for_an_older_task_it_goes_on(void **state)
{
    struct worker_under_test w = new_worker();

    (void)state;
    atomic_store(&w.side.control->condemned[7], 1);
    start(&w);
    echo_once(&w);
    echo_once(&w);
    assert_int_equal(end(&w), 0);
}

static void retiring_leaves_the_next_task_on_the_intake(void **state)
{
    static char frame[PROTO_FRAME_MAX];
    struct worker_under_test w = new_worker();
    const struct proto_task *left = (const void *)frame;
    struct proto_task t;
    int intake = dup(w.side.worker_fds[PROTO_FORK_INTAKE]);

    (void)state;
    w.limits.tasks_max = 2;
    start(&w);
    echo_once(&w);
    echo_once(&w);
    t = give(&w, "for the next worker");
    assert_int_equal(prong_side_receive(&w.side, &got), 0);
    assert_int_equal(atomic_load(&w.side.page->tasks), 2);
    assert_true(chan_recv(intake, frame, sizeof(frame), NULL, NULL, MSG_DONTWAIT) > 0);
    assert_int_equal(left->task, t.task);
    (void)close(intake);
    assert_int_equal(end(&w), PROTO_EXIT_RETIRED << 8);
}

static void it_retires_by_age(void **state)
{
    struct worker_under_test w = new_worker();

    (void)state;
    w.limits.age_ns_max = 1;
    start(&w);
    echo_once(&w);
    assert_int_equal(prong_side_receive(&w.side, &got), 0);
    assert_int_equal(end(&w), PROTO_EXIT_RETIRED << 8);
}

static void unsound_frames_end_it(void **state)
{
    struct proto_ack ack = {.head = chan_head(PROTO_ACK, sizeof(ack))};
    struct proto_head lie = chan_head(PROTO_TASK, 5000);
    const void *frames[2] = {&ack, &lie};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct worker_under_test w = new_worker();
        start(&w);
        assert_int_equal(chan_send_struct(w.side.intake, frames[i], sizeof(lie), 0), 0);
        assert_int_equal(prong_side_receive(&w.side, &got), 0);
        assert_int_equal(end(&w), PROTO_EXIT_SETUP << 8);
    }
}

static void unsealed_memory_ends_it(void **state)
{
    (void)state;
    for (int i = PROTO_FORK_PAGE; i <= PROTO_FORK_OUT; i++) {
        struct worker_under_test w = new_worker();
        int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(fd, PRONG_SIDE_OUT_BYTES), 0);
        (void)close(w.side.worker_fds[i]);
        w.side.worker_fds[i] = fd;
        start(&w);
        assert_int_equal(end(&w), PROTO_EXIT_SETUP << 8);
    }
}

static void a_child_of_nobody_ends(void **state)
{
    struct worker_under_test w = new_worker();
    struct worker_config config = {.registry = &registry, .fork = &w.limits, .parent = 1};

    (void)state;
    memcpy(config.fds, w.side.worker_fds, sizeof(config.fds));
    w.pid = fork();
    if (w.pid == 0)
        worker_run(&config);
    assert_int_equal(end(&w), PROTO_EXIT_RETIRED << 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_are_answered_and_counted),
        cmocka_unit_test(the_page_names_the_task_that_killed_it),
        cmocka_unit_test(cancelled_before_it_starts),
        cmocka_unit_test(cancelled_while_it_runs),
        cmocka_unit_test(condemned_it_takes_no_other_task),
        cmocka_unit_test(condemned_for_an_older_task_it_goes_on),
        cmocka_unit_test(retiring_leaves_the_next_task_on_the_intake),
        cmocka_unit_test(it_retires_by_age),
        cmocka_unit_test(unsound_frames_end_it),
        cmocka_unit_test(unsealed_memory_ends_it),
        cmocka_unit_test(a_child_of_nobody_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
