#include "http/kept.h"

#include <microhttpd.h>
#include <string.h>

#include "base/check.h"
#include "http/static_conditional.h"

enum { VALUE_BYTES = 48 };

/* A header that the response has now, and that has another value the next time. */
struct varying {
    const char *name;
    char value[VALUE_BYTES];
};

struct kept {
    const struct blob *blob; /* NULL: free. The response holds it, so no other has its address. */
    struct MHD_Response *response;
    struct varying request_id, others[KEPT_VARYING_MAX];
    time_t dated; /* the Date that it has */
};

struct kept_table {
    struct kept entries[KEPT_MAX];
};

struct kept_table *kept_table_new(void)
{
    return calloc(1, sizeof(struct kept_table));
}

static void give_up(struct kept *k)
{
    if (k->blob != NULL)
        MHD_destroy_response(k->response);
    memset(k, 0, sizeof(*k));
}

struct kept_table *kept_table_free(struct kept_table *t)
{
    for (size_t i = 0; t != NULL && i < KEPT_MAX; i++)
        give_up(&t->entries[i]);
    free(t);
    return NULL;
}

/* Addresses of one size class differ in their middle bits. */
static struct kept *place_of(struct kept_table *t, const struct blob *blob)
{
    uint64_t mixed = (uint64_t)(uintptr_t)blob * 0x9e3779b97f4a7c15ULL;

    return &t->entries[mixed >> 32 & (KEPT_MAX - 1)];
}
static_assert((KEPT_MAX & (KEPT_MAX - 1)) == 0, "a power of two");

static bool set(struct MHD_Response *response, struct varying *v, const char *name,
                const char *value)
{
    size_t bytes = strlen(value);

    if (v->name != NULL && strcmp(v->value, value) == 0)
        return true;
    if (v->name != NULL)
        (void)MHD_del_response_header(response, v->name, v->value);
    v->name = NULL;
    if (bytes >= sizeof(v->value) || MHD_add_response_header(response, name, value) == MHD_NO)
        return false;
    v->name = name;
    memcpy(v->value, value, bytes + 1);
    return true;
}

/* libmicrohttpd would work it out for every answer. */
static bool set_date(struct kept *k)
{
    time_t now = time(NULL);
    char date[STATIC_DATE_BYTES];

    if (k->dated != now && static_date_write(date, now) &&
        MHD_add_response_header(k->response, "Date", date) == MHD_YES)
        k->dated = now;
    return k->dated == now;
}

static struct MHD_Response *make_ready(struct kept *k, const struct request *r,
                                       const struct response_header *varying)
{
    bool is_ready = set(k->response, &k->request_id, "X-Request-Id", r->id.text) && set_date(k);

    for (size_t i = 0; is_ready && varying[i].name != NULL; i++) {
        CHECK(i < KEPT_VARYING_MAX);
        is_ready = set(k->response, &k->others[i], varying[i].name, varying[i].value);
    }
    if (is_ready)
        return k->response;
    give_up(k);
    return NULL;
}

struct MHD_Response *kept_find(struct kept_table *t, const struct request *r,
                               const struct blob *blob, const struct response_header *varying)
{
    struct kept *k = place_of(t, blob);

    return k->blob == blob ? make_ready(k, r, varying) : NULL;
}

struct MHD_Response *kept_add(struct kept_table *t, const struct request *r,
                              const struct blob *blob, struct MHD_Response *take_response,
                              const struct response_header *varying)
{
    struct kept *k = place_of(t, blob);

    give_up(k);
    k->blob = blob;
    k->response = take_response;
    return make_ready(k, r, varying);
}
