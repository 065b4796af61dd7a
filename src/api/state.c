#include <errno.h>

#include "api/state.h"
#include "base/parse.h"
#include "jobs/json.h"

enum { PAGE_DEFAULT = 100 };

void api_state_refuse(struct request *r, int rc, const char *key)
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
    case -EAGAIN:
        respond_problem(r, PROBLEM_STORE_FAILED, json_pack("{s:i}", "retry_after", 1),
                        "Changes before this one could not be kept, so for a moment none is "
                        "taken; nothing was changed. Send it again.");
        respond_header(r, "Retry-After", "1");
        return;
    case -ESHUTDOWN:
        respond_problem(r, PROBLEM_STORE_FAILED, NULL,
                        "The store of the shared state has failed, so it can be read but not "
                        "changed. See the server's log, then start it anew; what is there then "
                        "has been kept.");
        return;
    case -ENOMEM:
        respond_problem(r, PROBLEM_EXHAUSTED, NULL, "There is no memory for this. Send it later.");
        return;
    default:
        respond_problem(r, PROBLEM_NO_ROOM, NULL,
                        "The shared state is full: delete keys, or raise --state-max.");
        return;
    }
}

bool api_state_read_version(const char *text, uint64_t *ret)
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

void api_state_respond(struct request *r, unsigned status, const char *key, const char *value,
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
        api_state_refuse(r, -ENOMEM, key);
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
        api_state_refuse(r, rc, key);
        return;
    }
    if (none != NULL && api_state_read_version(none, &known) && known == value.version) {
        respond_empty(r, 304);
        respond_header_printf(r, "ETag", "\"%llu\"", (unsigned long long)value.version);
    } else {
        api_state_respond(r, 200, key, value.text, value.version);
    }
    free(value.text);
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
        api_state_refuse(r, n, "");
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
