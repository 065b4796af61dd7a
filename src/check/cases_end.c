#include "check/cases.h"

#include <errno.h>
#include <sys/wait.h>

enum { END_MS = 2000 };

/* Each ends a program of its own. */
static int await_end(struct bench *b, bool is_zero_wanted)
{
    char status[40];

    if (peer_await_end(&b->peer, bench_allowed(b, END_MS)) < 0)
        return bench_fail(b, "It did not end within %d ms.", END_MS);
    if (is_zero_wanted && b->peer.status != 0)
        return bench_fail(b, "It ended with %s, not with exit status 0.",
                          peer_status_text(b->peer.status, status));
    return 0;
}

static int ends_after_quiet(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return bench_say(b, FRAME_QUIET) < 0 ? -1 : await_end(b, true);
}

static int ends_at_end_of_stream(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    peer_hang_up(&b->peer);
    return await_end(b, true);
}

/* It cannot know where the next frame begins, so it must not guess. */
static int ends_after(struct bench *b, const struct frame_head *head)
{
    struct frame f;
    struct err err;
    int rc;

    if (peer_send_bytes(&b->peer, head, sizeof(*head), false, bench_deadline(b)) < 0)
        return bench_fail(b, "It stopped reading before.");
    rc = peer_receive(&b->peer, &f, bench_allowed(b, END_MS), &err);
    if (rc == 0)
        return bench_fail(b, "It answered with a frame of type %d.", f.type);
    return await_end(b, false);
}

static int ends_after_wrong_magic(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return ends_after(
        b, &(struct frame_head) {.magic = 0x5448, .version = FRAME_VERSION, .type = FRAME_PING});
}

static int ends_after_wrong_version(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return ends_after(
        b, &(struct frame_head) {.magic = FRAME_MAGIC, .version = 99, .type = FRAME_PING});
}

const struct check_case check_end_cases[] = {
    {"ends when a frame has the wrong magic", ends_after_wrong_magic},
    {"ends when a frame is of a version that there is not", ends_after_wrong_version},
    {"ends with exit status 0 within 2 s of QUIET", ends_after_quiet},
    {"ends with exit status 0 within 2 s of the end of the stream", ends_at_end_of_stream},
};
const size_t check_end_case_count = ARRAY_SIZE(check_end_cases);
