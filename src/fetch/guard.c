#include "fetch/guard.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/parse.h"

enum {
    IPV4_BITS = 32,
    IPV6_BITS = 128,
    MAPPED_BITS = IPV6_BITS - IPV4_BITS,
    ENTRY_BYTES_MAX = 80,
};

/* ---- what is special ---- */

struct net4 {
    uint32_t address;
    unsigned prefix;
};

#define NET4(a, b, c, d, prefix_)                                                                  \
    {                                                                                              \
        (uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d), prefix_    \
    }

/* IANA's registry of special addresses, and multicast. */
static const struct net4 special4[] = {
    NET4(0, 0, 0, 0, 8),      NET4(10, 0, 0, 0, 8),     NET4(100, 64, 0, 0, 10),
    NET4(127, 0, 0, 0, 8),    NET4(169, 254, 0, 0, 16), NET4(172, 16, 0, 0, 12),
    NET4(192, 0, 0, 0, 24),   NET4(192, 0, 2, 0, 24),   NET4(192, 88, 99, 0, 24),
    NET4(192, 168, 0, 0, 16), NET4(198, 18, 0, 0, 15),  NET4(198, 51, 100, 0, 24),
    NET4(203, 0, 113, 0, 24), NET4(224, 0, 0, 0, 4),    NET4(240, 0, 0, 0, 4),
};

struct net6 {
    uint8_t bytes[4]; /* the first ones */
    unsigned prefix;
};

/* Of IPv6 only 2000::/3 has been given out for everybody; within it these are for protocols (Teredo is one), for books,
 * and for IPv4 addresses inside (6to4). */
static const struct net6 global6 = {{0x20}, 3};
static const struct net6 special6[] = {
    {{0x20, 0x01}, 23},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x20, 0x02}, 16},
    {{0x3f, 0xff}, 20},
};

static bool has_prefix(const uint8_t *address, const uint8_t *net, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    return memcmp(address, net, whole) == 0 &&
           (rest == 0 || ((address[whole] ^ net[whole]) & mask) == 0);
}

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_SIZE(special4); i++) {
        if ((address ^ special4[i].address) >> (IPV4_BITS - special4[i].prefix) == 0)
            return false;
    }
    return true;
}

static bool is_public(const struct in6_addr *address)
{
    const uint8_t *bytes = address->s6_addr;

    if (IN6_IS_ADDR_V4MAPPED(address))
        return is_public4((uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 |
                          (uint32_t)bytes[14] << 8 | bytes[15]);
    if (!has_prefix(bytes, global6.bytes, global6.prefix))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(special6); i++) {
        if (has_prefix(bytes, special6[i].bytes, special6[i].prefix))
            return false;
    }
    return true;
}

/* ---- the decision ---- */

static struct in6_addr mapped(struct in_addr address)
{
    struct in6_addr ret = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    memcpy(&ret.s6_addr[12], &address, sizeof(address));
    return ret;
}

static bool read_address(const struct sockaddr *address, socklen_t bytes, struct in6_addr *ret,
                         unsigned *ret_port)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (bytes >= sizeof(v4) && address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        *ret = mapped(v4.sin_addr);
        *ret_port = ntohs(v4.sin_port);
        return true;
    }
    if (bytes >= sizeof(v6) && address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        *ret = v6.sin6_addr;
        *ret_port = ntohs(v6.sin6_port);
        return true;
    }
    return false;
}

static bool is_allowed(const struct guard *g, const struct in6_addr *address, unsigned port)
{
    for (size_t i = 0; i < g->range_count; i++) {
        const struct guard_range *range = &g->ranges[i];
        if ((range->port == 0 || range->port == port) &&
            has_prefix(address->s6_addr, range->address.s6_addr, range->prefix))
            return true;
    }
    return false;
}

static bool has_port(const struct guard *g, unsigned port)
{
    for (size_t i = 0; i < g->port_count; i++) {
        if (g->ports[i] == port)
            return true;
    }
    return false;
}

enum guard_verdict guard_judge(const struct guard *g, const struct sockaddr *address,
                               socklen_t bytes)
{
    struct in6_addr in6;
    unsigned port;

    if (!read_address(address, bytes, &in6, &port))
        return GUARD_ADDRESS;
    if (is_allowed(g, &in6, port))
        return GUARD_OPEN;
    if (!is_public(&in6))
        return GUARD_ADDRESS;
    return has_port(g, port) ? GUARD_OPEN : GUARD_PORT;
}

/* ---- the options ---- */

static bool read_port(const char *text, unsigned *ret)
{
    uint64_t port;

    if (parse_u64(text, &port) < 0 || port == 0 || port > UINT16_MAX)
        return false;
    *ret = (unsigned)port;
    return true;
}

/* Whether nothing is set behind the prefix: 10.1.2.3/8 is more likely a slip than meant. */
static bool is_whole(const struct guard_range *range)
{
    struct in6_addr rest = range->address;

    for (unsigned bit = 0; bit < range->prefix; bit++)
        rest.s6_addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return IN6_IS_ADDR_UNSPECIFIED(&rest);
}

/* "127.0.0.1" or "[::1]", up to what follows it. */
static bool read_host(char *text, struct guard_range *range, char **ret_rest, unsigned *ret_bits)
{
    struct in_addr v4;
    char *end = text + strcspn(text, *text == '[' ? "]" : "/:");
    char after = *end;
    bool ok;

    *end = '\0';
    if (*text == '[' && after == ']') {
        *ret_bits = IPV6_BITS;
        *ret_rest = end + 1;
        return inet_pton(AF_INET6, text + 1, &range->address) == 1;
    }
    ok = inet_pton(AF_INET, text, &v4) == 1;
    *end = after;
    *ret_bits = IPV4_BITS;
    *ret_rest = end;
    if (ok)
        range->address = mapped(v4);
    return ok;
}

/* "/8" or nothing, then ":80" or ":*". */
static bool read_range(char *text, struct guard_range *range)
{
    unsigned bits;
    uint64_t prefix;
    char *rest, *port;

    if (!read_host(text, range, &rest, &bits))
        return false;
    port = strchr(rest, ':');
    if (port == NULL)
        return false;
    *port++ = '\0';
    prefix = bits;
    if (*rest != '\0' && (*rest != '/' || parse_u64(rest + 1, &prefix) < 0 || prefix > bits))
        return false;
    range->prefix = (unsigned)prefix + (bits == IPV4_BITS ? MAPPED_BITS : 0);
    range->port = 0;
    return is_whole(range) && (strcmp(port, "*") == 0 || read_port(port, &range->port));
}

/* The next of a list with commas between; false at its end. */
static bool next_entry(const char **list, char *out, size_t capacity)
{
    size_t n = strcspn(*list, ",");

    if (**list == '\0')
        return false;
    (void)snprintf(out, capacity, "%.*s", (int)MIN(n, capacity), *list);
    *list += n + ((*list)[n] == ',');
    return true;
}

int guard_parse_allow(struct guard *g, const char *allow, struct err *err)
{
    char entry[ENTRY_BYTES_MAX], said[ENTRY_BYTES_MAX];

    g->range_count = 0;
    while (allow != NULL && next_entry(&allow, entry, sizeof(entry))) {
        if (g->range_count == GUARD_RANGES_MAX)
            return err_set(err, -EINVAL, "at most %d addresses can be opened", GUARD_RANGES_MAX);
        memcpy(said, entry, sizeof(said));
        if (!read_range(entry, &g->ranges[g->range_count]))
            return err_set(err, -EINVAL,
                           "write ADDRESS/BITS:PORT, such as 127.0.0.1:8081, 10.0.0.0/8:80 or "
                           "[fd00::]/8:*, not '%s'",
                           said);
        g->range_count++;
    }
    return 0;
}

int guard_parse_ports(struct guard *g, const char *ports, struct err *err)
{
    char entry[ENTRY_BYTES_MAX];
    unsigned port;

    g->port_count = 0;
    while (next_entry(&ports, entry, sizeof(entry))) {
        if (g->port_count == GUARD_PORTS_MAX || !read_port(entry, &port))
            return err_set(err, -EINVAL, "name at most %d ports from 1 to 65535, not '%s'",
                           GUARD_PORTS_MAX, entry);
        g->ports[g->port_count++] = (uint16_t)port;
    }
    return 0;
}
