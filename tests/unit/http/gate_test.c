#include "http/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

/*
 * Heads as bytes, taken apart in their place as libmicrohttpd 0.9.75 does it: lines end with CR LF or LF, which become
 * NULs, as do the blanks of the request line and the first colon of each header; blanks before a value are skipped;
 * a folded line is glued to the name before it, in new memory; and a line that begins with a NUL is empty.
 */

enum { FINE = PROBLEM_COUNT, TARGET_MAX = 64, HEAD_MAX = 400, HEADERS_MAX = 10 };

static struct {
    char *head, *end, *pos; /* pos: what is not read yet */
    char *glued;
    struct gate_line line;
    char target[HEAD_MAX + 100];
    struct gate_rules rules;
    struct request_headers headers;
    struct gate gate;
} m;

static char *next_line(size_t *ret_bytes)
{
    char *line = m.pos, *lf = memchr(m.pos, '\n', (size_t)(m.end - m.pos)), *end = lf;

    assert_non_null(lf);
    *lf = '\0';
    if (lf > line && lf[-1] == '\r')
        *--end = '\0';
    m.pos = lf + 1;
    *ret_bytes = (size_t)(end - line);
    return line;
}

static void read_request_line(void)
{
    size_t bytes;
    char *line = next_line(&bytes);
    char *target = memchr(line, ' ', bytes), *version = memrchr(line, ' ', bytes);

    assert_true(target != NULL && version > target);
    *version++ = '\0';
    *target++ = '\0';
    target += strspn(target, " ");
    (void)snprintf(m.target, sizeof(m.target), "%s", target);
    m.line = (struct gate_line) {.method = line,
                                 .version = version,
                                 .target = target,
                                 .target_bytes = strlen(target),
                                 .target_is_sound = target_is_sound(m.target, strlen(m.target)),
                                 .parts = target_split(m.target)};
    memset(target, 'x', m.line.target_bytes); /* it is decoded before anybody judges */
}

struct header_line {
    char *name, *value;
};

static char *glue(const char *name, const char *fold)
{
    size_t bytes = strlen(name) + strlen(fold) + 1;
    char *glued = malloc(bytes);

    CHECK(glued != NULL);
    (void)snprintf(glued, bytes, "%s%s", name, fold + strspn(fold, " \t"));
    free(m.glued);
    m.glued = glued;
    return glued;
}

static size_t read_headers(struct header_line *read, size_t capacity)
{
    size_t n = 0, bytes;

    for (char *line; *(line = next_line(&bytes)) != '\0';) {
        char *colon = strchr(line, ':');
        if (n > 0 && (*line == ' ' || *line == '\t')) {
            read[n - 1].name = glue(read[n - 1].name, line);
            continue;
        }
        assert_non_null(colon);
        *colon++ = '\0';
        assert_true(n < capacity);
        read[n++] = (struct header_line) {line, colon + strspn(colon, " \t")};
    }
    return n;
}

static struct header_line lines[32];
static size_t line_count;

static void parse(const char *head, size_t bytes)
{
    free(m.head);
    m.head = m.pos = malloc(bytes); /* of its very size, so that a sanitizer sees who reads on */
    CHECK(m.head != NULL);
    memcpy(m.head, head, bytes);
    m.end = m.head + bytes;
    read_request_line();
    line_count = read_headers(lines, ARRAY_SIZE(lines));
    m.line.head_bytes = (size_t)(m.pos - m.line.method);
}

static int judge_parsed(bool knows_layout)
{
    bool closed;

    gate_rules_init(&m.rules, knows_layout, TARGET_MAX, HEAD_MAX, HEADERS_MAX);
    gate_open(&m.gate, &m.rules, &m.line, &m.headers);
    for (size_t i = 0; i < line_count; i++) {
        if (!gate_header(&m.gate, lines[i].name, strlen(lines[i].name), lines[i].value,
                         strlen(lines[i].value)))
            break;
    }
    closed = gate_close(&m.gate);
    assert_int_equal(closed, m.gate.fault.detail == NULL);
    return m.gate.fault.detail == NULL ? FINE : (int)m.gate.fault.name;
}

static int judge_bytes(const char *head, size_t bytes, bool knows_layout)
{
    parse(head, bytes);
    return judge_parsed(knows_layout);
}

static int judge(const char *head)
{
    return judge_bytes(head, strlen(head), true);
}

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define END  "\r\n"

struct sample {
    const char *head;
    size_t bytes;
    int verdict;
};

#define SAMPLE(verdict, head)                                                                      \
    {                                                                                              \
        head, sizeof(head) - 1, verdict                                                            \
    }
#define TAKEN(head) SAMPLE(FINE, head)
#define BAD(head)   SAMPLE(PROBLEM_BAD_REQUEST, head)

static void assert_samples(const struct sample *samples, size_t count, bool knows_layout)
{
    for (size_t i = 0; i < count; i++) {
        int verdict = judge_bytes(samples[i].head, samples[i].bytes, knows_layout);
        if (verdict != samples[i].verdict)
            fail_msg("%d (%s), not %d, for: %s", verdict,
                     m.gate.fault.detail == NULL ? "taken" : m.gate.fault.detail,
                     samples[i].verdict, samples[i].head);
    }
}

/* Judged alike with and without the layout. */
static const struct sample meanings[] = {
    TAKEN(GET HOST END),
    TAKEN("GET / HTTP/1.0\r\n" END),
    TAKEN("HEAD / HTTP/1.1\r\n" HOST END),
    TAKEN("PUT / HTTP/1.1\r\n" HOST END),
    TAKEN("DELETE / HTTP/1.1\r\n" HOST END),
    TAKEN("OPTIONS * HTTP/1.1\r\n" HOST END),
    /* methods */
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, "PATCH / HTTP/1.1\r\n" HOST END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, "TRACE / HTTP/1.1\r\n" HOST END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, "CONNECT a:80 HTTP/1.1\r\n" HOST END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, "get / HTTP/1.1\r\n" HOST END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, "GETS / HTTP/1.1\r\n" HOST END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, "!#$%&'*+-.^_`|~0aZ / HTTP/1.1\r\n" HOST END),
    BAD("G(T / HTTP/1.1\r\n" HOST END),
    BAD("GET\t/ / HTTP/1.1\r\n" HOST END),
    BAD("{GET} / HTTP/1.1\r\n" HOST END),
    BAD("G\x80T / HTTP/1.1\r\n" HOST END),
    BAD("GET\x01 / HTTP/1.1\r\n" HOST END),
    BAD(" / HTTP/1.1\r\n" HOST END),
    /* versions */
    SAMPLE(PROBLEM_VERSION, "GET / HTTP/1.2\r\n" HOST END),
    SAMPLE(PROBLEM_VERSION, "GET / HTTP/1.9\r\n" HOST END),
    SAMPLE(PROBLEM_VERSION, "GET / HTTP/2.0\r\n" HOST END),
    SAMPLE(PROBLEM_VERSION, "GET / http/1.1\r\n" HOST END),
    SAMPLE(PROBLEM_VERSION, "GET / HTTP/1.10\r\n" HOST END),
    /* targets */
    TAKEN("GET /a/b;c=d,e@f:g!$&'()*+~?h=i/j?k%20[l] HTTP/1.1\r\n" HOST END),
    TAKEN("GET http://a/b HTTP/1.1\r\n" HOST END),
    TAKEN("GET HTTPS://A HTTP/1.1\r\n" HOST END),
    TAKEN("GET http://a:80/ HTTP/1.1\r\nHost: A:80\r\n" END),
    TAKEN("GET http://a/ HTTP/1.0\r\n" END),
    BAD("GET http://b/ HTTP/1.1\r\n" HOST END),
    BAD("GET http://a:80/ HTTP/1.1\r\n" HOST END),
    BAD("GET http://aa/ HTTP/1.1\r\n" HOST END),
    BAD("GET http:// HTTP/1.1\r\n" HOST END),
    BAD("GET http://u@a/ HTTP/1.0\r\n" END),
    BAD("GET ftp://a/ HTTP/1.1\r\n" HOST END),
    BAD("GET * HTTP/1.1\r\n" HOST END),
    BAD("OPTIONS *a HTTP/1.1\r\n" HOST END),
    BAD("GET a:80 HTTP/1.1\r\n" HOST END),
    BAD("GET a HTTP/1.1\r\n" HOST END),
    BAD("GET ?a HTTP/1.1\r\n" HOST END),
    BAD("GET /# HTTP/1.1\r\n" HOST END),
    BAD("GET /a%00 HTTP/1.1\r\n" HOST END),
    BAD("GET /?a=%0 HTTP/1.1\r\n" HOST END),
    BAD("GET /%zz HTTP/1.1\r\n" HOST END),
    BAD("GET /<a> HTTP/1.1\r\n" HOST END),
    BAD("GET /\xc3\xa9 HTTP/1.1\r\n" HOST END),
    BAD("GET /a\tb HTTP/1.1\r\n" HOST END),
    BAD("GET /a b HTTP/1.1\r\n" HOST END),
    /* names and values */
    TAKEN(GET HOST "!#$%&'*+-.^_`|~0aZ: \t\"(),/:;<=>?@[\\]{} \x80\xff\r\n" END),
    TAKEN(GET HOST "A: 1234567\t89012345\t\t\r\n" END),
    TAKEN(GET HOST "A-name-that-is-longer-than-any-that-is-known-here: a\r\n" END),
    BAD(GET HOST ": a\r\n" END),
    BAD(GET HOST "A[]: a\r\n" END),
    BAD(GET HOST "A\x80: a\r\n" END),
    BAD(GET HOST "\x7f: a\r\n" END),
    BAD(GET HOST "A: \x07\r\n" END),
    BAD(GET HOST "A: \x7f\r\n" END),
    BAD(GET HOST "A: 12345678\x1f\r\n" END),
    BAD(GET HOST "A: 1234567\x01\r\n" END),
    BAD(GET HOST "A: \x7f"
                 "12345678\r\n" END),
    BAD(GET HOST "A: b\rc\r\n" END),
    BAD(GET HOST "A B: c\r\n" END),
    BAD(GET HOST "Content-Length : 5\r\n" END),
    BAD(GET HOST "Content-Length\t: 5\r\n" END),
    /* Host */
    TAKEN(GET "Host:a\r\n" END),
    TAKEN(GET "hOST: \t a.example:8080 \t\r\n" END),
    TAKEN(GET "Host: [::1]:80\r\n" END),
    TAKEN("GET / HTTP/1.0\r\n" HOST END),
    BAD(GET END),
    BAD(GET "A: b\r\n" END),
    BAD(GET "Host:\r\n" END),
    BAD(GET "Host: \t\r\n" END),
    BAD("GET / HTTP/1.0\r\nHost:\r\n" END),
    BAD(GET HOST HOST END),
    BAD(GET HOST "A: b\r\nhost: a\r\n" END),
    BAD("GET / HTTP/1.0\r\n" HOST HOST END),
    BAD(GET "Host: a/b\r\n" END),
    BAD(GET "Host: u@a\r\n" END),
    BAD(GET "Host: a, b\r\n" END),
    BAD(GET "Host: a:b\r\n" END),
    BAD(GET "Host: a:65536\r\n" END),
    BAD(GET "Host: http://a\r\n" END),
    /* the framing of the body */
    TAKEN(POST "Content-Length: 0\r\n" END),
    TAKEN(POST "Content-Length: 18446744073709551614\r\n" END),
    TAKEN(POST "content-length:\t007 \r\n" END),
    TAKEN(POST "Transfer-Encoding: chunked\r\n" END),
    TAKEN(POST "transfer-encoding:CHUNKED\r\n" END),
    BAD(POST "Content-Length:\r\n" END),
    BAD(POST "Content-Length: +5\r\n" END),
    BAD(POST "Content-Length: -5\r\n" END),
    BAD(POST "Content-Length: 5, 5\r\n" END),
    BAD(POST "Content-Length: 5 5\r\n" END),
    BAD(POST "Content-Length: 0x5\r\n" END),
    BAD(POST "Content-Length: 5a\r\n" END),
    BAD(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END),
    BAD(POST "Content-Length: 5\r\nA: b\r\ncontent-LENGTH: 6\r\n" END),
    BAD(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END),
    BAD(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END),
    BAD(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END),
    BAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END),
    BAD("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n" END),
    SAMPLE(PROBLEM_BODY_TOO_LARGE, POST "Content-Length: 18446744073709551615\r\n" END),
    SAMPLE(PROBLEM_BODY_TOO_LARGE, POST "Content-Length: 18446744073709551616\r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding: gzip, chunked\r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding: identity\r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding: xchunked\r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding: chunked;a=b\r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding: chunked \r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding: \"chunked\"\r\n" END),
    SAMPLE(PROBLEM_NOT_IMPLEMENTED, POST "Transfer-Encoding:\r\n" END),
    /* Expect, and headers that may come once or more often */
    TAKEN(POST "Expect: 100-continue\r\n" END),
    TAKEN(POST "Expect: 100-CONTINUE \r\n" END),
    SAMPLE(PROBLEM_EXPECTATION_FAILED, POST "Expect: 200-ok\r\n" END),
    SAMPLE(PROBLEM_EXPECTATION_FAILED, POST "Expect: 100-continue, 100-continue\r\n" END),
    SAMPLE(PROBLEM_EXPECTATION_FAILED, POST "Expect:\r\n" END),
    BAD(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n" END),
    BAD(GET HOST "Authorization: Bearer a\r\nauthorization: Bearer a\r\n" END),
    BAD(GET HOST "Range: bytes=0-1\r\nRange: bytes=0-1\r\n" END),
    TAKEN(GET HOST "Accept: a/b\r\nAccept: c/d\r\n" END),
    TAKEN(GET HOST "Unread: a\r\nUnread: a\r\n" END),
};

static void the_meaning_is_judged(void **state)
{
    (void)state;
    assert_samples(meanings, ARRAY_SIZE(meanings), true);
    assert_samples(meanings, ARRAY_SIZE(meanings), false);
}

/* What libmicrohttpd takes, and only the layout shows. */
static const struct sample layouts[] = {
    TAKEN(GET "Empty:\r\n" HOST "Blank:  \t \r\nA:b\r\n" END),
    TAKEN("GET / HTTP/1.0\r\n" END),
    /* lines that end with LF */
    BAD("GET / HTTP/1.1\n" HOST END),
    BAD("GET / HTTP/1.0\n" END),
    BAD("GET / HTTP/1.0\n\n"),
    BAD("GET / HTTP/1.0\r\n\n"),
    BAD(GET "Host: a\n" END),
    BAD(GET "Host: a\n\n"),
    BAD(GET "Host: a\r\n\n"),
    BAD(GET "Host: a\nA: b\r\n" END),
    BAD(GET HOST "A:\n" END),
    BAD(GET "A: b\n" HOST END),
    /* folded lines */
    BAD(GET HOST "A: b\r\n c\r\n" END),
    BAD(GET HOST "A: b\r\n\tc: d\r\n" END),
    BAD(GET HOST "A:\r\n b\r\n" END),
    BAD(GET HOST "A: b\r\n \r\n" END),
    BAD(GET HOST "A: b\r\n c\r\nD: e\r\n" END),
    BAD(GET "Host: a\r\n b\r\n" END),
    BAD(POST "Transfer-Encoding:\r\n chunked\r\n" END),
    BAD(GET " A: b\r\n" HOST END),
    /* NULs */
    BAD(GET HOST "A: b\0c\r\n" END),
    BAD(GET HOST "A: b\0\r\n" END),
    BAD(GET "A: b\0\r\n" HOST END),
    BAD(GET HOST "A:\0b\r\n" END),
    BAD(POST "Content-Length: 5\0 0\r\n" END),
    BAD(GET HOST "\0A: b\r\n" END),
    BAD(GET HOST "\0\r\n" END),
    BAD(GET HOST "\0GET / HTTP/1.1\r\n" HOST END),
    BAD("GET /\0 HTTP/1.1\r\n" HOST END),
    BAD("GET /\0a HTTP/1.1\r\n" HOST END),
    BAD("GET\0T / HTTP/1.1\r\n" HOST END),
    /* blanks in the request line */
    BAD("GET  / HTTP/1.1\r\n" HOST END),
    BAD("GET   / HTTP/1.1\r\n" HOST END),
    BAD("GET /  HTTP/1.1\r\n" HOST END),
};

static void what_only_the_layout_shows_is_refused(void **state)
{
    (void)state;
    assert_samples(layouts, ARRAY_SIZE(layouts), true);
}

static void parse_good(void)
{
    static const char head[] = GET HOST "A: \tbc\r\n" END;

    parse(head, sizeof(head) - 1);
    assert_int_equal(line_count, 2);
}

/* Should another libmicrohttpd leave something else there than NULs and blanks, that is seen too. */
static void what_stands_between_the_parts_is_judged(void **state)
{
    (void)state;
    parse_good();
    assert_int_equal(judge_parsed(true), FINE);
    for (int i = 0; i < 7; i++) {
        char *poked;
        parse_good();
        poked = (char *[]) {lines[0].name - 1,  lines[0].value + 2, lines[1].value - 1,
                            lines[1].value - 2, lines[1].value + 3, m.pos - 2,
                            m.pos - 1}[i];
        *poked = 'x';
        if (judge_parsed(true) != PROBLEM_BAD_REQUEST)
            fail_msg("poked at %d", i);
        assert_int_equal(judge_parsed(false), FINE);
    }
    parse_good();
    lines[1].value = lines[1].name; /* a value before its colon */
    assert_int_equal(judge_parsed(true), PROBLEM_BAD_REQUEST);
    parse_good();
    lines[1].value--; /* a value that begins with a blank */
    assert_int_equal(judge_parsed(true), PROBLEM_BAD_REQUEST);
    assert_false(gate_header(&m.gate, lines[0].name, 4, lines[0].value, 1)); /* it stays refused */
}

/* The smallest change to a good head that keeps libmicrohttpd content must be seen. */
static void every_lost_cr_is_seen(void **state)
{
    static const char head[] =
        "POST /a?b HTTP/1.1\r\nHost: a\r\nEmpty:\r\nContent-Length: 5\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < sizeof(head) - 1; i++) {
        char less[sizeof(head)];
        if (head[i] != '\r')
            continue;
        memcpy(less, head, i);
        memcpy(less + i, head + i + 1, sizeof(head) - i - 1);
        if (judge_bytes(less, sizeof(head) - 2, true) != PROBLEM_BAD_REQUEST)
            fail_msg("without the CR at %zu it is taken", i);
    }
    assert_int_equal(judge(head), FINE);
}

static void every_byte_put_into_a_value_is_judged(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        bool good = c == '\t' || (c >= ' ' && c != 0x7f);
        for (size_t at = 0; at < 18; at++) {
            char head[] = GET HOST "A: abcdefghijklmnopqr\r\n" END;
            if (c == '\n')
                continue;
            strstr(head, "abc")[at] = (char)c;
            if ((judge(head) == FINE) != good)
                fail_msg("byte %d at %zu", c, at);
        }
    }
}

static void every_byte_put_into_a_name_is_judged(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char head[] = GET HOST "AxC: d\r\n" END;
        bool good = c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
        if (c == '\n' || c == ':')
            continue;
        *strchr(head, 'x') = (char)c;
        if ((judge(head) == FINE) != good)
            fail_msg("byte %d", c);
    }
}

static void limits_are_told_with_their_option(void **state)
{
    char head[1200];

    (void)state;
    (void)snprintf(head, sizeof(head), "GET /%0*d HTTP/1.1\r\n" HOST END, TARGET_MAX - 1, 0);
    assert_int_equal(judge(head), FINE);
    (void)snprintf(head, sizeof(head), "GET /%0*d HTTP/1.1\r\n" HOST END, TARGET_MAX, 0);
    assert_int_equal(judge(head), PROBLEM_TARGET_TOO_LONG);
    assert_string_equal(m.gate.fault.option, "--target-max");
    assert_int_equal(m.gate.fault.limit, TARGET_MAX);

    (void)snprintf(head, sizeof(head), GET HOST "A: %0*d\r\n" END,
                   HEAD_MAX - (int)strlen(GET HOST "A: \r\n" END), 0);
    assert_int_equal(strlen(head), HEAD_MAX);
    assert_int_equal(judge(head), FINE);
    (void)snprintf(head, sizeof(head), GET HOST "A:  %0*d\r\n" END,
                   HEAD_MAX - (int)strlen(GET HOST "A: \r\n" END), 0);
    assert_int_equal(judge(head), PROBLEM_HEADERS_TOO_LARGE);
    assert_string_equal(m.gate.fault.option, "--header-max");
    assert_int_equal(m.gate.fault.limit, HEAD_MAX);
}

static int judge_headers(int count)
{
    char head[200];
    size_t n = (size_t)snprintf(head, sizeof(head), GET HOST);

    for (int i = 1; i < count; i++)
        n += (size_t)snprintf(head + n, sizeof(head) - n, "A:b\r\n");
    (void)snprintf(head + n, sizeof(head) - n, END);
    return judge(head);
}

static void headers_are_counted(void **state)
{
    (void)state;
    assert_int_equal(judge_headers(HEADERS_MAX), FINE);
    assert_int_equal(judge_headers(HEADERS_MAX + 1), PROBLEM_HEADERS_TOO_LARGE);
    assert_string_equal(m.gate.fault.option, "--headers-max");
    assert_int_equal(m.gate.fault.limit, HEADERS_MAX);
}

static void the_first_fault_is_told(void **state)
{
    (void)state;
    assert_int_equal(judge("PATCH /%zz HTTP/1.2\r\n" END), PROBLEM_NOT_IMPLEMENTED);
    assert_int_equal(judge("GET /%zz HTTP/1.2\r\n" END), PROBLEM_VERSION);
    assert_int_equal(judge(POST "Expect: a\r\nTransfer-Encoding: b\r\n" END),
                     PROBLEM_NOT_IMPLEMENTED);
}

static void what_was_read_is_kept(void **state)
{
    (void)state;
    assert_int_equal(
        judge("PUT /a HTTP/1.1\r\nHost: a:1 \t\r\nContent-Length: 12\r\nAccept: b/c\r\n"
              "accept: d/e \r\nOther: f \r\n" END),
        FINE);
    assert_int_equal(m.gate.method, HTTP_PUT);
    assert_int_equal(m.gate.content_length, 12);
    assert_false(m.gate.is_http_1_0 || m.gate.is_chunked || m.gate.expects_continue);
    assert_string_equal(m.headers.values[HEADER_HOST], "a:1");
    assert_string_equal(m.headers.values[HEADER_ACCEPT], "b/c");
    assert_int_equal(m.headers.in_lines, 1ull << HEADER_ACCEPT);
    assert_null(m.headers.values[HEADER_ORIGIN]);

    assert_int_equal(judge(POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n" END),
                     FINE);
    assert_true(m.gate.is_chunked && m.gate.expects_continue);
    assert_int_equal(m.gate.content_length, UINT64_MAX);
    assert_int_equal(m.headers.in_lines, 0);

    assert_int_equal(judge("POST / HTTP/1.0\r\nExpect: 100-continue\r\n" END), FINE);
    assert_true(m.gate.is_http_1_0);
    assert_false(m.gate.expects_continue);

    assert_int_equal(judge("PATCH / HTTP/1.1\r\n" HOST END), PROBLEM_NOT_IMPLEMENTED);
    assert_int_equal(m.gate.method, HTTP_METHOD_COUNT);
}

/* The table of lengths finds each, whatever its case, and nothing that only resembles one. */
static void every_known_header_is_found(void **state)
{
    (void)state;
    gate_rules_init(&m.rules, false, TARGET_MAX, HEAD_MAX, HEADERS_MAX);
    for (int i = 0; i < HEADER_COUNT; i++) {
        char name[GATE_NAME_BYTES_MAX + 2], value[] = "v";
        size_t n = strlen(http_header_names[i]);
        for (int j = 0; j < 4; j++) {
            (void)snprintf(name, sizeof(name), "%s", http_header_names[i]);
            if (j == 1)
                name[n - 1] = (char)(name[n - 1] ^ 0x20);
            else if (j == 2)
                name[0] = (char)(name[0] == 'z' ? 'y' : name[0] + 1);
            else if (j == 3)
                name[n++] = 's';
            name[n] = '\0';
            gate_open(&m.gate, &m.rules, &m.line, &m.headers);
            m.gate.fault.detail = NULL;
            assert_true(gate_header(&m.gate, name, n, value, 1));
            if ((m.headers.values[i] != NULL) != (j < 2))
                fail_msg("%s", name);
        }
    }
}

static void only_some_versions_are_known_by_their_layout(void **state)
{
    (void)state;
    assert_true(gate_knows_layout("0.9.75"));
    assert_true(gate_knows_layout("0.9.76"));
    assert_true(gate_knows_layout("0.9.77"));
    assert_false(gate_knows_layout("0.9.7"));
    assert_false(gate_knows_layout("0.9.74"));
    assert_false(gate_knows_layout("0.9.78"));
    assert_false(gate_knows_layout("1.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_meaning_is_judged),
        cmocka_unit_test(what_only_the_layout_shows_is_refused),
        cmocka_unit_test(what_stands_between_the_parts_is_judged),
        cmocka_unit_test(every_lost_cr_is_seen),
        cmocka_unit_test(every_byte_put_into_a_value_is_judged),
        cmocka_unit_test(every_byte_put_into_a_name_is_judged),
        cmocka_unit_test(limits_are_told_with_their_option),
        cmocka_unit_test(headers_are_counted),
        cmocka_unit_test(the_first_fault_is_told),
        cmocka_unit_test(what_was_read_is_kept),
        cmocka_unit_test(every_known_header_is_found),
        cmocka_unit_test(only_some_versions_are_known_by_their_layout),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(m.head);
    free(m.glued);
    return failed;
}
