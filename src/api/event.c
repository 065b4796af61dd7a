#include "api/event.h"

#include "api/receipt.h"
#include "jobs/json.h"

enum { FRAME_BYTES_MAX = 4096 }; /* of a result's event, without the result */

static bool is_json(const char *media_type)
{
    return strncmp(media_type, "application/json", 16) == 0;
}

static void put_base64(struct buf *b, const uint8_t *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = buf_reserve(b, (bytes + 2) / 3 * 4);

    for (size_t i = 0; out != NULL && i < bytes; i += 3) {
        uint32_t left = (uint32_t)MIN(bytes - i, (size_t)3);
        uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        *out++ = digits[word >> 18];
        *out++ = digits[word >> 12 & 63];
        *out++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[word & 63] : '=';
        b->size += 4;
    }
}

void event_result(struct buf *ret, const struct event_result *result)
{
    json_t *receipt = receipt_json(result->receipt);
    CLEANUP_FREE char *receipt_text = receipt == NULL ? NULL : json_write(receipt, NULL);

    json_decref(receipt);
    buf_init(ret, result->bytes * 2 + FRAME_BYTES_MAX);
    (void)buf_printf(ret, "{\"job\":\"%s\",\"receipt\":%s,\"media_type\":\"%s\",", result->job,
                     receipt_text == NULL ? "null" : receipt_text, result->media_type);
    if (is_json(result->media_type)) {
        (void)buf_add_text(ret, "\"result\":");
        (void)buf_add(ret, result->data, result->bytes);
        (void)buf_add_text(ret, "}");
    } else {
        (void)buf_add_text(ret, "\"base64\":\"");
        put_base64(ret, result->data, result->bytes);
        (void)buf_add_text(ret, "\"}");
    }
}

char *event_error(const struct ending *ending, const struct job_receipt *receipt)
{
    json_t *json = ending_json(ending);
    char *text = NULL;

    if (json != NULL && json_object_set_new(json, "receipt", receipt_json(receipt)) == 0)
        text = json_write(json, NULL);
    json_decref(json);
    return text;
}

static json_t *pid_json(int pid)
{
    return pid > 0 ? json_integer(pid) : json_null();
}

static char *write_and_drop(json_t *json)
{
    char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    return text;
}

char *event_worker(int pid)
{
    return write_and_drop(json_pack("{s:o}", "pid", pid_json(pid)));
}

char *event_retry(const struct job_retry *retry)
{
    json_t *json = json_pack("{s:o, s:s}", "pid", pid_json(retry->pid), "reason", retry->reason);

    if (json != NULL) {
        (void)json_object_set_new(
            json, "from", retry->has_range ? json_integer((json_int_t)retry->from) : json_null());
        (void)json_object_set_new(
            json, "to", retry->has_range ? json_integer((json_int_t)retry->to) : json_null());
    }
    return write_and_drop(json);
}
