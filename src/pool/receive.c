#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/chan.h"
#include "ipc/wire.h"
#include "pool/internal.h"

#ifndef PRONG_BUILD_ID
#define PRONG_BUILD_ID "dev"
#endif

#define LOADING_NS_MAX (3600 * CLOCK_NS_PER_S)

static bool has_room(const struct pool_batch *batch)
{
    return batch->count < POOL_BATCH_MAX;
}

static struct pool_event *event_new(struct pool_batch *batch, enum pool_event_kind kind,
                                    unsigned slot)
{
    struct pool_event *event;

    CHECK(has_room(batch));
    event = &batch->events[batch->count++];
    event->kind = kind;
    event->slot = slot;
    event->task = 0;
    event->data = NULL;
    event->bytes = 0;
    return event;
}

/* ---- one worker ---- */

static bool answer_is_sound(const struct pool *p, const struct proto_answer *a, size_t got)
{
    size_t fixed = sizeof(*a) + a->media_bytes;
    size_t inline_max = a->kind == PROTO_ANSWER_EMITTED ? PROTO_PART_MAX : PROTO_ANSWER_INLINE_MAX;

    if (a->kind < PROTO_ANSWER_RESULT || a->kind > PROTO_ANSWER_DIED || a->task == 0 ||
        a->media_bytes > PROTO_MEDIA_MAX)
        return false;
    if (a->in_slab)
        return got == fixed && a->result_bytes <= p->config.result_bytes_max;
    return a->result_bytes <= inline_max && got == fixed + a->result_bytes;
}

/* Copies the result to where it can stay, and lets the worker write its out slab again. */
static void keep_result(const struct pool *p, const struct slot *s, const uint8_t *frame,
                        struct pool_event *event)
{
    const struct proto_answer *a = &event->answer;
    const uint8_t *from = frame + sizeof(*a) + a->media_bytes;
    struct proto_ack ack = {.head = chan_head(PROTO_ACK, sizeof(ack))};

    event->bytes = a->result_bytes;
    event->data = malloc(event->bytes + 1);
    if (event->data != NULL) {
        memcpy(event->data, a->in_slab ? s->out : from, event->bytes);
        ((char *)event->data)[event->bytes] = '\0';
    }
    if (!a->in_slab)
        return;
    if (a->result_bytes > SLAB_BYTES_MIN)
        (void)shm_discard(s->out_fd, p->config.result_bytes_max);
    (void)chan_send_struct(s->channel, &ack, sizeof(ack), MSG_DONTWAIT);
}

static void take_answer(struct pool *p, struct slot *s, const uint8_t *frame, size_t got,
                        struct pool_batch *batch)
{
    const struct proto_answer *a = chan_frame(frame, got, PROTO_ANSWER, sizeof(*a));
    unsigned slot = (unsigned)(s - p->slots);
    struct pool_event *event;

    if (s->is_distrusted)
        return;
    if (a == NULL || a->head.bytes != got || !answer_is_sound(p, a, got)) {
        s->is_distrusted = true;
        event_new(batch, POOL_MISBEHAVED, slot);
        return;
    }
    event = event_new(batch, POOL_ANSWERED, slot);
    event->task = a->task;
    event->answer = *a;
    memcpy(event->media_type, frame + sizeof(*a), a->media_bytes);
    event->media_type[a->media_bytes] = '\0';
    keep_result(p, s, frame, event);
}

static void end_channel(struct pool *p, struct slot *s)
{
    s->channel_ended = true;
    s->channel_ended_ns = clock_now_ns();
    (void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, s->channel, NULL);
}

/* Up to POOL_RECEIVE_MAX frames by one call; how many, 0 when nothing is left. */
static size_t read_channel(struct pool *p, struct slot *s, struct pool_batch *batch)
{
    size_t room = MIN((size_t)POOL_RECEIVE_MAX, POOL_BATCH_MAX - batch->count);
    struct mmsghdr msgs[POOL_RECEIVE_MAX];
    struct iovec iovs[POOL_RECEIVE_MAX];
    int n;

    if (s->channel_ended || room == 0)
        return 0;
    for (size_t i = 0; i < room; i++) {
        iovs[i] = (struct iovec) {.iov_base = p->frames + i * PROTO_FRAME_MAX,
                                  .iov_len = PROTO_FRAME_MAX};
        msgs[i] = (struct mmsghdr) {.msg_hdr = {.msg_iov = &iovs[i], .msg_iovlen = 1}};
    }
    /* A worker that died with an ACK unread resets the channel, once, before its last answers. */
    do
        n = recvmmsg(s->channel, msgs, (unsigned)room, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0 && errno != EAGAIN)
        end_channel(p, s);
    for (int i = 0; i < n; i++) {
        if (msgs[i].msg_len == 0) {
            end_channel(p, s);
            return (size_t)i;
        }
        take_answer(p, s, iovs[i].iov_base, msgs[i].msg_len, batch);
    }
    return n > 0 ? (size_t)n : 0;
}

/* A worker that the zygote has waited for is gone once nothing more is to be read from it. */
static void tell_exit(struct pool *p, struct slot *s, struct pool_batch *batch)
{
    struct pool_event *event;

    while (read_channel(p, s, batch) > 0)
        ;
    if (!has_room(batch))
        return;
    event = event_new(batch, POOL_EXITED, (unsigned)(s - p->slots));
    event->exited = s->exit_frame;
    event->task = atomic_load_explicit(&s->page->task, memory_order_acquire);
    event->misbehaved = s->misbehaved;
    event->was_killed = s->was_killed && !s->misbehaved;
    s->exit_told = true;
}

static void receive_channel(struct pool *p, unsigned slot, struct pool_batch *batch)
{
    struct slot *s = &p->slots[slot];

    if (s->page == NULL || s->exit_told)
        return;
    (void)read_channel(p, s, batch);
    if (s->has_exited)
        tell_exit(p, s, batch);
}

/* ---- the zygote ---- */

static bool take_hello(struct pool *p, const struct proto_hello *hello)
{
    if (hello->version != PROTO_VERSION || memchr(hello->build, '\0', sizeof(hello->build)) == NULL)
        return false;
    if (strcmp(hello->build, PRONG_BUILD_ID) != 0) {
        log_error("prong-zygote is of build %s, this is %s: install both together", hello->build,
                  PRONG_BUILD_ID);
        return false;
    }
    p->has_hello = true;
    catalog_begin(p->catalog);
    return true;
}

static bool take_kernel(struct pool *p, const struct proto_kernel *kernel, size_t got)
{
    struct description *about;
    int rc;

    if (!p->has_hello || kernel->index >= PROTO_KERNELS_MAX ||
        description_decode(kernel + 1, got - sizeof(*kernel), &about) < 0)
        return false;
    rc = catalog_add(p->catalog, about, (int)kernel->index);
    if (rc < 0)
        log_warning("a kernel of the new zygote is left out: %s", strerror(-rc));
    return true;
}

static bool take_refused(struct pool *p, const struct proto_refused *refused, size_t got)
{
    const char *file, *reason;
    struct wire_reader r;

    wire_read_init(&r, refused + 1, got - sizeof(*refused));
    file = wire_text(&r, PROTO_REFUSED_FILE_MAX);
    reason = wire_text(&r, PROTO_REFUSED_REASON_MAX);
    if (!p->has_hello || !wire_ended(&r))
        return false;
    return catalog_refuse(p->catalog, file, reason) != -ENOSPC;
}

static bool take_exited(struct pool *p, const struct proto_exited *exited)
{
    struct slot *s;

    if (exited->slot >= p->slot_count)
        return false;
    s = &p->slots[exited->slot];
    if (s->page != NULL && s->generation == exited->generation) {
        s->has_exited = true;
        s->exit_frame = *exited;
    }
    return true;
}

static bool take_forked(struct pool *p, const struct proto_forked *forked, struct pool_batch *batch)
{
    if (forked->slot >= p->slot_count)
        return false;
    event_new(batch, POOL_STARTED, forked->slot)->forked = *forked;
    return true;
}

/* Only before READY, and not for ever. */
static bool take_loading(struct pool *p, const struct proto_loading *loading,
                         struct pool_batch *batch)
{
    if (!p->has_hello || loading->ns > LOADING_NS_MAX)
        return false;
    event_new(batch, POOL_LOADING, 0)->until_ns = clock_now_ns() + loading->ns;
    return true;
}

static bool take_control(struct pool *p, const uint8_t *frame, size_t got, struct pool_batch *batch)
{
    const void *f;

    if ((f = chan_frame_exact(frame, got, PROTO_FORKED, sizeof(struct proto_forked))) != NULL)
        return take_forked(p, f, batch);
    if ((f = chan_frame_exact(frame, got, PROTO_EXITED, sizeof(struct proto_exited))) != NULL)
        return take_exited(p, f);
    if ((f = chan_frame_exact(frame, got, PROTO_HELLO, sizeof(struct proto_hello))) != NULL)
        return take_hello(p, f);
    if ((f = chan_frame(frame, got, PROTO_KERNEL, sizeof(struct proto_kernel))) != NULL)
        return take_kernel(p, f, got);
    if ((f = chan_frame(frame, got, PROTO_REFUSED, sizeof(struct proto_refused))) != NULL)
        return take_refused(p, f, got);
    if ((f = chan_frame_exact(frame, got, PROTO_LOADING, sizeof(struct proto_loading))) != NULL)
        return take_loading(p, f, batch);
    if (chan_frame_exact(frame, got, PROTO_READY, sizeof(struct proto_ready)) != NULL &&
        p->has_hello) {
        event_new(batch, POOL_READY, 0);
        return true;
    }
    return false;
}

static void receive_control(struct pool *p, struct pool_batch *batch)
{
    for (int i = 0; i < POOL_RECEIVE_MAX && has_room(batch); i++) {
        ssize_t n = chan_recv(p->control, p->frames, PROTO_FRAME_MAX, NULL, NULL, MSG_DONTWAIT);
        if (n == -EAGAIN)
            break;
        if (n > 0 && take_control(p, p->frames, (size_t)n, batch))
            continue;
        if (n > 0 || n == -EPROTO)
            log_error("the zygote sent what it should not; starting another");
        event_new(batch, POOL_DOWN, 0);
        return;
    }
    for (unsigned i = 0; i < p->slot_count && has_room(batch); i++) {
        if (p->slots[i].has_exited && !p->slots[i].exit_told)
            tell_exit(p, &p->slots[i], batch);
    }
}

bool pool_owns_tag(uint64_t tag)
{
    return tag >> 56 == TAG_CONTROL || tag >> 56 == TAG_CHANNEL;
}

void pool_receive(struct pool *p, uint64_t tag, struct pool_batch *batch)
{
    unsigned slot = (unsigned)(tag >> 40) & 0xffff;

    if (!has_room(batch))
        return;
    if (tag >> 56 == TAG_CONTROL && p->control >= 0)
        receive_control(p, batch);
    else if (slot < p->slot_count && tag == tag_make(TAG_CHANNEL, slot, p->slots[slot].generation))
        receive_channel(p, slot, batch);
}

void pool_batch_clear(struct pool_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->events[i].data);
    batch->count = 0;
}
