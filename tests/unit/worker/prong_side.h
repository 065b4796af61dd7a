/*
 * For tests only: prong's side of one worker, as prong would make it. Memory is created and sealed
 * here, frames are laid out by ipc/proto.h. Every function fails the test when the system fails.
 */
#ifndef TESTS_PRONG_SIDE_H
#define TESTS_PRONG_SIDE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail /* cmocka's; prong_fail calls a member of that name */

#include "base/clock.h"
#include "ipc/chan.h"
#include "ipc/shm.h"
#include "ipc/wire.h"
#include "prong/kernel.h"

#define PRONG_SIDE_WAIT_NS (20 * CLOCK_NS_PER_S)

enum { PRONG_SIDE_OUT_BYTES = 1 << 20, PRONG_SIDE_PARAMS_MAX = 4096 };

struct prong_side {
    int channel, intake;                 /* prong's ends */
    int worker_fds[PROTO_FORK_FD_COUNT]; /* the worker's ends; -1 once handed over */
    struct shm_page *page;
    struct shm_control *control;
    char *out;
    size_t out_bytes;
    uint64_t next_task;
};

static inline void prong_side_open(struct prong_side *p, size_t out_bytes)
{
    int channel[2], intake[2];
    void *page, *control, *out;

    assert_int_equal(chan_pair(channel), 0);
    assert_int_equal(chan_pair(intake), 0);
    assert_int_equal(shm_create("page", sizeof(struct shm_page), SHM_PEER_WRITES,
                                &p->worker_fds[PROTO_FORK_PAGE], &page),
                     0);
    assert_int_equal(shm_create("control", sizeof(struct shm_control), SHM_PEER_READS,
                                &p->worker_fds[PROTO_FORK_CONTROL], &control),
                     0);
    assert_int_equal(
        shm_create("out", out_bytes, SHM_PEER_WRITES, &p->worker_fds[PROTO_FORK_OUT], &out), 0);
    p->channel = channel[0];
    p->intake = intake[0];
    p->worker_fds[PROTO_FORK_CHANNEL] = channel[1];
    p->worker_fds[PROTO_FORK_INTAKE] = intake[1];
    p->page = page;
    p->control = control;
    p->out = out;
    p->out_bytes = out_bytes;
    p->next_task = 1000;
}

/* The worker has them now. */
static inline void prong_side_hand_over(struct prong_side *p)
{
    for (int i = 0; i < PROTO_FORK_FD_COUNT; i++) {
        check_close_fd(&p->worker_fds[i]);
        p->worker_fds[i] = -1;
    }
}

static inline void prong_side_close(struct prong_side *p)
{
    prong_side_hand_over(p);
    check_close_fd(&p->channel);
    check_close_fd(&p->intake);
    shm_unmap(p->page, sizeof(*p->page));
    shm_unmap(p->control, sizeof(*p->control));
    shm_unmap(p->out, p->out_bytes);
}

static inline struct proto_task prong_side_task(struct prong_side *p, uint32_t kernel, uint8_t op)
{
    struct proto_task t = {
        .task = p->next_task++,
        .deadline_ns = CLOCK_NEVER,
        .split_ns = UINT64_MAX,
        .kernel = kernel,
        .op = op,
        .inflight = 7,
        .job = "job-under-test",
    };
    return t;
}

/* A task laid out in memory, inline areas behind it; areas with a slab are left as they are. Bytes.
 * */
static inline size_t prong_side_lay_out(struct proto_task *t, const struct prong_buf areas[3],
                                        char *out)
{
    struct proto_area *members[3] = {&t->input, &t->parts, &t->params};
    size_t n = sizeof(*t);

    for (int i = 0; i < 3; i++) {
        if (members[i]->slab != 0)
            continue;
        members[i]->bytes = areas[i].size;
        assert_true(n + areas[i].size <= PROTO_FRAME_MAX);
        memset(out + n, 0, (size_t)proto_align(areas[i].size, PROTO_ALIGN));
        if (areas[i].size > 0)
            memcpy(out + n, areas[i].data, areas[i].size);
        n += (size_t)proto_align(areas[i].size, PROTO_ALIGN);
    }
    t->head = chan_head(PROTO_TASK, n);
    memcpy(out, t, sizeof(*t));
    return n;
}

static inline void prong_side_send(struct prong_side *p, struct proto_task *t,
                                   struct prong_buf input, struct prong_buf parts,
                                   struct prong_buf params, const int *fds, size_t fd_count)
{
    static _Alignas(PROTO_ALIGN) char frame[PROTO_FRAME_MAX];
    const struct prong_buf areas[3] = {input, parts, params};
    struct iovec iov = {.iov_base = frame, .iov_len = prong_side_lay_out(t, areas, frame)};

    assert_int_equal(chan_send(p->intake, &iov, 1, fds, fd_count, 0), 0);
}

struct prong_side_answer {
    struct proto_answer head;
    char body[PROTO_FRAME_MAX]; /* media type, then the inline result, then NUL */
};

/* The next answer; its length, or 0 when the worker has closed the channel. */
static inline size_t prong_side_receive(struct prong_side *p, struct prong_side_answer *a)
{
    ssize_t got =
        chan_recv_until(p->channel, a, PROTO_FRAME_MAX, clock_now_ns() + PRONG_SIDE_WAIT_NS);

    if (got == 0 || got == -ECONNRESET)
        return 0;
    assert_true(got >= (ssize_t)sizeof(a->head));
    assert_int_equal(a->head.head.type, PROTO_ANSWER);
    ((char *)a)[got] = '\0';
    return (size_t)got;
}

static inline void prong_side_expect(struct prong_side *p, const struct proto_task *t,
                                     enum proto_answer_kind kind, struct prong_side_answer *a)
{
    assert_true(prong_side_receive(p, a) > 0);
    if (a->head.kind == PROTO_ANSWER_FAILED && kind != PROTO_ANSWER_FAILED)
        print_message("the task failed: %s\n", a->body);
    assert_int_equal(a->head.task, t->task);
    assert_int_equal(a->head.kind, kind);
}

static inline void prong_side_ack(struct prong_side *p)
{
    struct proto_ack ack = {.head = chan_head(PROTO_ACK, sizeof(ack))};
    assert_int_equal(chan_send_struct(p->channel, &ack, sizeof(ack), 0), 0);
}

static inline struct prong_buf prong_side_none(void)
{
    return (struct prong_buf) {.data = "", .size = 0};
}

static inline struct prong_buf prong_side_text(const char *text)
{
    return (struct prong_buf) {.data = text, .size = strlen(text)};
}

/* The parameters of the probe kernel of tests/unit/zygote/kernels. */
static inline struct prong_buf prong_side_probe(uint32_t mode, int64_t count, const char *text)
{
    static char encoded[PRONG_SIDE_PARAMS_MAX];
    struct prong_buf ret = {.data = encoded};
    struct buf b;

    buf_init(&b, sizeof(encoded));
    wire_put_u32(&b, mode);
    wire_put_i64(&b, count);
    wire_put_text(&b, text);
    assert_int_equal(buf_failed(&b), 0);
    memcpy(encoded, b.data, b.size);
    ret.size = b.size;
    buf_release(&b);
    return ret;
}

/* Any parameters that are all PRONG_INT. */
static inline struct prong_buf prong_side_ints(const int64_t *values, size_t count)
{
    return (struct prong_buf) {.data = values, .size = count * sizeof(*values)};
}

/* A table of sizes and the parts, as COMBINE and FINISH get them. */
static inline struct prong_buf prong_side_parts(const struct prong_buf *parts, size_t count)
{
    static _Alignas(PROTO_ALIGN) char area[PROTO_INLINE_MAX];
    size_t n = (size_t)proto_align(count * sizeof(uint64_t), 16);

    memset(area, 0, sizeof(area));
    for (size_t i = 0; i < count; i++) {
        uint64_t size = parts[i].size;
        memcpy(area + i * sizeof(size), &size, sizeof(size));
        assert_true(n + parts[i].size <= sizeof(area));
        memcpy(area + n, parts[i].data, parts[i].size);
        n = (size_t)proto_align(n + parts[i].size, 16);
    }
    return (struct prong_buf) {.data = area, .size = n};
}

/* A sealed slab with these bytes at `offset`; the fd is the caller's. */
static inline int prong_side_slab(size_t bytes, size_t offset, struct prong_buf content)
{
    void *map;
    int fd;

    assert_int_equal(shm_create("slab", bytes, SHM_PEER_READS, &fd, &map), 0);
    memcpy((char *)map + offset, content.data, content.size);
    shm_unmap(map, bytes);
    return fd;
}

enum prong_side_mode {
    PROBE_ECHO,
    PROBE_BLOB,
    PROBE_SPIN,
    PROBE_CRASH,
    PROBE_EXIT,
    PROBE_FAIL,
    PROBE_SILENT,
    PROBE_EMIT,
    PROBE_GRANDCHILD,
    PROBE_LEAK,
};

#endif
