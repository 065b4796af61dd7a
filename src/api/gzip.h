/*
 * F5, pure. Text made small for who accepts gzip (RFC 1952), by zlib. For what is sent more often than it is made.
 */
#ifndef API_GZIP_H
#define API_GZIP_H

#include "base/blob.h"

/* The caller's to drop; NULL when out of memory. */
struct blob *gzip_bytes(const void *data, size_t bytes);

#endif
