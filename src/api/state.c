#include <errno.h>

#include "api/api.h"
#include "base/parse.h"
#include "jobs/json.h"

enum { PAGE_DEFAULT = 100 };

static void refuse(struct request *r, int rc, const char *key)
{
    switch (rc) {
    case -ENOENT:
        respond_problem(r, PROBLEM_NOT_FOUND, NULL, "There is no key %s. PUT a value first.", key);
        return;
    case -ESTALE:
        respond_problem(
            r, PROBLEM_PRECONDITION_FAILED, NULL,
            "The value has another version than If-Match or If-None-Match asks for. GET "
            "it and try again.");
        return;
    case -EDOM:
        respond_problem(r, PROBLEM_CONFLICT, NULL,
                        "The value is not an integer, so nothing can be added to it; it is "
                        "unchanged.");
        return;
    case -ERANGE:
        respond_problem(r, PROBLEM_CONFLICT, NULL,
                        "The sum would leave the range of -2^53 to 2^53; the value is unchanged.");
        return;
    case -EINVAL:
        respond_problem(r, PROBLEM_BAD_REQUEST, NULL,
                        "A key is 1 to %d bytes of UTF-8 without control characters.",
                        KV_KEY_BYTES_MAX);
        return;
    default:
        respond_problem(r, PROBLEM_NO_ROOM, NULL,
                        "The shared state is full: delete keys, or raise --state-max.");
        return;
    }
}

/* "7" with its quotes, as ETag sends it; also bare, for curl. False when it is neither. */
static bool read_version(const char *text, uint64_t *ret)
{
    char digits[24];
    size_t n = strlen(text);

    if (n >= 2 && text[0] == '"' && text[n - 1] == '"') {
        text++;
        n -= 2;
    }
    if (n >= sizeof(digits))
        return false;
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)n, text);
    return parse_u64(digits, ret) == 0;
}

/* False after having answered. */
static bool read_condition(struct request *r, struct kv_condition *ret)
{
    const char *match = request_header(r, HEADER_IF_MATCH);
    const char *none = request_header(r, HEADER_IF_NONE_MATCH);

    *ret = (struct kv_condition) {.when = KV_ALWAYS};
    if (none != NULL && strcmp(none, "*") == 0)
        ret->when = KV_IF_ABSENT;
    else if (match != NULL && strcmp(match, "*") == 0)
        ret->when = KV_IF_PRESENT;
    else if (match != NULL && read_version(match, &ret->version))
        ret->when = KV_IF_VERSION;
    else if (match != NULL || none != NULL) {
        respond_problem(r, PROBLEM_BAD_HEADER, NULL,
                        "If-Match takes one ETag as sent by GET, or *; If-None-Match takes *.");
        return false;
    }
    return true;
}

/* `value` is JSON text. */
static void respond_value(struct request *r, unsigned status, const char *key, const char *value,
                          uint64_t version)
{
    CLEANUP_FREE char *key_json = NULL;
    json_t *key_string = json_string(key);
    struct buf b;

    key_json = key_string == NULL ? NULL : json_write(key_string, NULL);
    json_decref(key_string);
    buf_init(&b, KV_VALUE_BYTES_MAX + 4096);
    (void)buf_printf(&b, "{\"key\":%s,\"value\":%s,\"version\":%llu}",
                     key_json == NULL ? "\"\"" : key_json, value, (unsigned long long)version);
    if (buf_failed(&b) < 0) {
        buf_release(&b);
        refuse(r, -ENOMEM, key);
        return;
    }
    size_t bytes = b.size;
    respond_bytes(r, status, "application/json", buf_take(&b), bytes);
    respond_header_printf(r, "ETag", "\"%llu\"", (unsigned long long)version);
}

void api_state_get(struct request *r)
{
    const char *key = r->parts[0];
    const char *none = request_header(r, HEADER_IF_NONE_MATCH);
    uint64_t known;
    struct kv_value value;
    int rc = kv_get(api_of(r)->kv, key, &value);

    if (rc < 0) {
        refuse(r, rc, key);
        return;
    }
    if (none != NULL && read_version(none, &known) && known == value.version) {
        respond_empty(r, 304);
        respond_header_printf(r, "ETag", "\"%llu\"", (unsigned long long)value.version);
    } else {
        respond_value(r, 200, key, value.text, value.version);
    }
    free(value.text);
}

void api_state_put(struct request *r)
{
    const char *key = r->parts[0];
    struct kv_condition condition;
    CLEANUP_FREE char *text = NULL;
    uint64_t version;
    json_t *json;
    int rc;

    if (!read_condition(r, &condition))
        return;
    json = api_json_body(r, NULL);
    if (json == NULL)
        return;
    text = json_write(json, NULL);
    json_decref(json);
    rc = text == NULL ? -ENOMEM : kv_put(api_of(r)->kv, key, text, condition, NULL, &version);
    if (rc < 0)
        refuse(r, rc, key);
    else
        respond_value(r, rc == 1 ? 201 : 200, key, text, version);
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
    struct kv_condition condition;
    int64_t by, value;
    uint64_t version;
    char text[32];
    int rc;

    if (!read_condition(r, &condition) || !read_by(r, &by))
        return;
    rc = kv_add(api_of(r)->kv, r->parts[0], by, condition, NULL, &value, &version);
    if (rc < 0) {
        refuse(r, rc, r->parts[0]);
        return;
    }
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    respond_value(r, 200, r->parts[0], text, version);
}

void api_state_delete(struct request *r)
{
    struct kv_condition condition;
    int rc;

    if (!read_condition(r, &condition))
        return;
    rc = kv_delete(api_of(r)->kv, r->parts[0], condition, NULL);
    if (rc < 0)
        refuse(r, rc, r->parts[0]);
    else
        respond_empty(r, 204);
}

static bool read_limit(struct request *r, size_t *ret)
{
    const char *text = request_query(r, "limit");
    uint64_t limit = PAGE_DEFAULT;

    if (text != NULL && (parse_u64(text, &limit) < 0 || limit == 0 || limit > KV_PAGE_MAX)) {
        respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", "limit"),
                        "Parameter limit must be an integer from 1 to %d.", KV_PAGE_MAX);
        return false;
    }
    *ret = (size_t)limit;
    return true;
}

void api_state_list(struct request *r)
{
    CLEANUP_FREE struct kv_listed *listed = NULL;
    json_t *keys;
    size_t limit;
    int n;

    if (!read_limit(r, &limit))
        return;
    n = kv_list(api_of(r)->kv, request_query(r, "after"), limit, &listed);
    if (n < 0) {
        refuse(r, n, "");
        return;
    }
    keys = json_array();
    for (int i = 0; i < n; i++)
        (void)json_array_append_new(keys, json_pack("{s:s, s:I}", "key", listed[i].key, "version",
                                                    (json_int_t)listed[i].version));
    respond_json(r, 200,
                 json_pack("{s:o, s:o}", "keys", keys, "next",
                           (size_t)n == limit ? json_string(listed[n - 1].key) : json_null()));
}
