#include "worker/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BYTES = 400 };

static int set_up(void **state)
{
    static struct output o;

    *state = &o;
    return output_init(&o, MAX_BYTES);
}

static int tear_down(void **state)
{
    output_release(*state);
    return 0;
}

PRINTF_LIKE(3, 4) static int print(struct output *o, struct err *err, const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = writer_print(o, err, format, args);
    va_end(args);
    return rc;
}

static void assert_content(const struct output *o, const char *expected)
{
    assert_int_equal(o->size, strlen(expected));
    assert_memory_equal(o->data, expected, o->size);
}

/* It said so, and wrote nothing. */
static void assert_full(const struct output *o, int rc, const struct err *err, size_t size)
{
    assert_int_equal(rc, -EMSGSIZE);
    assert_string_equal(err->text,
                        "The result is larger than 400 bytes; the server's limit is --result-max.");
    assert_int_equal(o->size, size);
}

static void all_append(void **state)
{
    struct err err = {"untouched"};

    assert_int_equal(writer_bytes(*state, "[", 1, &err), 0);
    assert_int_equal(writer_bytes(*state, NULL, 0, &err), 0);
    assert_int_equal(writer_number(*state, 4.0, &err), 0);
    assert_int_equal(print(*state, &err, ",%d%s", 17, ","), 0);
    assert_int_equal(writer_string(*state, "a\n", 2, &err), 0);
    memcpy(writer_reserve(*state, 1, &err), "]", 1);
    assert_content(*state, "[4,17,\"a\\n\"]");
    assert_string_equal(err.text, "untouched");
}

static void a_print_of_any_length_is_whole(void **state)
{
    char text[MAX_BYTES + 1];
    struct err err;

    for (size_t bytes = 250; bytes <= MAX_BYTES; bytes++) {
        output_clear(*state);
        memset(text, 'x', bytes);
        text[bytes] = '\0';
        assert_int_equal(print(*state, &err, "%s", text), 0);
        assert_content(*state, text);
    }
}

static void what_passes_the_limit_is_refused_whole(void **state)
{
    static const char text[MAX_BYTES];
    struct output *o = *state;
    struct err err;

    assert_int_equal(writer_bytes(o, text, MAX_BYTES - 1, &err), 0);
    assert_full(o, writer_bytes(o, text, 2, &err), &err, MAX_BYTES - 1);
    err.text[0] = '\0';
    assert_full(o, print(o, &err, "%d", 10), &err, MAX_BYTES - 1);
    err.text[0] = '\0';
    assert_full(o, writer_number(o, 10, &err), &err, MAX_BYTES - 1);
    err.text[0] = '\0';
    assert_full(o, writer_string(o, "", 0, &err), &err, MAX_BYTES - 1);
    err.text[0] = '\0';
    assert_null(writer_reserve(o, 2, &err));
    assert_full(o, -EMSGSIZE, &err, MAX_BYTES - 1);
    assert_int_equal(writer_number(o, 1, &err), 0);
}

/* Though six bytes might have been needed for each of its own. */
static void a_string_that_just_fits_does(void **state)
{
    char text[MAX_BYTES + 1];
    struct output *o = *state;
    struct err err;

    memset(text, 'x', sizeof(text));
    assert_int_equal(writer_string(o, text, MAX_BYTES - 2, &err), 0);
    assert_int_equal(o->size, MAX_BYTES);
    output_clear(o);
    assert_full(o, writer_string(o, text, MAX_BYTES - 1, &err), &err, 0);
    assert_full(o, writer_string(o, text, MAX_BYTES + 1, &err), &err, 0);
    text[0] = '\1'; /* six bytes */
    assert_full(o, writer_string(o, text, MAX_BYTES - 2, &err), &err, 0);
    assert_int_equal(writer_string(o, text, MAX_BYTES - 7, &err), 0);
    assert_int_equal(o->size, MAX_BYTES);
}

static void a_type_is_one_line_of_ascii(void **state)
{
    static const char *const bad[] = {"", "a/b\r\nX: y", "a\tb", "gr\xc3\xbcn", "a\x7f"};
    char media[PROTO_MEDIA_MAX + 1] = "before", longest[PROTO_MEDIA_MAX + 2];
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(writer_media(media, bad[i], &err), -EINVAL);
        assert_string_equal(media, "before");
    }
    memset(longest, 'x', sizeof(longest));
    longest[PROTO_MEDIA_MAX + 1] = '\0';
    assert_int_equal(writer_media(media, longest, &err), -EINVAL);
    assert_non_null(strstr(err.text, "bytes long."));
    longest[PROTO_MEDIA_MAX] = '\0';
    assert_int_equal(writer_media(media, longest, &err), 0);
    assert_string_equal(media, longest);
    assert_int_equal(writer_media(media, "text/plain; charset=utf-8", &err), 0);
    assert_string_equal(media, "text/plain; charset=utf-8");
}

#define WITH_OUTPUT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_OUTPUT(all_append),
        WITH_OUTPUT(a_print_of_any_length_is_whole),
        WITH_OUTPUT(what_passes_the_limit_is_refused_whole),
        WITH_OUTPUT(a_string_that_just_fits_does),
        cmocka_unit_test(a_type_is_one_line_of_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
