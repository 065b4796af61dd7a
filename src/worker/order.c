#include "worker/order.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#include "base/err.h"
#include "ipc/chan.h"
#include "ipc/shm.h"

enum { PART_ALIGN = 16 }; /* see proto_task.parts */

/* Walks over the areas in their order: inline ones follow each other, slab ones take the next fd.
 * */
struct area_reader {
    const struct proto_task *frame;
    uint64_t offset; /* of the next inline area, from the start of the frame */
    const int *fds;
    size_t fd_count;
    struct slabs *slabs;
};

static int read_inline(struct area_reader *r, const struct proto_area *a, struct prong_buf *ret)
{
    if (a->bytes > PROTO_INLINE_MAX || r->offset + a->bytes > r->frame->head.bytes)
        return -EPROTO;
    *ret = (struct prong_buf) {.data = (const char *)r->frame + r->offset, .size = a->bytes};
    r->offset += proto_align(a->bytes, PROTO_ALIGN);
    return 0;
}

static int read_slab(struct area_reader *r, const struct proto_area *a, struct prong_buf *ret)
{
    const char *map;
    int rc;

    if (r->fd_count == 0 || a->offset > a->slab_bytes || a->bytes > a->slab_bytes - a->offset ||
        a->offset % PROTO_ALIGN != 0)
        return -EPROTO;
    rc = slabs_map(r->slabs, a->slab, a->slab_bytes, r->fds[0], &map);
    if (rc < 0)
        return rc;
    r->fds++;
    r->fd_count--;
    *ret = (struct prong_buf) {.data = map + a->offset, .size = a->bytes};
    return 0;
}

static int read_area(struct area_reader *r, const struct proto_area *a, struct prong_buf *ret)
{
    return a->slab == 0 ? read_inline(r, a, ret) : read_slab(r, a, ret);
}

/* The table of sizes must describe exactly the bytes that are there. */
static int read_parts(struct order *o, struct prong_buf area)
{
    uint32_t count = o->frame->part_count;
    uint64_t at = proto_align(count * sizeof(uint64_t), PART_ALIGN);
    const uint64_t *sizes = area.data;

    o->parts = (struct order_parts) {0};
    if (count > PROTO_PARTS_MAX)
        return -EPROTO;
    if (count == 0)
        return area.size == 0 ? 0 : -EPROTO;
    if (at > area.size)
        return -EPROTO;
    for (uint32_t i = 0; i < count; i++) {
        if (at > area.size || sizes[i] > area.size - at)
            return -EPROTO;
        at = proto_align(at + sizes[i], PART_ALIGN);
    }
    if (at != proto_align(area.size, PART_ALIGN))
        return -EPROTO;
    o->parts = (struct order_parts) {
        .sizes = sizes,
        .at = (const char *)area.data + proto_align(count * sizeof(uint64_t), PART_ALIGN),
        .left = count,
    };
    return 0;
}

struct prong_buf order_next_part(struct order_parts *parts)
{
    struct prong_buf part;

    CHECK(parts->left > 0);
    part = (struct prong_buf) {.data = parts->at, .size = *parts->sizes};
    parts->at += proto_align(part.size, PART_ALIGN);
    parts->sizes++;
    parts->left--;
    return part;
}

static bool head_is_sound(const struct proto_task *f)
{
    bool has_parts = f->op == PROTO_OP_COMBINE || f->op == PROTO_OP_FINISH;

    return f->task != 0 && f->inflight < PROTO_INFLIGHT_MAX && f->op >= PROTO_OP_START &&
           f->op <= PROTO_OP_FINISH && f->input_kind <= PRONG_INPUT_VALUES && f->lo <= f->hi &&
           f->hi <= PRONG_UNITS_MAX && isfinite(f->ns_per_cost) && f->ns_per_cost >= 0 &&
           f->params.bytes <= PROTO_PARAMS_MAX && (has_parts || f->part_count == 0) &&
           memchr(f->job, '\0', sizeof(f->job)) != NULL;
}

static bool input_is_sound(const struct proto_task *f)
{
    switch (f->input_kind) {
    case PRONG_INPUT_NONE:
        return f->input.bytes == 0;
    case PRONG_INPUT_VALUES:
        return f->input.bytes % sizeof(double) == 0;
    default:
        return true;
    }
}

static int read_areas(struct order *o, struct area_reader *r, struct err *err)
{
    struct prong_buf parts = {0}, params = {0};
    int rc = read_area(r, &o->frame->input, &o->input);

    if (rc == 0)
        rc = read_area(r, &o->frame->parts, &parts);
    if (rc == 0)
        rc = read_area(r, &o->frame->params, &params);
    if (rc < 0)
        return err_set(err, rc, "An area of the task is not where the frame says: %s.",
                       strerror(-rc));
    if (r->fd_count > 0 || proto_align(o->frame->head.bytes, PROTO_ALIGN) != r->offset)
        return err_set(err, -EPROTO, "The task has more bytes or descriptors than areas.");
    if (read_parts(o, parts) < 0)
        return err_set(err, -EPROTO, "The sizes of the task's parts do not add up.");
    if (params_read(&o->kernel->kernel, params, &o->params) < 0)
        return err_set(err, -EPROTO, "The parameters are not those of kernel %s.",
                       o->kernel->kernel.name);
    return 0;
}

static int read_checked(struct order *o, struct area_reader *r, size_t got,
                        const struct registry *registry, struct err *err)
{
    if (chan_frame(o->frame, got, PROTO_TASK, sizeof(struct proto_task)) == NULL)
        return err_set(err, -EPROTO, "What came on the intake is no task.");
    if (!head_is_sound(o->frame) || !input_is_sound(o->frame))
        return err_set(err, -EPROTO, "A field of the task is out of its bounds.");
    o->kernel = registry_get(registry, o->frame->kernel);
    if (o->kernel == NULL)
        return err_set(err, -EPROTO, "There is no kernel %u.", o->frame->kernel);
    return read_areas(o, r, err);
}

int order_read(struct order *o, const void *frame, size_t got, const int *fds, size_t fd_count,
               struct slabs *slabs, const struct registry *registry, struct err *err)
{
    struct area_reader r = {
        .frame = frame,
        .offset = sizeof(struct proto_task),
        .fds = fds,
        .fd_count = fd_count,
        .slabs = slabs,
    };
    int rc;

    o->frame = frame;
    rc = read_checked(o, &r, got, registry, err);
    chan_close_fds(fds, fd_count);
    return rc;
}
