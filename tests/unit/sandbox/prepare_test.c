/* Which layers there are, by mode; each in a process of its own, for the network is left for good. */
#include "box.h"

static int prepare(const struct sandbox_config *config, bool as_other, struct sandbox_report *ret,
                   struct err *ret_err)
{
    int ends[2], rc = -1;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        struct err err = {""};
        log_init("box", LOG_ERROR);
        if (as_other)
            MUST(setresgid(BOX_NOT_ROOT, BOX_NOT_ROOT, BOX_NOT_ROOT) == 0 &&
                 setresuid(BOX_NOT_ROOT, BOX_NOT_ROOT, BOX_NOT_ROOT) == 0);
        rc = sandbox_prepare(config, &err);
        MUST(write(ends[1], &rc, sizeof(rc)) > 0);
        MUST(write(ends[1], sandbox_report(), sizeof(*ret)) > 0);
        MUST(write(ends[1], &err, sizeof(err)) > 0);
        _exit(0);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &rc, sizeof(rc)), sizeof(rc));
    assert_int_equal(read(ends[0], ret, sizeof(*ret)), sizeof(*ret));
    assert_int_equal(read(ends[0], ret_err, sizeof(*ret_err)), sizeof(*ret_err));
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return rc;
}

static void automatically_there_is_what_the_system_allows(void **state)
{
    struct sandbox_report report;
    struct err err;

    (void)state;
    assert_int_equal(prepare(&(struct sandbox_config) {0}, false, &report, &err), 0);
    assert_int_equal(report.wanted, LAYERS_ALL);
    assert_int_equal(report.active & ~report.wanted, 0);
    assert_true(report.active & LAYER_NO_NEW_PRIVS && report.active & LAYER_LIMITS);
    assert_int_equal((report.active & LAYER_LANDLOCK) != 0, report.landlock_abi > 0);
    assert_int_equal(report.uid, report.active & LAYER_USER ? 65534 : geteuid());
}

static void off_there_is_nothing(void **state)
{
    struct sandbox_report report;
    struct err err;

    (void)state;
    assert_int_equal(prepare(&(struct sandbox_config) {.mode = LAYERS_OFF}, false, &report, &err),
                     0);
    assert_int_equal(report.wanted, 0);
    assert_int_equal(report.active, 0);
    assert_int_equal(report.uid, geteuid());
}

static void each_layer_can_be_left_out(void **state)
{
    struct sandbox_report all, report;
    struct err err;

    (void)state;
    assert_int_equal(prepare(&(struct sandbox_config) {0}, false, &all, &err), 0);
    for (unsigned i = 0; i < LAYERS_COUNT; i++) {
        uint32_t left_out = 1u << i;
        assert_int_equal(
            prepare(&(struct sandbox_config) {.without = left_out}, false, &report, &err), 0);
        if (left_out == LAYER_NO_NEW_PRIVS) /* without which the system gives no others */
            left_out |= LAYER_LANDLOCK | LAYER_SECCOMP;
        assert_int_equal(report.active, all.active & ~left_out);
        assert_int_equal(report.wanted, LAYERS_ALL & ~left_out);
    }
}

static void strictly_none_can_be_left_out(void **state)
{
    struct sandbox_report report;
    struct err err;

    (void)state;
    for (unsigned i = 0; i < LAYERS_COUNT; i++) {
        struct sandbox_config config = {.mode = LAYERS_STRICT, .without = 1u << i};
        assert_int_equal(prepare(&config, false, &report, &err), -EINVAL);
        assert_non_null(strstr(err.text, layers_name(i)));
        assert_non_null(strstr(err.text, "--sandbox-without"));
    }
}

/* A stranger has neither another user nor a network to give. */
static void strictly_a_missing_layer_is_named(void **state)
{
    struct sandbox_config config = {.mode = LAYERS_STRICT};
    struct sandbox_report report;
    struct err err;

    (void)state;
    if (geteuid() == 0 && prepare(&config, false, &report, &err) < 0)
        assert_non_null(strstr(err.text, "The sandbox has no layer "));
    assert_int_equal(prepare(&config, geteuid() == 0, &report, &err), -EPERM);
    assert_non_null(strstr(err.text, "no layer user. Workers cannot run as another user"));
}

static void strictly_the_user_must_be_another(void **state)
{
    struct sandbox_config config = {.mode = LAYERS_STRICT, .user = "root"};
    struct sandbox_report report;
    struct err err;

    (void)state;
    if (geteuid() != 0)
        return;
    assert_int_equal(prepare(&config, false, &report, &err), -EPERM);
    assert_non_null(strstr(err.text, "--sandbox-user"));
}

static void a_user_that_does_not_exist_is_always_refused(void **state)
{
    struct sandbox_config config = {.user = "no-such-user"};
    struct sandbox_report report;
    struct err err;

    (void)state;
    assert_int_equal(prepare(&config, false, &report, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no-such-user"));
}

static void look_at_nothing(void)
{
    MUST(open("/etc/passwd", O_RDONLY) >= 0);
    MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
}

static void without_preparation_there_are_no_layers(void **state)
{
    (void)state;
    box_holds((struct box) {.config.mode = LAYERS_OFF, .check = look_at_nothing});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(automatically_there_is_what_the_system_allows),
        cmocka_unit_test(off_there_is_nothing),
        cmocka_unit_test(each_layer_can_be_left_out),
        cmocka_unit_test(strictly_none_can_be_left_out),
        cmocka_unit_test(strictly_a_missing_layer_is_named),
        cmocka_unit_test(strictly_the_user_must_be_another),
        cmocka_unit_test(a_user_that_does_not_exist_is_always_refused),
        cmocka_unit_test(without_preparation_there_are_no_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
