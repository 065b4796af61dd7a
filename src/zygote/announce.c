#include "zygote/announce.h"

#include "ipc/chan.h"
#include "ipc/description.h"
#include "ipc/wire.h"

#ifndef PRONG_BUILD_ID
#define PRONG_BUILD_ID "by hand"
#endif

int announce_hello(int fd)
{
    struct proto_hello hello = {
        .head = chan_head(PROTO_HELLO, sizeof(hello)),
        .version = PROTO_VERSION,
        .pid = (uint32_t)getpid(),
        .build = PRONG_BUILD_ID,
    };

    static_assert(sizeof(PRONG_BUILD_ID) <= sizeof(hello.build), "with its NUL");
    return chan_send_struct(fd, &hello, sizeof(hello), 0);
}

int announce_loading(int fd, uint64_t ns)
{
    struct proto_loading loading = {.head = chan_head(PROTO_LOADING, sizeof(loading)), .ns = ns};

    return chan_send_struct(fd, &loading, sizeof(loading), 0);
}

static int announce_kernel(int fd, uint32_t index, const struct registry_kernel *k, struct buf *b)
{
    struct proto_kernel frame = {.index = index};
    struct iovec iov[2];

    buf_clear(b);
    /* registry_add has seen that it fits, with room for the sentence. */
    CHECK(description_encode(b, &k->kernel, k->broken) == 0);
    frame.head = chan_head(PROTO_KERNEL, sizeof(frame) + b->size);
    iov[0] = (struct iovec) {.iov_base = &frame, .iov_len = sizeof(frame)};
    iov[1] = (struct iovec) {.iov_base = b->data, .iov_len = b->size};
    return chan_send(fd, iov, ARRAY_SIZE(iov), NULL, 0, 0);
}

static int announce_refusal(int fd, const struct refusal *refused, struct buf *b)
{
    struct proto_refused frame;
    struct iovec iov[2];

    buf_clear(b);
    wire_put_text(b, refused->file);
    wire_put_text(b, refused->reason);
    if (buf_failed(b) < 0)
        return 0; /* no memory: it stands in the log */
    frame.head = chan_head(PROTO_REFUSED, sizeof(frame) + b->size);
    iov[0] = (struct iovec) {.iov_base = &frame, .iov_len = sizeof(frame)};
    iov[1] = (struct iovec) {.iov_base = b->data, .iov_len = b->size};
    return chan_send(fd, iov, ARRAY_SIZE(iov), NULL, 0, 0);
}

int announce_kernels(int fd, const struct registry *r, const struct refusals *refused)
{
    struct proto_ready ready = {
        .head = chan_head(PROTO_READY, sizeof(ready)),
        .kernel_count = r->count,
    };
    struct buf b;
    int rc = 0;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    for (uint32_t i = 0; i < r->count && rc == 0; i++)
        rc = announce_kernel(fd, i, &r->kernels[i], &b);
    for (uint32_t i = 0; i < refused->count && rc == 0; i++)
        rc = announce_refusal(fd, &refused->all[i], &b);
    buf_release(&b);
    return rc == 0 ? chan_send_struct(fd, &ready, sizeof(ready), 0) : rc;
}
