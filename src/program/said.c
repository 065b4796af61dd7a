#include "program/said.h"

#include <errno.h>
#include <math.h>

static int parse(const struct frame *f, json_t **ret, struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb(f->meta, f->meta_bytes, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(json)) {
        *ret = json;
        return 0;
    }
    if (json == NULL)
        return err_set(err, -EPROTO, "sent what is no JSON: %.120s at byte %d", error.text,
                       error.position);
    json_decref(json);
    return err_set(err, -EPROTO, "sent JSON that is no object");
}

/* A whole number from 0 to 2^53; absent is 0. */
static int read_count(const json_t *json, const char *name, uint64_t *ret, struct err *err)
{
    const json_t *value = json_object_get(json, name);

    *ret = 0;
    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > 1LL << 53)
        return err_set(err, -EPROTO, "sent a \"%s\" that is no count", name);
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

/* It becomes a header of the response: visible ASCII and spaces, nothing that could end the line. */
static int read_media_type(const json_t *json, struct talk_said *ret, struct err *err)
{
    const json_t *value = json_object_get(json, "media_type");
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);

    if (value == NULL || json_is_null(value))
        return 0;
    if (text == NULL || n > TALK_MEDIA_MAX)
        return err_set(err, -EPROTO, "sent a \"media_type\" that is no text of at most %d bytes",
                       TALK_MEDIA_MAX);
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e)
            return err_set(err, -EPROTO, "sent a \"media_type\" that is not plain ASCII");
    }
    ret->media_type = text;
    return 0;
}

static int read_result(const json_t *json, struct talk_said *ret, struct err *err)
{
    const json_t *cost = json_object_get(json, "unit_cost");

    ret->has_units = json_object_get(json, "units") != NULL;
    ret->unit_cost = cost == NULL ? 1.0 : json_number_value(cost);
    if ((cost != NULL && !json_is_number(cost)) || !isfinite(ret->unit_cost) || ret->unit_cost < 0)
        return err_set(err, -EPROTO, "sent a \"unit_cost\" that is no cost");
    if (read_count(json, "units", &ret->units, err) < 0)
        return -EPROTO;
    return read_media_type(json, ret, err);
}

static int read_trace(const json_t *json, struct talk_said *ret, struct err *err)
{
    const json_t *trace = json_object_get(json, "trace");

    if (trace == NULL || json_is_null(trace))
        return 0;
    if (!json_is_array(trace))
        return err_set(err, -EPROTO, "sent a \"trace\" that is no list of lines");
    while (ret->trace_count < MIN(json_array_size(trace), (size_t)TALK_TRACE_MAX)) {
        const char *line = json_string_value(json_array_get(trace, ret->trace_count));
        if (line == NULL)
            return err_set(err, -EPROTO, "sent a \"trace\" that is no list of lines");
        ret->trace[ret->trace_count++] = line;
    }
    return 0;
}

static int read_error(const json_t *json, struct talk_said *ret, struct err *err)
{
    static const char *const words[] = {
        [TALK_FAILED] = "failed", [TALK_CANCELLED] = "cancelled", [TALK_RETRY] = "retry"};
    const json_t *code = json_object_get(json, "code");
    const json_t *message = json_object_get(json, "message");

    ret->message = json_string_value(message);
    if (message != NULL && ret->message == NULL)
        return err_set(err, -EPROTO, "sent a \"message\" that is no text");
    if (ret->message == NULL)
        ret->message = "";
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (code != NULL && json_is_string(code) && strcmp(json_string_value(code), words[i]) == 0)
            ret->code = (enum talk_code)i;
        else if (code != NULL && !json_is_string(code))
            return err_set(err, -EPROTO, "sent a \"code\" that is no word");
    }
    return read_trace(json, ret, err);
}

static int read_progress(const json_t *json, struct talk_said *ret, struct err *err)
{
    int rc = read_count(json, "done", &ret->done, err);

    return rc < 0 ? rc : read_count(json, "total", &ret->total, err);
}

static int read_members(const json_t *json, struct talk_said *ret, struct err *err)
{
    switch (ret->kind) {
    case TALK_PROGRESS:
        return read_progress(json, ret, err);
    case TALK_RESULT:
        return read_result(json, ret, err);
    case TALK_ERROR:
        return read_error(json, ret, err);
    default:
        return 0;
    }
}

int said_read(const struct frame *f, struct talk_said *ret, json_t **ret_json, struct err *err)
{
    json_t *json = NULL;
    int rc = 0;

    ret->media_type = ret->message = "";
    ret->unit_cost = 1.0;
    ret->raw = f->raw;
    ret->raw_bytes = f->raw_bytes;
    *ret_json = NULL;
    /* Most answers say nothing here; READY must be something. */
    if (f->meta_bytes > 2 || ret->kind == TALK_READY)
        rc = f->meta_bytes == 0 ? 0 : parse(f, &json, err);
    else if (f->meta_bytes > 0 && memcmp(f->meta, "{}", f->meta_bytes) != 0)
        rc = err_set(err, -EPROTO, "sent what is no JSON");
    if (rc == 0 && json != NULL)
        rc = read_members(json, ret, err);
    if (rc < 0) {
        json_decref(json);
        return rc;
    }
    ret->about = f->meta;
    ret->about_bytes = f->meta_bytes;
    *ret_json = json;
    return 0;
}
