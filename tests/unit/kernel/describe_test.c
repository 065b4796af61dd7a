#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "kernel/describe.h"

static struct declared *got[DESCRIBE_KERNELS_MAX];
static uint32_t count;
static struct err err;

static int read_text(const char *json)
{
    count = 0;
    return describe_read(json, strlen(json), got, &count, &err);
}

static void release(void)
{
    while (count > 0)
        (void)declared_free(got[--count]);
}

static void refused(const char *json, const char *part)
{
    assert_int_equal(read_text(json), -EINVAL);
    assert_int_equal(count, 0);
    if (strstr(err.text, part) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, part);
}

/* One kernel called k with these members besides. */
static void refused_kernel(const char *members, const char *part)
{
    char json[2048];

    (void)snprintf(json, sizeof(json), "{\"kernels\":[{\"name\":\"k\"%s}]}", members);
    refused(json, part);
}

/* … with one parameter called n. */
static void refused_param(const char *members, const char *part)
{
    char json[1024];

    (void)snprintf(json, sizeof(json), ",\"params\":[{\"name\":\"n\"%s}]", members);
    refused_kernel(json, part);
}

static void a_program_may_say_nothing(void **state)
{
    (void)state;
    assert_int_equal(read_text("{}"), 0);
    assert_int_equal(count, 0);
    assert_int_equal(read_text("{\"kernels\":[]}"), 0);
    assert_int_equal(count, 0);
}

static void a_kernel_has_its_defaults(void **state)
{
    (void)state;
    if (read_text("{\"kernels\":[{\"name\":\"k\"}]}") < 0)
        fail_msg("%s", err.text);
    assert_int_equal(count, 1);
    assert_string_equal(got[0]->kernel.name, "k");
    assert_string_equal(got[0]->kernel.version, "1");
    assert_non_null(got[0]->kernel.map);
    assert_null(got[0]->kernel.plan);
    assert_int_equal(got[0]->kernel.param_count, 0);
    release();
}

static void everything_is_taken(void **state)
{
    const struct prong_kernel *k;

    (void)state;
    if (read_text(
            "{\"kernels\":[{\"name\":\"fib\",\"version\":\"2\",\"summary\":\"Adds.\",\"example\":"
            "\"n=30\","
            "\"media_type\":\"text/plain\",\"flags\":[\"pure\",\"associative\"],\"takes_raw\":true,"
            "\"ops\":[\"plan\",\"map\",\"combine\"],\"params\":["
            "{\"default\":30,\"maximum\":90,\"minimum\":0,\"help\":\"far\",\"type\":\"integer\","
            "\"name\":\"n\"},"
            "{\"name\":\"x\",\"type\":\"number\",\"minimum\":1,\"default\":2.5},"
            "{\"name\":\"t\",\"type\":\"string\",\"max_bytes\":7,\"default\":\"seven\"},"
            "{\"name\":\"c\",\"type\":\"choice\",\"choices\":[\"a\",\"b\"]},"
            "{\"name\":\"v\",\"type\":\"values\",\"max_count\":9},"
            "{\"name\":\"j\",\"type\":\"json\",\"default\":{\"b\":1,\"a\":null}}]},"
            "{\"name\":\"other\"}]}") < 0)
        fail_msg("%s", err.text);
    assert_int_equal(count, 2);
    k = &got[0]->kernel;
    assert_string_equal(k->media_type, "text/plain");
    assert_int_equal(k->flags, PRONG_PURE | PRONG_ASSOCIATIVE);
    assert_true(k->takes_raw && k->plan != NULL && k->map != NULL && k->combine != NULL);
    assert_null(k->finish);
    assert_int_equal(k->param_count, 6);
    assert_int_equal(k->params[0].int_default, 30);
    assert_int_equal(k->params[0].required, 0);
    assert_true(k->params[1].real_min == 1 && k->params[1].real_default == 2.5);
    assert_string_equal(k->params[2].text_default, "seven");
    assert_string_equal(k->params[3].choices[1], "b");
    assert_int_equal(k->params[3].required, 1);
    assert_int_equal(k->params[4].count_max, 9);
    assert_string_equal(k->params[5].text_default, "{\"a\":null,\"b\":1}");
    release();
}

static void what_is_no_ready_is_refused(void **state)
{
    (void)state;
    refused("", "READY is no JSON");
    refused("{", "READY is no JSON");
    refused("[]", "must be {\"kernels\":[…]}");
    refused("{\"kernel\":[]}", "must be {\"kernels\":[…]}");
    refused("{\"kernels\":{}}", "must be {\"kernels\":[…]}");
    refused("{\"kernels\":[1]}", "it must be an object");
    refused("{\"kernels\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "two kernels called a");
    refused("{\"kernels\":[{\"name\":\"a\",\"name\":\"b\"}]}", "READY is no JSON");
    refused("{\"kernels\":[{}]}", "it needs a name");
    refused("{\"kernels\":[{\"name\":\"A\"}]}", "it needs a name");
}

static void members_of_a_kernel_have_their_form(void **state)
{
    (void)state;
    refused_kernel(",\"colour\":1", "there is no member \"colour\"");
    refused_kernel(",\"version\":2", "version must be a string");
    refused_kernel(",\"summary\":[]", "summary must be a string");
    refused_kernel(",\"media_type\":\"png\"", "media_type must be like");
    refused_kernel(",\"media_type\":\"a/b\\nx\"", "media_type must be like");
    refused_kernel(",\"flags\":\"pure\"", "flags must be an array");
    refused_kernel(",\"flags\":[\"clean\"]", "flags must be some of");
    refused_kernel(",\"takes_raw\":1", "takes_raw must be true or false");
    refused_kernel(",\"ops\":[]", "ops must be");
    refused_kernel(",\"ops\":[\"map\"]", "ops must be");
    refused_kernel(",\"ops\":[\"run\",\"plan\"]", "ops must be");
    refused_kernel(",\"ops\":[\"reduce\"]", "ops must be some of");
    refused_kernel(",\"params\":{}", "params must be an array");
}

static void members_of_a_parameter_have_their_form(void **state)
{
    (void)state;
    refused_param("", "the type of parameter n must be integer,");
    refused_param(",\"type\":\"int\"", "the type of parameter n");
    refused_param(",\"type\":\"integer\",\"min\":1", "no member \"min\"");
    refused_param(",\"type\":\"integer\",\"minimum\":1.5", "must be integers");
    refused_param(",\"type\":\"integer\",\"minimum\":3,\"default\":2", "not within its bounds");
    refused_param(",\"type\":\"integer\",\"minimum\":3,\"maximum\":2", "bounds make no sense");
    refused_param(",\"type\":\"number\",\"default\":\"x\"", "must be numbers");
    refused_param(",\"type\":\"string\",\"minimum\":1", "no such bound");
    refused_param(",\"type\":\"string\",\"default\":1", "default must be a string");
    refused_param(",\"type\":\"string\",\"max_bytes\":0", "from 1 to 8388608");
    refused_param(",\"type\":\"string\",\"max_bytes\":2,\"default\":\"long\"",
                  "not within its bounds");
    refused_param(",\"type\":\"choice\"", "choices of n must be an array");
    refused_param(",\"type\":\"choice\",\"choices\":[\"a\"],\"default\":\"b\"",
                  "not within its bounds");
    refused_param(",\"type\":\"choice\",\"choices\":[1]", "a choice must be a string");
    refused_param(",\"type\":\"choice\",\"choices\":[\"\"]", "is empty");
    refused_param(",\"type\":\"values\",\"default\":[]", "no such bound or default");
    refused_param(",\"type\":\"json\"},{\"name\":\"n\",\"type\":\"json\"",
                  "two parameters called n");
}

static void what_is_too_much_is_refused(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 2 * DESCRIBE_BYTES_MAX);
    (void)buf_add_text(&b, "{\"kernels\":[");
    for (int i = 0; i <= DESCRIBE_KERNELS_MAX; i++)
        (void)buf_printf(&b, "%s{\"name\":\"k%d\"}", i == 0 ? "" : ",", i);
    (void)buf_add(&b, "]}", 3);
    refused(b.data, "with at most 64");
    buf_clear(&b);
    (void)buf_add_text(&b, "{\"kernels\":[{\"name\":\"k\",\"params\":[");
    for (int i = 0; i <= (int)PRONG_PARAMS_MAX; i++)
        (void)buf_printf(&b, "%s{\"name\":\"p%d\",\"type\":\"json\"}", i == 0 ? "" : ",", i);
    (void)buf_add(&b, "]}]}", 5);
    refused(b.data, "params must be an array of at most 32");
    buf_clear(&b);
    while (b.size <= DESCRIBE_BYTES_MAX)
        (void)buf_add(&b, "[", 1);
    assert_int_equal(describe_read(b.data, b.size, got, &count, &err), -EINVAL);
    assert_non_null(strstr(err.text, "more than"));
    buf_release(&b);
}

static void damage_is_safe(void **state)
{
    static const char good[] = "{\"kernels\":[{\"name\":\"k\",\"ops\":[\"run\"],\"flags\":["
                               "\"pure\"],\"params\":[{\"name\":\"n\",\"type\":"
                               "\"choice\",\"choices\":[\"a\",\"b\"],\"default\":\"a\"},{\"name\":"
                               "\"m\",\"type\":\"json\",\"default\":[1]}]}]}";
    char damaged[sizeof(good)];

    (void)state;
    srand(11);
    for (int i = 0; i < 50000; i++) {
        memcpy(damaged, good, sizeof(good));
        for (int hits = rand() % 4; hits > 0; hits--)
            damaged[(size_t)rand() % (sizeof(good) - 1)] = "{}[]\",:0ak\n"[rand() % 11];
        count = 0;
        if (describe_read(damaged, strlen(damaged), got, &count, &err) == 0)
            assert_int_equal(declared_check(got[0], &err), 0);
        release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_may_say_nothing),
        cmocka_unit_test(a_kernel_has_its_defaults),
        cmocka_unit_test(everything_is_taken),
        cmocka_unit_test(what_is_no_ready_is_refused),
        cmocka_unit_test(members_of_a_kernel_have_their_form),
        cmocka_unit_test(members_of_a_parameter_have_their_form),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(damage_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
