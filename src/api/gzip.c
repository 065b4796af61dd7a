#define ZLIB_CONST
#include "api/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/check.h"

enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8 };

struct blob *gzip_bytes(const void *data, size_t bytes)
{
    z_stream z = {.next_in = data, .avail_in = (uInt)bytes};
    void *out;
    int rc;

    CHECK(bytes <= UINT_MAX);
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    z.avail_out = (uInt)deflateBound(&z, (uLong)bytes);
    out = z.next_out = malloc(z.avail_out);
    rc = out == NULL ? Z_MEM_ERROR : deflate(&z, Z_FINISH);
    (void)deflateEnd(&z);
    if (out == NULL)
        return NULL;
    CHECK(rc == Z_STREAM_END); /* there is room for all of it */
    return blob_new(out, (size_t)z.total_out);
}
