#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/answer.h"

#include "prong_side.h"

static struct prong_side side;
static struct prong_side_answer got;

static struct answer_channel open_channel(void)
{
    prong_side_open(&side, PRONG_SIDE_OUT_BYTES);
    return (struct answer_channel) {
        .fd = side.worker_fds[PROTO_FORK_CHANNEL],
        .out = malloc(PRONG_SIDE_OUT_BYTES),
        .out_bytes = PRONG_SIDE_OUT_BYTES,
    };
}

static void close_channel(struct answer_channel *c)
{
    free(c->out);
    prong_side_close(&side);
}

static void send_bytes(struct answer_channel *c, size_t bytes, const char *media)
{
    static char content[PRONG_SIDE_OUT_BYTES];
    struct proto_answer answer = {.task = 9, .kind = PROTO_ANSWER_RESULT};

    memset(content, (int)(bytes % 100), sizeof(content));
    answer_send(c, &answer, media, (struct prong_buf) {.data = content, .size = bytes});
}

static void small_results_are_inline(void **state)
{
    struct answer_channel c = open_channel();

    (void)state;
    send_bytes(&c, PROTO_ANSWER_INLINE_MAX, "a/b");
    assert_int_equal(prong_side_receive(&side, &got),
                     sizeof(got.head) + 3 + PROTO_ANSWER_INLINE_MAX);
    assert_int_equal(got.head.media_bytes, 3);
    assert_int_equal(got.head.in_slab, 0);
    assert_int_equal(got.head.result_bytes, PROTO_ANSWER_INLINE_MAX);
    assert_memory_equal(got.body, "a/b", 3);
    assert_int_equal(got.body[3], PROTO_ANSWER_INLINE_MAX % 100);
    assert_false(c.ack_due);
    close_channel(&c);
}

static void large_results_are_in_the_slab(void **state)
{
    struct answer_channel c = open_channel();

    (void)state;
    send_bytes(&c, PROTO_ANSWER_INLINE_MAX + 1, "a/b");
    assert_int_equal(prong_side_receive(&side, &got), sizeof(got.head) + 3);
    assert_int_equal(got.head.in_slab, 1);
    assert_int_equal(got.head.result_bytes, PROTO_ANSWER_INLINE_MAX + 1);
    assert_int_equal(c.out[PROTO_ANSWER_INLINE_MAX], (PROTO_ANSWER_INLINE_MAX + 1) % 100);
    assert_true(c.ack_due);
    close_channel(&c);
}

static void the_slab_is_kept_until_the_ack(void **state)
{
    struct answer_channel c = open_channel();

    (void)state;
    send_bytes(&c, 20000, "");
    send_bytes(&c, 10, ""); /* needs no slab, so no ACK */
    assert_true(c.ack_due);
    assert_int_equal(c.out[0], 20000 % 100);
    prong_side_ack(&side);
    send_bytes(&c, 20001, "");
    assert_int_equal(c.out[0], 20001 % 100);
    assert_true(c.ack_due);
    close_channel(&c);
}

/* What the process ends with that sends two large results, when prong does `act` in between. */
static int status_after(void (*act)(void))
{
    struct answer_channel c = open_channel();
    pid_t pid;
    int status;

    pid = fork();
    if (pid == 0) {
        (void)close(side.channel);
        send_bytes(&c, 20000, "");
        send_bytes(&c, 20001, "");
        _exit(99);
    }
    assert_true(prong_side_receive(&side, &got) > 0);
    act();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close_channel(&c);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void leave(void)
{
    (void)close(side.channel);
    side.channel = -1;
}

static void talk_nonsense(void)
{
    struct proto_kill kill = {.head = chan_head(PROTO_KILL, sizeof(kill))};
    assert_int_equal(chan_send_struct(side.channel, &kill, sizeof(kill), 0), 0);
}

static void without_prong_the_worker_ends(void **state)
{
    (void)state;
    assert_int_equal(status_after(leave), PROTO_EXIT_RETIRED);
}

static void what_is_no_ack_ends_the_worker(void **state)
{
    (void)state;
    assert_int_equal(status_after(talk_nonsense), PROTO_EXIT_SETUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_results_are_inline),
        cmocka_unit_test(large_results_are_in_the_slab),
        cmocka_unit_test(the_slab_is_kept_until_the_ack),
        cmocka_unit_test(without_prong_the_worker_ends),
        cmocka_unit_test(what_is_no_ack_ends_the_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
