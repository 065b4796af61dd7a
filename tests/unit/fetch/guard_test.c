#include "fetch/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct guard plain(void)
{
    struct guard g = {.range_count = 0};

    assert_int_equal(guard_parse_ports(&g, "80,443,8080,8443", NULL), 0);
    return g;
}

static struct guard opened(const char *allow)
{
    struct guard g = plain();

    assert_int_equal(guard_parse_allow(&g, allow, NULL), 0);
    return g;
}

static enum guard_verdict judge(const struct guard *g, const char *address, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return guard_judge(g, (struct sockaddr *)&v4, sizeof(v4));
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return guard_judge(g, (struct sockaddr *)&v6, sizeof(v6));
}

static void expect(const struct guard *g, const char *address, enum guard_verdict verdict)
{
    enum guard_verdict got = judge(g, address, 443);

    if (got != verdict)
        fail_msg("%s: %d, not %d", address, got, verdict);
}

/* Every special network by its first and last address, and the public neighbours before and behind it (NULL: they are
 * special too). */
static const struct {
    const char *before, *first, *last, *behind;
} nets[] = {
    {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL},
    {NULL, "240.0.0.0", "255.255.255.255", NULL},
    {NULL, "::", "::", NULL},
    {NULL, "::1", "::1", NULL},
    {NULL, "::2", "::fffe:ffff:ffff", NULL},
    {NULL, "64:ff9b::", "64:ff9b::ffff:ffff", NULL},
    {NULL, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "100::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:200::"},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
     "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "2003::"},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
     "3fff:1000::"},
    {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     NULL},
    {NULL, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
};

static void special_networks_are_closed_and_their_neighbours_open(void **state)
{
    struct guard g = plain();

    (void)state;
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        expect(&g, nets[i].first, GUARD_ADDRESS);
        expect(&g, nets[i].last, GUARD_ADDRESS);
        if (nets[i].before != NULL)
            expect(&g, nets[i].before, GUARD_OPEN);
        if (nets[i].behind != NULL)
            expect(&g, nets[i].behind, GUARD_OPEN);
    }
}

/* The same address inside an IPv6 one is judged as what it is. */
static void mapped_addresses_are_what_they_hold(void **state)
{
    struct guard g = plain();
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        if (strchr(nets[i].first, ':') != NULL)
            continue;
        (void)snprintf(text, sizeof(text), "::ffff:%s", nets[i].last);
        expect(&g, text, GUARD_ADDRESS);
        if (nets[i].behind != NULL) {
            (void)snprintf(text, sizeof(text), "::ffff:%s", nets[i].behind);
            expect(&g, text, GUARD_OPEN);
        }
    }
}

static void public_addresses_have_some_ports(void **state)
{
    struct guard g = plain();

    (void)state;
    assert_int_equal(judge(&g, "8.8.8.8", 80), GUARD_OPEN);
    assert_int_equal(judge(&g, "8.8.8.8", 8443), GUARD_OPEN);
    assert_int_equal(judge(&g, "8.8.8.8", 22), GUARD_PORT);
    assert_int_equal(judge(&g, "2606:4700::1", 25), GUARD_PORT);
    assert_int_equal(judge(&g, "8.8.8.8", 0), GUARD_PORT);
    assert_int_equal(judge(&g, "127.0.0.1", 22), GUARD_ADDRESS);
}

static void what_is_no_internet_address_is_closed(void **state)
{
    struct guard g = opened("0.0.0.0/0:*,[::]/0:*");
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr none = {.sa_family = AF_UNSPEC};

    (void)state;
    assert_int_equal(guard_judge(&g, (struct sockaddr *)&v4, sizeof(v4)), GUARD_OPEN);
    assert_int_equal(guard_judge(&g, (struct sockaddr *)&v4, sizeof(v4) - 1), GUARD_ADDRESS);
    assert_int_equal(guard_judge(&g, (struct sockaddr *)&un, sizeof(un)), GUARD_ADDRESS);
    assert_int_equal(guard_judge(&g, &none, sizeof(none)), GUARD_ADDRESS);
    v4.sin_family = AF_INET6; /* but too short for one */
    assert_int_equal(guard_judge(&g, (struct sockaddr *)&v4, sizeof(v4)), GUARD_ADDRESS);
}

static void ranges_open_what_they_name_and_nothing_else(void **state)
{
    struct guard g =
        opened("127.0.0.1:8081,10.0.0.0/9:80,[::1]/128:*,[fd00::]/8:443,192.168.0.0/16:*");

    (void)state;
    assert_int_equal(judge(&g, "127.0.0.1", 8081), GUARD_OPEN);
    assert_int_equal(judge(&g, "::ffff:127.0.0.1", 8081), GUARD_OPEN);
    assert_int_equal(judge(&g, "127.0.0.1", 8082), GUARD_ADDRESS);
    assert_int_equal(judge(&g, "127.0.0.2", 8081), GUARD_ADDRESS);
    assert_int_equal(judge(&g, "10.127.255.255", 80), GUARD_OPEN);
    assert_int_equal(judge(&g, "10.128.0.0", 80), GUARD_ADDRESS);
    assert_int_equal(judge(&g, "::1", 1), GUARD_OPEN);
    assert_int_equal(judge(&g, "::2", 80), GUARD_ADDRESS);
    assert_int_equal(judge(&g, "fdff::1", 443), GUARD_OPEN);
    assert_int_equal(judge(&g, "fcff::1", 443), GUARD_ADDRESS);
    assert_int_equal(judge(&g, "192.168.7.7", 65535), GUARD_OPEN);
    assert_int_equal(judge(&g, "8.8.8.8", 22), GUARD_PORT);
}

static void bad_ranges_are_told(void **state)
{
    static const char *const bad[] = {
        "127.0.0.1",     "127.0.0.1:",      "127.0.0.1:0",    "127.0.0.1:65536", "127.0.0.1/33:80",
        "127.0.0.1/:80", "127.0.0.1/-1:80", "127.1:80",       "10.0.0.1/8:80",   "[::1]:x",
        "[::1:80",       "::1:80",          "[fd00::1]/8:80", "[::1]/129:80",    "localhost:80",
        ":80",           "127.0.0.1:80,,",  "127.0.0.1:80 ",  "[127.0.0.1]:80",  "127.0.0.1:80:90",
        "0x7f.0.0.1:80", "[::1]80",
    };
    struct err err;
    struct guard g;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.text[0] = '\0';
        if (guard_parse_allow(&g, bad[i], &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(err.text, "ADDRESS/BITS:PORT"));
    }
    assert_int_equal(guard_parse_ports(&g, "80,", NULL), 0);
    assert_int_equal(guard_parse_ports(&g, "80,x", &err), -EINVAL);
    assert_int_equal(guard_parse_ports(&g, "0", &err), -EINVAL);
    assert_int_equal(guard_parse_ports(&g, "65536", &err), -EINVAL);
}

static void there_is_an_end_to_ranges(void **state)
{
    char text[(GUARD_RANGES_MAX + 1) * 32] = "";
    struct guard g;
    struct err err;

    (void)state;
    for (int i = 0; i < GUARD_RANGES_MAX; i++)
        (void)snprintf(text + strlen(text), 32, "%s10.0.0.%d:80", i > 0 ? "," : "", i);
    assert_int_equal(guard_parse_allow(&g, text, &err), 0);
    assert_int_equal(g.range_count, GUARD_RANGES_MAX);
    assert_int_equal(judge(&g, "10.0.0.63", 80), GUARD_OPEN);
    (void)snprintf(text + strlen(text), 32, ",10.0.0.64:80");
    assert_int_equal(guard_parse_allow(&g, text, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_networks_are_closed_and_their_neighbours_open),
        cmocka_unit_test(mapped_addresses_are_what_they_hold),
        cmocka_unit_test(public_addresses_have_some_ports),
        cmocka_unit_test(what_is_no_internet_address_is_closed),
        cmocka_unit_test(ranges_open_what_they_name_and_nothing_else),
        cmocka_unit_test(bad_ranges_are_told),
        cmocka_unit_test(there_is_an_end_to_ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
