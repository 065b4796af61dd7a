#include <errno.h>
#include <sys/socket.h>

#include "ipc/chan.h"
#include "pool/internal.h"

enum { PARTS_ALIGN = 16 };

/* A frame being put together at the end of the outbox: areas go inline while they fit, into slabs otherwise. */
struct letter {
    struct pool *pool;
    struct pool_outbox *outbox;
    struct pool_outgoing *out;
    size_t start; /* of this frame, from the start of what is sent */
    struct proto_task frame;
    size_t inline_left;
};

static uint8_t *put_room(struct letter *l, struct proto_area *area, size_t bytes)
{
    size_t padded = proto_align(bytes, PROTO_ALIGN);
    uint8_t *room = l->outbox->frames + l->out->offset + l->out->bytes;

    area->bytes = bytes;
    memset(room + bytes, 0, padded - bytes);
    l->out->bytes += padded;
    l->inline_left -= padded;
    return room;
}

/* `slab` is taken. */
static void put_slab(struct letter *l, struct proto_area *area, struct slab *slab, size_t offset,
                     size_t bytes)
{
    *area = (struct proto_area) {
        .slab = slab->id, .slab_bytes = slab->bytes, .offset = offset, .bytes = bytes};
    l->out->holds[l->out->hold_count++] = slab;
}

static bool fits_inline(const struct letter *l, size_t bytes)
{
    return proto_align(bytes, PROTO_ALIGN) <= l->inline_left;
}

static int put_area(struct letter *l, struct proto_area *area, struct pool_part part)
{
    struct slab *slab;

    if (part.bytes == 0)
        return 0;
    if (fits_inline(l, part.bytes)) {
        memcpy(put_room(l, area, part.bytes), part.data, part.bytes);
        return 0;
    }
    slab = slab_get(&l->pool->slabs, part.bytes);
    if (slab == NULL)
        return -ENOMEM;
    memcpy(slab->data, part.data, part.bytes);
    put_slab(l, area, slab, 0, part.bytes);
    return 0;
}

static int put_input(struct letter *l, const struct pool_task *t)
{
    if (t->input_slab == NULL)
        return put_area(l, &l->frame.input, t->input);
    put_slab(l, &l->frame.input, slab_hold(t->input_slab),
             (size_t)((const char *)t->input.data - (const char *)t->input_slab->data),
             t->input.bytes);
    return 0;
}

static size_t parts_bytes(const struct pool_task *t)
{
    size_t bytes = proto_align(t->part_count * sizeof(uint64_t), PARTS_ALIGN);

    for (size_t i = 0; i < t->part_count; i++)
        bytes += proto_align(t->parts[i].bytes, PARTS_ALIGN);
    return bytes;
}

static void write_parts(const struct pool_task *t, uint8_t *out)
{
    uint8_t *at = out + proto_align(t->part_count * sizeof(uint64_t), PARTS_ALIGN);

    for (size_t i = 0; i < t->part_count; i++) {
        uint64_t bytes = t->parts[i].bytes;
        memcpy(out + i * sizeof(bytes), &bytes, sizeof(bytes));
        if (bytes > 0)
            memcpy(at, t->parts[i].data, bytes);
        at += proto_align(bytes, PARTS_ALIGN);
    }
}

static int put_parts(struct letter *l, const struct pool_task *t)
{
    size_t bytes = parts_bytes(t);
    struct slab *slab;

    if (t->part_count == 0)
        return 0;
    if (t->part_count > PROTO_PARTS_MAX)
        return -E2BIG;
    l->frame.part_count = (uint32_t)t->part_count;
    if (fits_inline(l, bytes)) {
        uint8_t *room = put_room(l, &l->frame.parts, bytes);
        memset(room, 0, bytes);
        write_parts(t, room);
        return 0;
    }
    slab = slab_get(&l->pool->slabs, bytes);
    if (slab == NULL)
        return -ENOMEM;
    write_parts(t, slab->data);
    put_slab(l, &l->frame.parts, slab, 0, bytes);
    return 0;
}

static void begin(struct letter *l, const struct pool_task *t)
{
    l->frame = (struct proto_task) {
        .task = t->task,
        .deadline_ns = t->deadline_ns,
        .lo = t->lo,
        .hi = t->hi,
        .split_ns = t->split_ns,
        .ns_per_cost = t->ns_per_cost,
        .inflight = t->inflight,
        .kernel = (uint32_t)t->kernel,
        .op = (uint8_t)t->op,
        .input_kind = (uint8_t)t->input_kind,
        .wants_parts = t->wants_parts,
    };
    memcpy(l->frame.job, t->job->text, sizeof(t->job->text));
    if (t->trace_id != NULL && t->trace_id[0] != '\0')
        memcpy(l->frame.trace_id, t->trace_id, sizeof(l->frame.trace_id) - 1);
    l->start = l->out->bytes;
    l->out->bytes += sizeof(l->frame);
    l->inline_left = PROTO_INLINE_MAX;
}

static void drop_holds(struct pool_outgoing *out)
{
    for (size_t i = 0; i < out->hold_count; i++)
        (void)slab_drop(out->holds[i]);
}

static bool has_room(const struct pool_outbox *outbox)
{
    return outbox->count < POOL_OUTBOX_TASKS &&
           POOL_OUTBOX_BYTES - outbox->bytes >= sizeof(struct proto_task) + PROTO_INLINE_MAX;
}

static struct pool_outgoing *open_out(struct pool_outbox *outbox, const struct generation *g,
                                      enum pool_kind kind, uint64_t task)
{
    struct pool_outgoing *out = &outbox->tasks[outbox->count];

    *out = (struct pool_outgoing) {
        .task = task, .serial = g->serial, .lane = g->lane, .kind = kind, .offset = outbox->bytes};
    return out;
}

static void close_out(struct pool_outbox *outbox)
{
    outbox->bytes += outbox->tasks[outbox->count].bytes;
    outbox->count++;
}

/* All areas are there. */
static void end(struct letter *l)
{
    l->frame.head = chan_head(PROTO_TASK, l->out->bytes - l->start);
    memcpy(l->outbox->frames + l->out->offset + l->start, &l->frame, sizeof(l->frame));
}

int pool_prepare(struct pool *p, struct pool_outbox *outbox, enum pool_kind kind,
                 const struct pool_task *task, struct slab *ret_holds[POOL_HOLDS_MAX])
{
    const struct generation *g = &p->lanes[task->lane];
    struct letter l = {.pool = p, .outbox = outbox};
    int rc;

    if (g->state != ZYGOTE_UP)
        return -ENOTCONN;
    if (!has_room(outbox))
        return -ENOBUFS;
    l.out = open_out(outbox, g, kind, task->task);
    begin(&l, task);
    rc = put_input(&l, task);
    if (rc == 0)
        rc = put_parts(&l, task);
    if (rc == 0)
        rc = put_area(&l, &l.frame.params, task->params);
    if (rc < 0) {
        drop_holds(l.out);
        return rc;
    }
    end(&l);
    close_out(outbox);
    for (size_t i = 0; i < POOL_HOLDS_MAX; i++)
        ret_holds[i] = slab_hold(l.out->holds[i]);
    return 0;
}

size_t pool_small_bytes(size_t input_bytes, size_t params_bytes)
{
    return sizeof(struct proto_task) + proto_align(input_bytes, PROTO_ALIGN) +
           proto_align(params_bytes, PROTO_ALIGN);
}

int pool_prepare_batch(struct pool *p, struct pool_outbox *outbox, enum pool_kind kind,
                       const struct pool_task *tasks, size_t count)
{
    const struct generation *g = &p->lanes[tasks[0].lane];
    struct letter l = {.pool = p, .outbox = outbox};
    struct proto_batch head = {.task = tasks[0].task, .count = (uint32_t)count};
    size_t bytes = 0;

    if (g->state != ZYGOTE_UP)
        return -ENOTCONN;
    if (!has_room(outbox))
        return -ENOBUFS;
    for (size_t i = 0; i < count; i++)
        bytes += pool_small_bytes(tasks[i].input.bytes, tasks[i].params.bytes);
    CHECK(count <= PROTO_BATCH_MAX && bytes <= POOL_BATCH_BYTES);
    l.out = open_out(outbox, g, kind, tasks[0].task);
    l.out->bytes = sizeof(head);
    for (size_t i = 0; i < count; i++) {
        begin(&l, &tasks[i]);
        CHECK(put_area(&l, &l.frame.input, tasks[i].input) == 0 &&
              put_area(&l, &l.frame.params, tasks[i].params) == 0 && l.out->hold_count == 0);
        end(&l);
    }
    head.head = chan_head(PROTO_BATCH, l.out->bytes);
    memcpy(outbox->frames + l.out->offset, &head, sizeof(head));
    close_out(outbox);
    return 0;
}

/* ---- sending ---- */

union fds_control {
    char bytes[CMSG_SPACE(sizeof(int) * POOL_HOLDS_MAX)];
    struct cmsghdr align;
};

static void address(struct msghdr *msg, struct iovec *iov, union fds_control *control,
                    const struct pool_outbox *outbox, const struct pool_outgoing *out)
{
    struct cmsghdr *cmsg;
    int fds[POOL_HOLDS_MAX];

    *iov = (struct iovec) {.iov_base = (void *)(uintptr_t)(outbox->frames + out->offset),
                           .iov_len = out->bytes};
    *msg = (struct msghdr) {.msg_iov = iov, .msg_iovlen = 1};
    if (out->hold_count == 0)
        return;
    for (size_t i = 0; i < out->hold_count; i++)
        fds[i] = out->holds[i]->fd;
    memset(control, 0, sizeof(*control));
    msg->msg_control = control->bytes;
    msg->msg_controllen = CMSG_SPACE(sizeof(int) * out->hold_count);
    cmsg = CMSG_FIRSTHDR(msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * out->hold_count);
    memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * out->hold_count);
}

/* Sends those of one kind, in their order, by one call while all goes well. */
static void flush_kind(const struct pool *p, unsigned lane, struct pool_outbox *outbox,
                       enum pool_kind kind)
{
    const struct generation *g = &p->lanes[lane];
    struct mmsghdr msgs[POOL_OUTBOX_TASKS];
    struct iovec iovs[POOL_OUTBOX_TASKS];
    union fds_control controls[POOL_OUTBOX_TASKS];
    struct pool_outgoing *outs[POOL_OUTBOX_TASKS];
    unsigned count = 0, sent = 0;
    int error = 0;

    for (size_t i = 0; i < outbox->count; i++) {
        if (outbox->tasks[i].lane != lane || outbox->tasks[i].kind != kind)
            continue;
        if (outbox->tasks[i].serial != g->serial) {
            outbox->tasks[i].error = -ENOTCONN; /* it went down since */
            continue;
        }
        outs[count] = &outbox->tasks[i];
        address(&msgs[count].msg_hdr, &iovs[count], &controls[count], outbox, outs[count]);
        count++;
    }
    while (sent < count && error == 0) {
        int n =
            sendmmsg(g->intake_send[kind], msgs + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            sent += (unsigned)n;
        else if (errno != EINTR)
            error = errno == EBADF || errno == EPIPE ? -ENOTCONN : -errno;
    }
    for (unsigned i = sent; i < count; i++)
        outs[i]->error = error;
}

void pool_flush(struct pool *p, struct pool_outbox *outbox)
{
    size_t failed = 0;

    if (outbox->count == 0)
        return;
    CHECK(pthread_rwlock_rdlock(&p->intake_lock) == 0);
    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        for (int kind = 0; kind < POOL_KIND_COUNT; kind++)
            flush_kind(p, lane, outbox, (enum pool_kind)kind);
    }
    CHECK(pthread_rwlock_unlock(&p->intake_lock) == 0);
    for (size_t i = 0; i < outbox->count; i++) {
        drop_holds(&outbox->tasks[i]);
        if (outbox->tasks[i].error != 0)
            outbox->tasks[failed++] = outbox->tasks[i];
    }
    outbox->count = failed;
    outbox->bytes = 0;
}

void pool_cancel(struct pool *p, unsigned inflight, uint64_t task)
{
    atomic_store_explicit(&p->shm->cancel[inflight], task, memory_order_release);
}

void pool_ask_to_yield(struct pool *p, unsigned inflight, uint64_t task)
{
    atomic_store_explicit(&p->shm->yield[inflight], task, memory_order_release);
}

void pool_audit(struct pool *p, unsigned lane, enum pool_kind kind,
                void (*seen)(void *arg, uint64_t task), void *arg)
{
    const struct generation *g = &p->lanes[lane];
    uint8_t *frame = malloc(PROTO_FRAME_MAX);
    size_t left = PROTO_INFLIGHT_MAX;

    if (frame == NULL || g->state != ZYGOTE_UP) {
        free(frame);
        return;
    }
    /* Each is taken out and put back at the end until the first comes round again, so at most one of them
     * loses its turn. */
    for (uint64_t first = 0; left > 0; left--) {
        int fds[PROTO_FDS_MAX];
        size_t fd_count = 0;
        struct iovec iov = {.iov_base = frame};
        uint64_t task;
        ssize_t n = chan_recv(g->intake_receive[kind], frame, PROTO_FRAME_MAX, fds, &fd_count,
                              MSG_DONTWAIT);
        if (n < (ssize_t)sizeof(struct proto_task))
            break;
        memcpy(&task, frame + offsetof(struct proto_task, task), sizeof(task));
        iov.iov_len = (size_t)n;
        (void)chan_send(g->intake_send[kind], &iov, 1, fds, fd_count, MSG_DONTWAIT);
        chan_close_fds(fds, fd_count);
        if (task == first)
            break;
        if (first == 0)
            first = task;
        seen(arg, task);
    }
    free(frame);
}
