#include <errno.h>
#include <sys/socket.h>

#include "ipc/chan.h"
#include "pool/internal.h"

enum { IOV_MAX_USED = 8, PARTS_ALIGN = 16 };

/* A frame being put together: areas go inline while they fit, into slabs otherwise. */
struct letter {
    struct pool *pool;
    struct proto_task frame;
    struct iovec iov[IOV_MAX_USED];
    size_t iov_count;
    size_t inline_left;
    int fds[PROTO_FDS_MAX];
    size_t fd_count;
    struct slab *holds[POOL_HOLDS_MAX];
    size_t hold_count;
};

static const uint8_t zeros[PROTO_ALIGN];

static void put(struct letter *l, const void *data, size_t bytes)
{
    CHECK(l->iov_count < IOV_MAX_USED);
    l->iov[l->iov_count++] = (struct iovec) {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
}

static void put_inline(struct letter *l, struct proto_area *area, const void *data, size_t bytes)
{
    size_t padded = proto_align(bytes, PROTO_ALIGN);

    area->bytes = bytes;
    if (bytes == 0)
        return;
    put(l, data, bytes);
    if (padded > bytes)
        put(l, zeros, padded - bytes);
    l->inline_left -= padded;
}

/* `slab` is taken. */
static void put_slab(struct letter *l, struct proto_area *area, struct slab *slab, size_t offset,
                     size_t bytes)
{
    *area = (struct proto_area) {
        .slab = slab->id, .slab_bytes = slab->bytes, .offset = offset, .bytes = bytes};
    l->fds[l->fd_count++] = slab->fd;
    l->holds[l->hold_count++] = slab;
}

static bool fits_inline(const struct letter *l, size_t bytes)
{
    return proto_align(bytes, PROTO_ALIGN) <= l->inline_left;
}

static int put_area(struct letter *l, struct proto_area *area, struct pool_part part)
{
    struct slab *slab;

    if (fits_inline(l, part.bytes)) {
        put_inline(l, area, part.data, part.bytes);
        return 0;
    }
    slab = slab_get(&l->pool->slabs, part.bytes);
    if (slab == NULL)
        return -ENOMEM;
    memcpy(slab->data, part.data, part.bytes);
    put_slab(l, area, slab, 0, part.bytes);
    return 0;
}

static void put_input(struct letter *l, const struct pool_task *t, int *rc)
{
    if (t->input_slab == NULL) {
        *rc = put_area(l, &l->frame.input, t->input);
        return;
    }
    put_slab(l, &l->frame.input, slab_hold(t->input_slab),
             (size_t)((const char *)t->input.data - (const char *)t->input_slab->data),
             t->input.bytes);
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

static int put_parts(struct letter *l, const struct pool_task *t, uint8_t *small)
{
    size_t bytes = parts_bytes(t);
    struct slab *slab;

    if (t->part_count == 0)
        return 0;
    if (t->part_count > PROTO_PARTS_MAX)
        return -E2BIG;
    l->frame.part_count = (uint32_t)t->part_count;
    if (fits_inline(l, bytes)) {
        memset(small, 0, bytes);
        write_parts(t, small);
        put_inline(l, &l->frame.parts, small, bytes);
        return 0;
    }
    slab = slab_get(&l->pool->slabs, bytes);
    if (slab == NULL)
        return -ENOMEM;
    write_parts(t, slab->data);
    put_slab(l, &l->frame.parts, slab, 0, bytes);
    return 0;
}

static void address(struct letter *l, const struct pool_task *t)
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
    l->inline_left = PROTO_INLINE_MAX;
    put(l, &l->frame, sizeof(l->frame));
}

static void drop_holds(struct letter *l)
{
    for (size_t i = 0; i < l->hold_count; i++)
        (void)slab_drop(l->holds[i]);
}

int pool_send(struct pool *p, enum pool_kind kind, const struct pool_task *task,
              struct slab *ret_holds[POOL_HOLDS_MAX])
{
    uint8_t small[PROTO_INLINE_MAX];
    struct letter l = {.pool = p};
    size_t bytes = 0;
    int rc = 0;

    if (p->state != ZYGOTE_UP)
        return -ENOTCONN;
    address(&l, task);
    put_input(&l, task, &rc);
    if (rc == 0)
        rc = put_parts(&l, task, small);
    if (rc == 0)
        rc = put_area(&l, &l.frame.params, task->params);
    for (size_t i = 0; i < l.iov_count; i++)
        bytes += l.iov[i].iov_len;
    l.frame.head = chan_head(PROTO_TASK, bytes);
    if (rc == 0)
        rc = chan_send(p->intake_send[kind], l.iov, l.iov_count, l.fds, l.fd_count, MSG_DONTWAIT);
    if (rc < 0) {
        drop_holds(&l);
        return rc;
    }
    memcpy(ret_holds, l.holds, sizeof(l.holds));
    return 0;
}

void pool_cancel(struct pool *p, unsigned inflight, uint64_t task)
{
    atomic_store_explicit(&p->shm->cancel[inflight], task, memory_order_release);
}

void pool_ask_to_yield(struct pool *p, unsigned inflight, uint64_t task)
{
    atomic_store_explicit(&p->shm->yield[inflight], task, memory_order_release);
}

void pool_audit(struct pool *p, enum pool_kind kind, void (*seen)(void *arg, uint64_t task),
                void *arg)
{
    uint8_t *frame = malloc(PROTO_FRAME_MAX);
    size_t left = PROTO_INFLIGHT_MAX;

    if (frame == NULL || p->state != ZYGOTE_UP) {
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
        ssize_t n = chan_recv(p->intake_receive[kind], frame, PROTO_FRAME_MAX, fds, &fd_count,
                              MSG_DONTWAIT);
        if (n < (ssize_t)sizeof(struct proto_task))
            break;
        memcpy(&task, frame + offsetof(struct proto_task, task), sizeof(task));
        iov.iov_len = (size_t)n;
        (void)chan_send(p->intake_send[kind], &iov, 1, fds, fd_count, MSG_DONTWAIT);
        chan_close_fds(fds, fd_count);
        if (task == first)
            break;
        if (first == 0)
            first = task;
        seen(arg, task);
    }
    free(frame);
}
