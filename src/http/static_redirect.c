#include "http/static_redirect.h"

#include <string.h>

#include "base/check.h"
#include "http/response.h"

enum { LOCATION_BYTES_MAX = 8 << 10 };

/* Path and query go back as they came: the gate has seen that they are sound. */
void static_redirect(struct request *r)
{
    const char *query = r->parts_of_target.query;
    struct buf location;

    buf_init(&location, LOCATION_BYTES_MAX);
    (void)buf_add_text(&location, r->target);
    (void)buf_add_text(&location, "/");
    if (query != NULL) {
        (void)buf_add_text(&location, "?");
        (void)buf_add_text(&location, query);
    }
    (void)buf_add(&location, "", 1);
    if (buf_failed(&location) < 0) {
        respond_problem(r, PROBLEM_TARGET_TOO_LONG, NULL,
                        "This is a directory: put a slash behind its name.");
    } else {
        respond_empty(r, 308);
        respond_header(r, "Location", location.data);
    }
    buf_release(&location);
}
