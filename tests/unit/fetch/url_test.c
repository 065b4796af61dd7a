#include <arpa/inet.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "fetch/internal.h"

#include <cmocka.h>

static struct libcurl curl;

static int load(void **state)
{
    struct err err;

    (void)state;
    return libcurl_load(&curl, &err);
}

static void expect(const char *text, const char *url, const char *host)
{
    char *got_url = NULL, *got_host = NULL, detail[FETCH_DETAIL_BYTES];

    if (!url_normalise(&curl, text, &got_url, &got_host, detail, sizeof(detail)))
        fail_msg("'%s': %s", text, detail);
    assert_string_equal(got_url, url);
    assert_string_equal(got_host, host);
    free(got_url);
    free(got_host);
}

static void expect_refused(const char *text, const char *because)
{
    char *url = NULL, *host = NULL, detail[FETCH_DETAIL_BYTES] = "";

    if (url_normalise(&curl, text, &url, &host, detail, sizeof(detail)))
        fail_msg("'%s' was taken as %s", text, url);
    if (strstr(detail, because) == NULL)
        fail_msg("'%s': %s", text, detail);
    assert_null(url);
    assert_null(host);
}

static void urls_have_one_form(void **state)
{
    (void)state;
    expect("http://Example.org", "http://Example.org/", "example.org:80");
    expect("HTTPS://example.org:443/a/../b?c#d", "https://example.org:443/b?c", "example.org:443");
    expect("http://example.org:8080/x", "http://example.org:8080/x", "example.org:8080");
    expect("http://[::1]/", "http://[::1]/", "[::1]:80");
}

static void what_is_no_web_address_is_refused(void **state)
{
    char longer[FETCH_URL_BYTES_MAX + 2] = "http://example.org/";

    (void)state;
    expect_refused("", "");
    expect_refused("example.org", "http://");
    expect_refused("localhost:8080/", "");
    expect_refused("//example.org/", "");
    expect_refused("/etc/passwd", "");
    expect_refused("file:///etc/passwd", "http://");
    expect_refused("ftp://example.org/", "http://");
    expect_refused("gopher://127.0.0.1:6379/_x", "http://");
    expect_refused("javascript:alert(1)", "");
    expect_refused("data:text/plain,x", "");
    expect_refused("http://user@example.org/", "user name");
    expect_refused("http://user:secret@example.org/", "user name");
    expect_refused("http://example.org:99999/", "port");
    expect_refused("http://example.org:x/", "port");
    expect_refused("http:///", "");
    expect_refused("http://exa mple.org/", "");
    expect_refused("http://example.org/a\r\nHost: x", "");
    expect_refused("http://[::1/", "");
    memset(longer + strlen(longer), 'a', sizeof(longer) - 1 - strlen(longer));
    longer[sizeof(longer) - 1] = '\0';
    expect_refused(longer, "too long");
    longer[sizeof(longer) - 2] = '\0';
    expect(longer, longer, "example.org:80");
}

/* What a resolver makes of these is an address that is not public, whatever they look like. */
static const char *const spellings[] = {
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://0x0/",
    "http://0.0.0.0/",
    "http://127.255.255.254/",
    "http://%31%32%37.0.0.1/",
    "http://10.0.0.1/",
    "http://10.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://0xac.0x1f.0xff.0xff/",
    "http://192.168.0.1/",
    "http://0xc0a80001/",
    "http://169.254.169.254/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://100.64.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[2002:7f00:1::]/",
};

static void private_addresses_are_refused_however_they_are_spelt(void **state)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found;
    struct guard g = {.range_count = 0};
    char detail[FETCH_DETAIL_BYTES];

    (void)state;
    assert_int_equal(sizeof(spellings) / sizeof(spellings[0]), 33);
    assert_int_equal(guard_parse_ports(&g, "80", NULL), 0);
    for (size_t i = 0; i < 33; i++) {
        char *url, *host, *name;
        if (!url_normalise(&curl, spellings[i], &url, &host, detail, sizeof(detail)))
            continue; /* refused even earlier */
        *strrchr(host, ':') = '\0';
        name = host + (host[0] == '[');
        name[strcspn(name, "]")] = '\0';
        if (getaddrinfo(name, "80", &hints, &found) != 0)
            fail_msg("%s: %s is no number", spellings[i], name);
        for (struct addrinfo *a = found; a != NULL; a = a->ai_next)
            if (guard_judge(&g, a->ai_addr, a->ai_addrlen) != GUARD_ADDRESS)
                fail_msg("%s is open", spellings[i]);
        freeaddrinfo(found);
        free(url);
        free(host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_have_one_form),
        cmocka_unit_test(what_is_no_web_address_is_refused),
        cmocka_unit_test(private_addresses_are_refused_however_they_are_spelt),
    };

    return cmocka_run_group_tests(tests, load, NULL);
}
