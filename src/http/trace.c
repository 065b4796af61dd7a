#include "http/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

enum { TRACEPARENT_BYTES = 55 };

static bool is_hex(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") >= n;
}

bool trace_continue(const char *parent, char out[TRACE_BYTES])
{
    static const char zeros[] = "00000000000000000000000000000000";

    if (parent == NULL || strlen(parent) != TRACEPARENT_BYTES || strncmp(parent, "00-", 3) != 0 ||
        parent[35] != '-' || parent[52] != '-' || !is_hex(parent + 3, 32) ||
        !is_hex(parent + 36, 16) || !is_hex(parent + 53, 2) ||
        strncmp(parent + 3, zeros, 32) == 0 || strncmp(parent + 36, zeros, 16) == 0)
        return false;
    (void)snprintf(out, TRACE_BYTES, "00-%.32s-%016llx-%.2s", parent + 3,
                   (unsigned long long)(id_random() | 1), parent + 53);
    return true;
}
