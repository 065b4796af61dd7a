#include "kernel/refusals.h"

#include <jansson.h>

#include "base/check.h"
#include "base/log.h"

/* It is to become JSON: what is no UTF-8, or was cut within a character, loses all but its ASCII. */
static char *copy(const char *text, size_t bytes_max)
{
    char *made = strndup(text, bytes_max);
    json_t *string = json_string(made);

    for (char *at = made; string == NULL && at != NULL && *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    json_decref(string);
    return made;
}

void refusals_add(void *refusals, const char *file, const char *reason)
{
    struct refusals *r = refusals;
    struct refusal *new = &r->all[r->count];

    log_error("kernel %s is left out: %s", file, reason);
    if (r->count == PROTO_REFUSALS_MAX)
        return;
    new->file = copy(file, PROTO_REFUSED_FILE_MAX);
    new->reason = copy(reason, PROTO_REFUSED_REASON_MAX);
    if (new->file != NULL &&new->reason != NULL) {
        r->count++;
        return;
    }
    free(new->file);
    free(new->reason);
}

void refusals_release(struct refusals *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        free(r->all[i].file);
        free(r->all[i].reason);
    }
    r->count = 0;
}
