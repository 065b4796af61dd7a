#include "worker/answer.h"

#include <errno.h>

#include "base/log.h"
#include "ipc/chan.h"

static void send_or_end(const struct answer_channel *c, const struct iovec *iov, size_t count)
{
    int rc = chan_send(c->fd, iov, count, NULL, 0, 0);

    if (rc == -EPIPE || rc == -ECONNRESET)
        _exit(PROTO_EXIT_RETIRED);
    if (rc < 0) {
        log_error("an answer could not be sent: %s", strerror(-rc));
        _exit(PROTO_EXIT_SETUP);
    }
}

static void await_ack(struct answer_channel *c)
{
    struct proto_ack ack;
    ssize_t got;

    if (!c->ack_due)
        return;
    got = chan_recv(c->fd, &ack, sizeof(ack), NULL, NULL, 0);
    if (got == 0 || got == -ECONNRESET)
        _exit(PROTO_EXIT_RETIRED);
    if (got < 0 || chan_frame_exact(&ack, (size_t)got, PROTO_ACK, sizeof(ack)) == NULL) {
        log_error("what came on the channel is no ACK");
        _exit(PROTO_EXIT_SETUP);
    }
    c->ack_due = false;
}

void answer_send(struct answer_channel *c, struct proto_answer *answer, const char *media_type,
                 struct prong_buf result)
{
    size_t media_bytes = strlen(media_type);
    size_t inline_bytes = result.size;
    struct iovec iov[3];

    CHECK(media_bytes <= PROTO_MEDIA_MAX);
    if (result.size > PROTO_ANSWER_INLINE_MAX) {
        CHECK(result.size <= c->out_bytes);
        await_ack(c);
        memcpy(c->out, result.data, result.size);
        inline_bytes = 0;
        answer->in_slab = 1;
        c->ack_due = true;
    }
    answer->head = chan_head(PROTO_ANSWER, sizeof(*answer) + media_bytes + inline_bytes);
    answer->result_bytes = result.size;
    answer->media_bytes = (uint8_t)media_bytes;
    iov[0] = (struct iovec) {.iov_base = answer, .iov_len = sizeof(*answer)};
    iov[1] = (struct iovec) {.iov_base = (void *)(uintptr_t)media_type, .iov_len = media_bytes};
    iov[2] = (struct iovec) {.iov_base = (void *)(uintptr_t)result.data, .iov_len = inline_bytes};
    send_or_end(c, iov, ARRAY_SIZE(iov));
}

void answer_emit(struct answer_channel *c, uint64_t task, struct prong_buf part)
{
    struct proto_answer answer = {
        .head = chan_head(PROTO_ANSWER, sizeof(answer) + part.size),
        .task = task,
        .result_bytes = part.size,
        .kind = PROTO_ANSWER_EMITTED,
    };
    struct iovec iov[2] = {
        {.iov_base = &answer, .iov_len = sizeof(answer)},
        {.iov_base = (void *)(uintptr_t)part.data, .iov_len = part.size},
    };

    CHECK(part.size <= PROTO_PART_MAX);
    send_or_end(c, iov, ARRAY_SIZE(iov));
}
