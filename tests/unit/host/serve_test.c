#include "prong_end.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/err.h"
#include "host/serve.h"

#undef fail /* cmocka's; prong_fail calls a member of that name */

/* ---- a kernel that does what its parameter says ---- */

static const char *const hows[] = {"count", "fail", "silent", "media", "large",
                                   "emit",  "wait", "print",  NULL};
enum { COUNT, FAIL, SILENT, MEDIA, LARGE, EMIT, WAIT, PRINT };

static const struct prong_param params[] = {
    PRONG_PARAM_CHOICE("how", hows, "count", "What it does"),
    PRONG_PARAM_INT("n", 0, 1000, 10, "Units"),
};

static int plan(struct prong_ctx *ctx, struct prong_work *work)
{
    work->units = (uint64_t)prong_int(ctx, 1);
    work->unit_cost = 2.5;
    return prong_int(ctx, 0) == FAIL && prong_int(ctx, 1) == 0
               ? prong_fail(ctx, "Nothing to plan: %s.", "\xff")
               : 0;
}

/* Until it is cancelled. */
static int wait_long(struct prong_ctx *ctx, uint64_t total)
{
    while (prong_progress(ctx, 0, total) == 0) {
    }
    return 0;
}

static int print(struct prong_ctx *ctx)
{
    struct prong_buf input;
    int kind = (int)prong_input(ctx, &input);
    double first = 0;

    if (kind == PRONG_INPUT_VALUES)
        memcpy(&first, input.data, sizeof(first));
    (void)prong_print(ctx, "%d %zu %d ", kind, input.size, prong_left_us(ctx) > 1000000);
    (void)prong_number(ctx, first);
    (void)prong_string(ctx, "a\"\xff", 3);
    return prong_print(ctx, "%0400d", 7);
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    int64_t how = prong_int(ctx, 0);

    switch (how) {
    case FAIL:
        return prong_fail(ctx, "It is %s.", "so");
    case SILENT:
        return 1;
    case MEDIA:
        return prong_media(ctx, "text/x-test");
    case LARGE:
        return prong_reserve(ctx, 2000) == NULL ? -1 : 0;
    case WAIT:
        return wait_long(ctx, hi - lo);
    case PRINT:
        return print(ctx);
    default:
        break;
    }
    if (how == EMIT && prong_wants_parts(ctx))
        (void)prong_emit(ctx, "[1]", 3);
    for (uint64_t unit = lo; unit < hi; unit++)
        (void)prong_print(ctx, "%llu,", (unsigned long long)unit);
    return 0;
}

static int combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    (void)prong_write(ctx, left.data, left.size);
    (void)prong_write(ctx, "+", 1);
    return prong_write(ctx, right.data, right.size);
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    (void)prong_write(ctx, "<", 1);
    (void)prong_write(ctx, whole.data, whole.size);
    return prong_write(ctx, ">", 1);
}

static struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .name = "test",
    .version = "1",
    .params = params,
    .param_count = 2,
    .plan = plan,
    .map = map,
    .combine = combine,
    .finish = finish,
};

/* ---- the program, in a process of its own ---- */

struct program {
    struct prong_end end;
    pid_t pid;
};

static struct program start(void)
{
    struct program p = {.end = prong_end_open()};

    p.pid = fork();
    if (p.pid == 0) {
        struct err err;
        int rc;

        (void)close(p.end.fd);
        rc = serve_kernel(p.end.other, &kernel, NULL, &err);
        _exit(rc == 0 ? 0 : rc == -EPROTO ? 76 : 1);
    }
    (void)close(p.end.other);
    p.end.other = -1;
    return p;
}

static struct program start_greeted(void)
{
    struct program p = start();
    struct prong_end_frame f;

    prong_end_send(&p.end, FRAME_HELLO, 0, "{\"protocol\":1,\"result_bytes_max\":1000,\"x\":{}}",
                   "", 0);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, FRAME_READY);
    assert_non_null(strstr(f.meta, "\"name\":\"test\""));
    prong_end_release(&f);
    return p;
}

static int end_of(struct program *p)
{
    int status;

    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    prong_end_close(&p->end);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void quit(struct program *p)
{
    prong_end_send(&p->end, FRAME_QUIET, 0, "", "", 0);
    assert_int_equal(end_of(p), 0);
}

/* Asks, and expects this answer: its type, what its JSON holds, and its raw bytes. */
static void check_answer(struct program *p, const char *meta, const char *raw, enum frame_type type,
                         const char *said, const char *answer)
{
    struct prong_end_frame f;

    prong_end_send(&p->end, FRAME_JOB, 42, meta, raw, strlen(raw));
    f = prong_end_receive(&p->end);
    if (f.head.type != type || strcmp(f.raw, answer) != 0 || strstr(f.meta, said) == NULL)
        print_error("to %s: frame %d %s %s\n", meta, f.head.type, f.meta, f.raw);
    assert_int_equal(f.head.type, type);
    assert_string_equal(f.raw, answer);
    assert_non_null(strstr(f.meta, said));
    assert_int_equal(f.head.job, 42);
    prong_end_release(&f);
}

#define JOB(op, rest) "{\"kernel\":\"test\",\"op\":\"" op "\"," rest "\"input\":\"none\"}"
#define HOW(how)      "\"params\":{\"how\":\"" how "\",\"n\":3},"

static void ops_are_the_kernels_functions(void **state)
{
    struct program p = start_greeted();

    (void)state;
    check_answer(&p, JOB("run", HOW("count")), "", FRAME_RESULT, "", "<0,1,2,>");
    check_answer(&p, JOB("run", ""), "", FRAME_RESULT, "", "<0,1,2,3,4,5,6,7,8,9,>");
    check_answer(&p, JOB("plan", HOW("count")), "", FRAME_RESULT, "\"units\":3,\"unit_cost\":2.5",
                 "");
    check_answer(&p, JOB("map", "\"lo\":1,\"hi\":3,"), "", FRAME_RESULT, "", "1,2,");
    check_answer(&p, JOB("map", "\"lo\":2,\"hi\":2,"), "", FRAME_RESULT, "", "");
    check_answer(&p, JOB("combine", "\"parts\":[1,2],"), "abb", FRAME_RESULT, "", "a+bb");
    check_answer(&p, JOB("combine", "\"parts\":[1,2,0,1],"), "abbc", FRAME_RESULT, "", "a+bb++c");
    check_answer(&p, JOB("combine", "\"parts\":[2],"), "ab", FRAME_RESULT, "", "ab");
    check_answer(&p, JOB("finish", "\"parts\":[3],"), "abc", FRAME_RESULT, "", "<abc>");
    check_answer(&p, JOB("finish", "\"parts\":[1,2],"), "abc", FRAME_RESULT, "", "<a+bc>");
    check_answer(&p, JOB("finish", ""), "", FRAME_RESULT, "", "<>");
    quit(&p);
}

static void without_combine_parts_are_concatenated(void **state)
{
    struct program p;

    (void)state;
    kernel.combine = NULL;
    p = start_greeted();
    kernel.combine = combine;
    check_answer(&p, JOB("finish", "\"parts\":[1,0,2],"), "abc", FRAME_RESULT, "", "<abc>");
    quit(&p);
}

/* Writes what the kernel sees of its input: kind, size, deadline, first value, a string, a long text. */
static void input_is_what_was_sent(void **state)
{
    char expected[600];
    struct program p = start_greeted();
    double values[2] = {1.5, 2};
    struct prong_end_frame f;

    (void)state;
    prong_end_send(
        &p.end, FRAME_JOB, 1,
        "{\"kernel\":\"test\",\"op\":\"map\",\"lo\":0,\"hi\":1,\"params\":{\"how\":\"print\"},"
        "\"input\":\"values\",\"input_bytes\":16,\"timeout_ms\":60000}",
        values, sizeof(values));
    f = prong_end_receive(&p.end);
    (void)snprintf(expected, sizeof(expected), "2 16 1 1.5\"a\\\"\xef\xbf\xbd\"%0400d", 7);
    assert_string_equal(f.raw, expected);
    prong_end_release(&f);
    prong_end_send(
        &p.end, FRAME_JOB, 1,
        "{\"kernel\":\"test\",\"op\":\"map\",\"lo\":0,\"hi\":1,\"params\":{\"how\":\"print\"},"
        "\"input\":\"raw\",\"input_bytes\":3,\"timeout_ms\":100}",
        "raw", 3);
    f = prong_end_receive(&p.end);
    assert_memory_equal(f.raw, "1 3 0 0", 7);
    prong_end_release(&f);
    quit(&p);
}

static void every_mistake_has_its_sentence(void **state)
{
    struct program p = start_greeted();

    (void)state;
    check_answer(&p, JOB("run", HOW("fail")), "", FRAME_ERROR, "It is so.", "");
    check_answer(&p, JOB("run", HOW("silent")), "", FRAME_ERROR, "failed without saying why", "");
    check_answer(&p, JOB("run", HOW("large")), "", FRAME_ERROR, "larger than 1000 bytes", "");
    check_answer(&p, JOB("finish", "\"parts\":[1001],"), (char[1002]) {[0 ... 1000] = 'x'},
                 FRAME_ERROR, "larger than 1000 bytes", "");
    check_answer(&p, JOB("plan", "\"params\":{\"how\":\"fail\",\"n\":0},"), "", FRAME_ERROR,
                 "no UTF-8", "");
    check_answer(&p, JOB("run", "\"params\":{\"n\":1001},"), "", FRAME_ERROR, "Parameter n", "");
    check_answer(&p, JOB("dance", ""), "", FRAME_ERROR, "There is no op dance.", "");
    check_answer(&p, "{\"kernel\":\"tset\",\"op\":\"run\"}", "", FRAME_ERROR, "no kernel tset", "");
    check_answer(&p, "{}", "", FRAME_ERROR, "no kernel", "");
    check_answer(&p, "{\"kernel\":\"test\"}", "", FRAME_ERROR, "op, range or deadline", "");
    check_answer(&p, JOB("map", "\"lo\":-1,\"hi\":1,"), "", FRAME_ERROR, "op, range", "");
    check_answer(&p, JOB("map", "\"lo\":2,\"hi\":1,"), "", FRAME_ERROR, "no range", "");
    check_answer(&p, JOB("finish", "\"parts\":[4],"), "abc", FRAME_ERROR, "more parts", "");
    check_answer(&p, JOB("finish", "\"parts\":[-1],"), "abc", FRAME_ERROR, "more parts", "");
    check_answer(&p, "{\"kernel\":\"test\",\"op\":\"run\",\"input\":\"raw\",\"input_bytes\":4}",
                 "abc", FRAME_ERROR, "more input", "");
    check_answer(&p, "{\"kernel\":\"test\",\"op\":\"run\",\"input\":\"values\",\"input_bytes\":3}",
                 "abc", FRAME_ERROR, "whole numbers", "");
    check_answer(&p, "{\"kernel\":\"test\",\"op\":\"run\",\"input\":\"heap\"}", "", FRAME_ERROR,
                 "no known kind", "");
    check_answer(&p, JOB("run", HOW("count")), "", FRAME_RESULT, "", "<0,1,2,>"); /* it lives on */
    quit(&p);
}

static void a_kernel_without_plan_only_runs(void **state)
{
    struct program p;

    (void)state;
    kernel.plan = NULL;
    kernel.finish = NULL;
    p = start_greeted();
    kernel.plan = plan;
    kernel.finish = finish;
    check_answer(&p, JOB("run", ""), "", FRAME_RESULT, "", "0,");
    check_answer(&p, JOB("plan", ""), "", FRAME_ERROR, "is not split", "");
    quit(&p);
}

static void media_types_are_told(void **state)
{
    struct program p = start_greeted();

    (void)state;
    check_answer(&p, JOB("run", HOW("media")), "", FRAME_RESULT, "{\"media_type\":\"text/x-test\"}",
                 "<>");
    check_answer(&p, JOB("run", HOW("count")), "", FRAME_RESULT, "", "<0,1,2,>");
    quit(&p);
}

static void parts_go_to_who_listens(void **state)
{
    struct program p = start_greeted();
    struct prong_end_frame f;

    (void)state;
    check_answer(&p, JOB("run", HOW("emit")), "", FRAME_RESULT, "", "<0,1,2,>");
    prong_end_send(&p.end, FRAME_JOB, 6, JOB("run", "\"wants_parts\":true," HOW("emit")), "", 0);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, FRAME_PART);
    assert_int_equal(f.head.job, 6);
    assert_string_equal(f.raw, "[1]");
    prong_end_release(&f);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, FRAME_RESULT);
    prong_end_release(&f);
    quit(&p);
}

/* It says how far it is, and ends when nobody wants it. */
static void check_stopped(struct program *p, uint64_t number)
{
    struct prong_end_frame f = prong_end_receive(&p->end);

    while (f.head.type == FRAME_PROGRESS) {
        assert_string_equal(f.meta, "{\"done\":0,\"total\":10}");
        prong_end_release(&f);
        f = prong_end_receive(&p->end);
    }
    assert_int_equal(f.head.type, FRAME_ERROR);
    assert_int_equal(f.head.job, number);
    assert_non_null(strstr(f.meta, "\"code\":\"cancelled\""));
    prong_end_release(&f);
}

static void cancel_stops_it(void **state)
{
    struct program p = start_greeted();
    struct prong_end_frame f;

    (void)state;
    prong_end_send(&p.end, FRAME_JOB, 8, JOB("run", "\"params\":{\"how\":\"wait\"},"), "", 0);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, FRAME_PROGRESS);
    prong_end_release(&f);
    prong_end_send(&p.end, FRAME_CANCEL, 8, "", "", 0);
    check_stopped(&p, 8);
    prong_end_send(&p.end, FRAME_CANCEL, 8, "", "", 0); /* too late: nothing */
    check_answer(&p, JOB("run", HOW("count")), "", FRAME_RESULT, "", "<0,1,2,>");
    quit(&p);
}

static void its_deadline_stops_it(void **state)
{
    struct program p = start_greeted();

    (void)state;
    prong_end_send(&p.end, FRAME_JOB, 9,
                   JOB("run", "\"timeout_ms\":30,\"params\":{\"how\":\"wait\"},"), "", 0);
    check_stopped(&p, 9);
    quit(&p);
}

/* Nobody is there to tell; it ends all the same. */
static void a_closed_socket_ends_it_while_it_works(void **state)
{
    struct program p = start_greeted();
    struct prong_end_frame f;

    (void)state;
    prong_end_send(&p.end, FRAME_JOB, 9, JOB("run", "\"params\":{\"how\":\"wait\"},"), "", 0);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, FRAME_PROGRESS);
    prong_end_release(&f);
    (void)close(p.end.fd);
    p.end.fd = -1;
    assert_int_equal(end_of(&p), 0);
}

static void ping_is_answered(void **state)
{
    struct program p = start_greeted();
    struct prong_end_frame f;

    (void)state;
    prong_end_send(&p.end, FRAME_PING, 0, "", "", 0);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, FRAME_PONG);
    assert_int_equal(f.head.job, 0);
    prong_end_release(&f);
    quit(&p);
}

/* What it does when this is the first frame, or the one after HELLO. */
static int end_after(int is_first, enum frame_type type, uint64_t job, const char *meta)
{
    struct program p = is_first ? start() : start_greeted();
    struct prong_end_frame f;

    prong_end_send(&p.end, type, job, meta, "", 0);
    f = prong_end_receive(&p.end);
    assert_int_equal(f.head.type, 0); /* it says nothing */
    prong_end_release(&f);
    return end_of(&p);
}

static void what_breaks_the_protocol_ends_it(void **state)
{
    (void)state;
    assert_int_equal(end_after(1, FRAME_PING, 0, ""), 76);
    assert_int_equal(end_after(1, FRAME_HELLO, 0, ""), 76);
    assert_int_equal(end_after(1, FRAME_HELLO, 0, "{\"protocol\":2}"), 76);
    assert_int_equal(end_after(1, FRAME_HELLO, 0, "{\"protocol\":"), 76);
    assert_int_equal(end_after(0, FRAME_HELLO, 0, "{\"protocol\":1}"), 76);
    assert_int_equal(end_after(0, FRAME_JOB, 0, JOB("run", "")), 76);
    assert_int_equal(end_after(0, FRAME_JOB, 1, "[]"), 76);
    assert_int_equal(end_after(0, FRAME_JOB, 1, "{\"kernel\":\"test\""), 76);
    assert_int_equal(end_after(0, FRAME_PONG, 0, ""), 76);
}

static void the_end_of_the_stream_ends_it_well(void **state)
{
    struct program p = start();

    (void)state;
    (void)close(p.end.fd);
    p.end.fd = -1;
    assert_int_equal(end_of(&p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_are_the_kernels_functions),
        cmocka_unit_test(without_combine_parts_are_concatenated),
        cmocka_unit_test(input_is_what_was_sent),
        cmocka_unit_test(every_mistake_has_its_sentence),
        cmocka_unit_test(a_kernel_without_plan_only_runs),
        cmocka_unit_test(media_types_are_told),
        cmocka_unit_test(parts_go_to_who_listens),
        cmocka_unit_test(cancel_stops_it),
        cmocka_unit_test(its_deadline_stops_it),
        cmocka_unit_test(a_closed_socket_ends_it_while_it_works),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(what_breaks_the_protocol_ends_it),
        cmocka_unit_test(the_end_of_the_stream_ends_it_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
