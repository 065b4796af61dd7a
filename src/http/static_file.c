#include "http/static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "http/response.h"
#include "http/static.h"

/* The bytes of a file. Parts of it may still be on their way when the file is not kept any more. */
struct static_body {
    _Atomic unsigned users;
    char data[];
};

static void body_drop(void *arg)
{
    struct static_body *body = arg;

    if (body != NULL && atomic_fetch_sub(&body->users, 1) == 1)
        free(body);
}

static struct static_body *body_share(struct static_body *body)
{
    atomic_fetch_add(&body->users, 1);
    return body;
}

static struct static_body *body_read(int fd, size_t bytes)
{
    struct static_body *body = malloc(sizeof(*body) + bytes);

    if (body == NULL)
        return NULL;
    atomic_init(&body->users, 1);
    if (fd_read_from_start(fd, body->data, bytes) == (ssize_t)bytes)
        return body;
    free(body);
    return NULL;
}

static bool set_validators(struct static_file *file, const struct static_version *v)
{
    const char *name = static_encoding_names[file->encoding];
    const struct static_traits *traits = &file->traits;
    time_t now = (time_t)(clock_wall_ns() / CLOCK_NS_PER_S);

    (void)snprintf(file->validators.etag, STATIC_ETAG_BYTES, "\"%llx-%llx-%llx%s%s\"",
                   (unsigned long long)clock_from_timespec(v->modified),
                   (unsigned long long)clock_from_timespec(v->changed),
                   (unsigned long long)v->bytes, name == NULL ? "" : "-", name == NULL ? "" : name);
    /* Nothing was modified after it was sent (RFC 9110, 8.8.2.1). */
    file->validators.modified = MAX(MIN(v->modified.tv_sec, now), 0);
    if (!traits->is_negotiated)
        file->validators.date_use = STATIC_DATE_ORDERS;
    else
        file->validators.date_use = traits->is_date_unique ? STATIC_DATE_NAMES : STATIC_DATE_VAGUE;
    return static_date_write(file->date, file->validators.modified);
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* What a 304 has in common with the 200 it stands for. */
static bool add_validators(struct MHD_Response *response, const struct static_file *file)
{
    return add(response, "ETag", file->validators.etag) &&
           add(response, "Last-Modified", file->date) &&
           add(response, "Cache-Control",
               file->traits.is_immutable ? "public, max-age=31536000, immutable" : "no-cache") &&
           (!file->traits.is_negotiated || add(response, "Vary", "Accept-Encoding"));
}

static bool add_policy(struct MHD_Response *response, enum static_policy policy)
{
    static const char page[] =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: blob:; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'";

    switch (policy) {
    case STATIC_INERT:
        return true;
    case STATIC_SCRIPT:
        return add(response, "Content-Security-Policy", page);
    case STATIC_PAGE:
        return add(response, "Content-Security-Policy", page) &&
               add(response, "Referrer-Policy", "no-referrer") &&
               add(response, "Cross-Origin-Opener-Policy", "same-origin");
    case STATIC_DOCUMENT:
        return add(response, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    }
    return false;
}

/* What 200 and 206 have in common. */
static bool add_content(struct MHD_Response *response, const struct static_file *file)
{
    const char *encoding = static_encoding_names[file->encoding];

    return add_validators(response, file) &&
           add(response, "Content-Type", file->traits.type->media_type) &&
           (encoding == NULL || add(response, "Content-Encoding", encoding)) &&
           add(response, "Accept-Ranges", "bytes") &&
           add(response, "Cross-Origin-Resource-Policy", "same-origin") &&
           add(response, "X-Content-Type-Options", "nosniff") &&
           add_policy(response, file->traits.type->policy);
}

/* `first` and `bytes` lie within the file. */
static struct MHD_Response *response_of_part(const struct static_file *file,
                                             const struct static_range *part)
{
    struct MHD_Response *response;
    int fd;

    if (file->body != NULL) {
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            (size_t)part->bytes, file->body->data + part->first, body_drop, body_share(file->body));
        if (response == NULL)
            body_drop(file->body);
        return response;
    }
    fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    response = MHD_create_response_from_fd_at_offset64(part->bytes, fd, part->first);
    if (response == NULL)
        (void)close(fd);
    return response;
}

static struct MHD_Response *response_of_file(struct static_file *file, int *take)
{
    const struct static_range all = {.bytes = file->bytes};
    struct MHD_Response *response;

    if (file->body != NULL)
        return response_of_part(file, &all);
    response = MHD_create_response_from_fd64(file->bytes, *take);
    if (response != NULL)
        file->fd = take_fd(take);
    return response;
}

static ssize_t read_nothing(void *arg, uint64_t at, char *out, size_t bytes)
{
    (void)arg;
    (void)at;
    (void)out;
    (void)bytes;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* libmicrohttpd sends the Content-Length of any response, and in a 304 it must be that of the 200 (RFC 9110, 8.6).
 * It never asks for the bytes. */
static struct MHD_Response *response_of_nothing(const struct static_file *file)
{
    return MHD_create_response_from_callback(file->bytes, 1, read_nothing, NULL, NULL);
}

struct static_file *static_file_new(int take, const struct static_version *v,
                                    enum static_encoding encoding,
                                    const struct static_traits *traits)
{
    CLEANUP_FD int fd = take;
    struct static_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->encoding = encoding;
    file->traits = *traits;
    file->bytes = (uint64_t)v->bytes;
    file->fd = -1;
    if (v->bytes <= STATIC_MEMORY_BYTES_MAX) {
        file->body = body_read(fd, (size_t)v->bytes);
        if (file->body == NULL)
            return static_file_free(file);
    }
    file->ok = response_of_file(file, &fd);
    file->not_modified = response_of_nothing(file);
    if (file->ok != NULL && file->not_modified != NULL && set_validators(file, v) &&
        add_content(file->ok, file) && add_validators(file->not_modified, file))
        return file;
    return static_file_free(file);
}

struct static_file *static_file_free(struct static_file *file)
{
    if (file == NULL)
        return NULL;
    if (file->ok != NULL)
        MHD_destroy_response(file->ok);
    if (file->not_modified != NULL)
        MHD_destroy_response(file->not_modified);
    body_drop(file->body);
    free(file);
    return NULL;
}

/* libmicrohttpd would work the date out for every answer, which takes a fiftieth of a small one. */
static void keep_date(struct MHD_Response *response, time_t *dated)
{
    time_t now = time(NULL);
    char date[STATIC_DATE_BYTES];

    if (*dated != now && static_date_write(date, now) && add(response, "Date", date))
        *dated = now;
}

struct MHD_Response *static_file_response(struct static_file *file, unsigned status)
{
    struct MHD_Response *response = status == 304 ? file->not_modified : file->ok;

    keep_date(response, &file->dated[status == 304]);
    return response;
}

static void give(struct request *r, struct static_file *file, unsigned status)
{
    r->file = file;
    r->status = status;
    r->answer_bytes = status == 304 || r->method == HTTP_HEAD ? 0 : file->bytes;
}

void static_respond_shortage(struct request *r)
{
    respond_problem(r, PROBLEM_EXHAUSTED, json_pack("{s:i}", "retry_after", 1),
                    "The server has too many files open, or no memory. Send the request again in a "
                    "second.");
    respond_header(r, "Retry-After", "1");
}

/* What follows from Accept-Encoding is no answer to another request, be it an error. */
static void add_vary(struct request *r, const struct static_file *file)
{
    if (file->traits.is_negotiated)
        respond_header(r, "Vary", "Accept-Encoding");
}

static void give_part(struct request *r, const struct static_file *file,
                      const struct static_range *part)
{
    r->response = response_of_part(file, part);
    r->status = 206;
    r->answer_bytes = part->bytes;
    if (r->response == NULL) {
        static_respond_shortage(r);
    } else if (!add_content(r->response, file)) {
        MHD_destroy_response(r->response);
        r->response = NULL;
        static_respond_shortage(r);
    } else {
        respond_header_printf(
            r, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)part->first,
            (unsigned long long)(part->first + part->bytes - 1), (unsigned long long)file->bytes);
    }
}

static void respond_outside(struct request *r, const struct static_file *file)
{
    respond_problem(r, PROBLEM_RANGE_NOT_SATISFIABLE,
                    json_pack("{s:I}", "bytes", (json_int_t)file->bytes),
                    "Ask for bytes that are there: the file has %llu of them.",
                    (unsigned long long)file->bytes);
    respond_header_printf(r, "Content-Range", "bytes */%llu", (unsigned long long)file->bytes);
    add_vary(r, file);
}

static void give_range(struct request *r, struct static_file *file)
{
    const char *range = r->method == HTTP_GET ? request_header(r, HEADER_RANGE) : NULL;
    struct static_range part;

    if (range == NULL || !static_if_range(request_header(r, HEADER_IF_RANGE), &file->validators)) {
        give(r, file, 200);
        return;
    }
    switch (static_range_parse(range, file->bytes, &part)) {
    case STATIC_RANGE_WHOLE:
        give(r, file, 200);
        break;
    case STATIC_RANGE_PART:
        give_part(r, file, &part);
        break;
    case STATIC_RANGE_OUTSIDE:
        respond_outside(r, file);
        break;
    }
}

static bool is_unconditional(const struct request *r)
{
    const char *const *values = r->headers.values;

    return values[HEADER_IF_NONE_MATCH] == NULL && values[HEADER_IF_MODIFIED_SINCE] == NULL &&
           values[HEADER_RANGE] == NULL && values[HEADER_IF_MATCH] == NULL &&
           values[HEADER_IF_UNMODIFIED_SINCE] == NULL;
}

static void give_if_due(struct request *r, struct static_file *file)
{
    const struct static_conditions conditions = {
        .if_match = request_header(r, HEADER_IF_MATCH),
        .if_unmodified_since = request_header(r, HEADER_IF_UNMODIFIED_SINCE),
        .if_none_match = request_header(r, HEADER_IF_NONE_MATCH),
        .if_modified_since = request_header(r, HEADER_IF_MODIFIED_SINCE),
    };

    switch (static_judge(&conditions, &file->validators)) {
    case STATIC_PROCEED:
        give_range(r, file);
        break;
    case STATIC_NOT_MODIFIED:
        give(r, file, 304);
        break;
    case STATIC_FAILED:
        respond_problem(r, PROBLEM_PRECONDITION_FAILED, NULL,
                        "The file is not the one that If-Match or If-Unmodified-Since is about. "
                        "Get it anew.");
        add_vary(r, file);
        break;
    }
}

void static_file_answer(struct static_file *file, struct request *r)
{
    if (is_unconditional(r))
        give(r, file, 200);
    else
        give_if_due(r, file);
}

void static_file_answer_once(struct static_file *file, struct request *r)
{
    static_file_answer(file, r);
    if (r->file == file) {
        r->response = r->status == 304 ? take_ptr(file->not_modified) : take_ptr(file->ok);
        r->file = NULL;
    }
    (void)static_file_free(file);
}
