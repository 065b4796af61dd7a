#include "http/token.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/check.h"

#define TOKEN "0123456789abcdef-._~+/=="

static char path[64];

static void write_file(const void *bytes, size_t n, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static int read_text(const char *text, struct token **ret)
{
    struct err err;

    write_file(text, strlen(text), 0600);
    return token_read(ret, path, &err);
}

static void the_first_line_is_the_token(void **state)
{
    static const char *const texts[] = {TOKEN, TOKEN "\n", TOKEN "\r\n", TOKEN "\nmore\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct token *token = NULL;
        assert_int_equal(read_text(texts[i], &token), 0);
        assert_int_equal(token_judge(token, "Bearer " TOKEN), TOKEN_RIGHT);
        token = token_free(token);
    }
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {
        "",        "\n",       "0123456789abcde", "\n" TOKEN,           " " TOKEN,
        TOKEN " ", TOKEN "\r", TOKEN "\x7f",      "0123456789\tabcdef", "0123456789abcd\xc3\xa9",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct token *token = NULL;
        if (read_text(texts[i], &token) != -EINVAL)
            fail_msg("\"%s\" was taken", texts[i]);
        assert_null(token);
    }
}

static void its_length_has_bounds(void **state)
{
    char text[TOKEN_BYTES_MAX + 64], header[TOKEN_BYTES_MAX + 64];
    struct token *token = NULL;
    struct err err;

    (void)state;
    memset(text, 'x', sizeof(text));
    write_file(text, TOKEN_BYTES_MAX + 1, 0600);
    assert_int_equal(token_read(&token, path, &err), -EINVAL);
    write_file(text, sizeof(text), 0600);
    assert_int_equal(token_read(&token, path, &err), -EINVAL);
    write_file(text, TOKEN_BYTES_MAX, 0600);
    assert_int_equal(token_read(&token, path, &err), 0);
    (void)snprintf(header, sizeof(header), "Bearer %.*s", TOKEN_BYTES_MAX, text);
    assert_int_equal(token_judge(token, header), TOKEN_RIGHT);
    (void)snprintf(header, sizeof(header), "Bearer %.*s", TOKEN_BYTES_MAX - 1, text);
    assert_int_equal(token_judge(token, header), TOKEN_WRONG);
    (void)snprintf(header, sizeof(header), "Bearer %.*s", TOKEN_BYTES_MAX + 1, text);
    assert_int_equal(token_judge(token, header), TOKEN_WRONG);
    token = token_free(token);
}

static void a_file_that_others_may_open_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0620, 0604, 0602, 0666};
    struct token *token = NULL;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        write_file(TOKEN, strlen(TOKEN), modes[i]);
        assert_int_equal(token_read(&token, path, &err), -EACCES);
        assert_non_null(strstr(err.text, "chmod 600"));
    }
    write_file(TOKEN, strlen(TOKEN), 0400);
    assert_int_equal(token_read(&token, path, &err), 0);
    token = token_free(token);
}

static void what_is_no_file_is_refused(void **state)
{
    struct token *token = NULL;
    struct err err;

    (void)state;
    (void)unlink(path);
    assert_int_equal(token_read(&token, path, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(token_read(&token, path, &err), -EINVAL); /* and does not wait for a writer */
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(token_read(&token, path, &err), -EINVAL);
    (void)rmdir(path);
}

static void the_header_is_judged(void **state)
{
    static const struct {
        const char *header;
        enum token_verdict verdict;
    } cases[] = {
        {NULL, TOKEN_MISSING},
        {"", TOKEN_MISSING},
        {"Bearer", TOKEN_MISSING},
        {"Basic " TOKEN, TOKEN_MISSING},
        {"Bearer" TOKEN, TOKEN_MISSING},
        {TOKEN, TOKEN_MISSING},
        {"Bearer ", TOKEN_WRONG},
        {"Bearer " TOKEN "x", TOKEN_WRONG},
        {"Bearer 0123456789abcdef-._~+/=", TOKEN_WRONG},
        {"Bearer x123456789abcdef-._~+/==", TOKEN_WRONG},
        {"Bearer 0123456789ABCDEF-._~+/==", TOKEN_WRONG},
        {"Bearer " TOKEN "," TOKEN, TOKEN_WRONG},
        {"Bearer " TOKEN " " TOKEN, TOKEN_WRONG},
        {"Bearer " TOKEN, TOKEN_RIGHT},
        {"bEARER   " TOKEN, TOKEN_RIGHT},
        {"Bearer " TOKEN " \t", TOKEN_RIGHT},
    };
    struct token *token = NULL;

    (void)state;
    assert_int_equal(read_text(TOKEN, &token), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (token_judge(token, cases[i].header) != cases[i].verdict)
            fail_msg("\"%s\" was judged otherwise", cases[i].header);
    }
    token = token_free(token);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/prong-token-test.%d", (int)getpid());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_is_the_token),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(its_length_has_bounds),
        cmocka_unit_test(a_file_that_others_may_open_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(the_header_is_judged),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
