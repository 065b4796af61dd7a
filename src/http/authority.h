/*
 * F3, http's own, pure. Names of servers as they stand in Host, in Origin and in options, brought into one spelling, so
 * that equal ones are equal texts.
 */
#ifndef HTTP_AUTHORITY_H
#define HTTP_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

enum { AUTHORITY_HOST_BYTES = 256, ORIGIN_BYTES = 300 };

struct authority {
    char host
        [AUTHORITY_HOST_BYTES]; /* lower case, without a last dot; IPv6 in brackets and shortest */
    unsigned port;              /* 0: none was given */
};

/* Reads "name", "name:80", "10.0.0.7:80" or "[::1]:80". -EINVAL for anything else: *ret is then undefined. */
int authority_read(const char *text, size_t bytes, struct authority *ret);

/* Whether the host is an IP address, which no page can make point elsewhere. */
bool authority_is_address(const struct authority *a);

/* Whether it is an address of this machine alone. */
bool authority_is_loopback(const struct authority *a);

/* Whether it is the address that stands for all of this machine's. */
bool authority_is_wildcard(const struct authority *a);

/* The origin of that server's pages: "https://prong.example", without the scheme's own port. */
void authority_origin(const struct authority *a, const char *scheme, char out[ORIGIN_BYTES]);

/* Reads "https://prong.example:443" into the same spelling. -EINVAL for anything else, such as "null". */
int origin_read(const char *text, size_t bytes, char out[ORIGIN_BYTES]);

#endif
