#include "http/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

enum { TRACEPARENT_BYTES = 55 };

static bool is_hex(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") >= n;
}

/* Version 00 has this length; a later one may have more behind it, of which we know nothing. */
static bool has_form(const char *parent)
{
    size_t bytes = strlen(parent);

    if (bytes < TRACEPARENT_BYTES || !is_hex(parent, 2) || strncmp(parent, "ff", 2) == 0)
        return false;
    return bytes == TRACEPARENT_BYTES ||
           (strncmp(parent, "00", 2) != 0 && parent[TRACEPARENT_BYTES] == '-');
}

bool trace_continue(const char *parent, char out[TRACE_BYTES])
{
    static const char zeros[] = "00000000000000000000000000000000";

    if (parent == NULL || !has_form(parent) || parent[2] != '-' || parent[35] != '-' ||
        parent[52] != '-' || !is_hex(parent + 3, 32) || !is_hex(parent + 36, 16) ||
        !is_hex(parent + 53, 2) || strncmp(parent + 3, zeros, 32) == 0 ||
        strncmp(parent + 36, zeros, 16) == 0)
        return false;
    (void)snprintf(out, TRACE_BYTES, "00-%.32s-%016llx-%.2s", parent + 3,
                   (unsigned long long)(id_random() | 1), parent + 53);
    return true;
}
