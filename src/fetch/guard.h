/*
 * F3, pure. Where a fetch may connect to: a decision about one socket address, made when libcurl is about to connect to it,
 * so after every name was resolved, and for every hop of a redirect.
 *
 * Open is what is reached as a public service: global unicast addresses at the ports of --fetch-ports. All else, this
 * machine, its networks and what has a special meaning, is refused unless --fetch-allow opens it. May use base.
 */
#ifndef FETCH_GUARD_H
#define FETCH_GUARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

enum {
    GUARD_RANGES_MAX = 64, /* of --fetch-allow */
    GUARD_PORTS_MAX = 64,  /* of --fetch-ports */
};

enum guard_verdict {
    GUARD_OPEN,
    GUARD_ADDRESS, /* no public address */
    GUARD_PORT,    /* a public address, but no port for it */
};

/* An opened range; IPv4 is kept as ::ffff:a.b.c.d, so that both spellings are one. */
struct guard_range {
    struct in6_addr address;
    unsigned prefix; /* of 128 bits */
    unsigned port;   /* 0: any */
};

struct guard {
    struct guard_range ranges[GUARD_RANGES_MAX];
    size_t range_count;
    uint16_t ports[GUARD_PORTS_MAX];
    size_t port_count;
};

/* `allow`: "127.0.0.1/32:8081,[::1]:*,10.0.0.0/8:80" or NULL; `ports`: "80,443". -EINVAL with a sentence, without the
 * option's name. Any thread. */
int guard_parse_allow(struct guard *g, const char *allow, struct err *err);
int guard_parse_ports(struct guard *g, const char *ports, struct err *err);

/* Whatever is no whole IPv4 or IPv6 address is refused. */
enum guard_verdict guard_judge(const struct guard *g, const struct sockaddr *address,
                               socklen_t bytes);

#endif
