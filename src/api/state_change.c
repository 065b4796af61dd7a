#include <errno.h>

#include "api/state.h"
#include "jobs/json.h"

/* One change of a key, from its request to its answer. */
struct change {
    struct kv_ack ack;
    struct request *r;
    int (*apply)(struct change *c, struct kv *kv, const char *key, struct kv_ack *ack);
    struct kv_condition condition;
    char *text; /* what the key has then; NULL for DELETE */
    int64_t by;
    uint64_t version;
    int rc;   /* of the change */
    int kept; /* of its commit */
};

static void release(struct request *r)
{
    struct change *c = r->context;

    free(c->text);
    free(c);
}

static int put(struct change *c, struct kv *kv, const char *key, struct kv_ack *ack)
{
    return kv_put(kv, key, c->text, c->condition, ack, &c->version);
}

static int add(struct change *c, struct kv *kv, const char *key, struct kv_ack *ack)
{
    enum { DIGITS = 32 };
    int64_t value;
    int rc;

    c->text = malloc(DIGITS);
    if (c->text == NULL)
        return -ENOMEM;
    rc = kv_add(kv, key, c->by, c->condition, ack, &value, &c->version);
    if (rc < 0)
        return rc;
    (void)snprintf(c->text, DIGITS, "%lld", (long long)value);
    return 0;
}

static int delete_key(struct change *c, struct kv *kv, const char *key, struct kv_ack *ack)
{
    return kv_delete(kv, key, c->condition, ack);
}

/* It was changed, but could not be kept, and is as it was before. */
static void refuse_unkept(struct request *r, int rc)
{
    if (rc == -ENOSPC)
        respond_problem(r, PROBLEM_NO_ROOM, NULL,
                        "There is no room on the disk that keeps the shared state, so nothing was "
                        "changed. Make room where --data is, and send it again.");
    else if (rc == -ESHUTDOWN)
        api_state_refuse(r, rc, NULL);
    else
        respond_problem(r, PROBLEM_STORE_FAILED, NULL,
                        "The change could not be kept, so nothing was changed. See the server's "
                        "log for what is wrong where --data is, and send it again.");
}

static void answer(struct request *r)
{
    const struct change *c = r->context;
    const char *key = r->parts[0];

    if (c->rc < 0)
        api_state_refuse(r, c->rc, key);
    else if (c->kept < 0)
        refuse_unkept(r, c->kept);
    else if (c->text == NULL)
        respond_empty(r, 204);
    else
        api_state_respond(r, c->rc == 1 ? 201 : 200, key, c->text, c->version);
}

static void wake(struct kv_ack *ack, int rc)
{
    struct change *c = CONTAINER_OF(ack, struct change, ack);

    c->kept = rc;
    request_unpark(c->r);
}

static void run(struct request *r, struct change *c)
{
    struct kv *kv = api_of(r)->kv;

    c->r = r;
    c->ack.done = wake;
    if (!kv_has_journal(kv)) {
        c->rc = c->apply(c, kv, r->parts[0], NULL);
        answer(r);
        return;
    }
    /* Parked before it is changed: it may be kept before this returns. */
    if (!request_park(r, answer)) {
        respond_problem(r, PROBLEM_DRAINING, NULL,
                        "The server is shutting down; nothing was changed. Send it to the next.");
        return;
    }
    c->rc = c->apply(c, kv, r->parts[0], &c->ack);
    if (c->rc < 0)
        request_unpark(r);
}

/* "7" with its quotes, as ETag sends it, or *. False after having answered. */
static bool read_condition(struct request *r, struct kv_condition *ret)
{
    const char *match = request_header(r, HEADER_IF_MATCH);
    const char *none = request_header(r, HEADER_IF_NONE_MATCH);

    *ret = (struct kv_condition) {.when = KV_ALWAYS};
    if (none != NULL && strcmp(none, "*") == 0)
        ret->when = KV_IF_ABSENT;
    else if (match != NULL && strcmp(match, "*") == 0)
        ret->when = KV_IF_PRESENT;
    else if (match != NULL && api_state_read_version(match, &ret->version))
        ret->when = KV_IF_VERSION;
    else if (match != NULL || none != NULL) {
        respond_problem(r, PROBLEM_BAD_HEADER, NULL,
                        "If-Match takes one ETag as sent by GET, or *; If-None-Match takes *.");
        return false;
    }
    return true;
}

/* With the conditions of the request; NULL after having answered. */
static struct change *change_new(struct request *r)
{
    struct kv_condition condition;
    struct change *c;

    if (!read_condition(r, &condition))
        return NULL;
    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        api_state_refuse(r, -ENOMEM, NULL);
        return NULL;
    }
    c->condition = condition;
    r->context = c;
    r->release = release;
    return c;
}

void api_state_put(struct request *r)
{
    struct change *c = change_new(r);
    json_t *json = c == NULL ? NULL : api_json_body(r, NULL);

    if (json == NULL)
        return;
    c->apply = put;
    c->text = json_write(json, NULL);
    json_decref(json);
    if (c->text == NULL)
        api_state_refuse(r, -ENOMEM, NULL);
    else
        run(r, c);
}

static bool read_by(struct request *r, int64_t *ret)
{
    json_t *json = api_json_body(r, "{\"by\":1}");
    const json_t *by;
    bool ok;

    if (json == NULL)
        return false;
    by = json_object_get(json, "by");
    ok = json_is_object(json) && json_object_size(json) == (by == NULL ? 0U : 1U) &&
         (by == NULL || json_is_integer(by));
    *ret = by == NULL ? 1 : json_integer_value(by);
    json_decref(json);
    if (!ok)
        respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", "by"),
                        "Send {\"by\":N} with an integer N from -2^53 to 2^53.");
    return ok;
}

void api_state_add(struct request *r)
{
    struct change *c = change_new(r);

    if (c == NULL || !read_by(r, &c->by))
        return;
    c->apply = add;
    run(r, c);
}

void api_state_delete(struct request *r)
{
    struct change *c = change_new(r);

    if (c == NULL)
        return;
    c->apply = delete_key;
    run(r, c);
}
