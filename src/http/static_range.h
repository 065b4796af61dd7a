/*
 * F3, http's own, pure. The Range header: which bytes of a file are asked for.
 */
#ifndef HTTP_STATIC_RANGE_H
#define HTTP_STATIC_RANGE_H

#include <stdint.h>

enum static_range_kind {
    STATIC_RANGE_WHOLE, /* no range that we serve: another unit, several ranges, not well-formed */
    STATIC_RANGE_PART,  /* one range, with at least one byte */
    STATIC_RANGE_OUTSIDE, /* well-formed, but none of its bytes are there: 416 */
};

struct static_range {
    uint64_t first, bytes;
};

/* What `text` asks of `total` bytes. *ret is set for a part only, and lies within them. A suffix of an empty file is
 * the whole of it: RFC 9110 calls it satisfiable, but Content-Range has no way to say it. */
enum static_range_kind static_range_parse(const char *text, uint64_t total,
                                          struct static_range *ret);

#endif
