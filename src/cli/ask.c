#include "cli/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/check.h"
#include "base/fd.h"

/* What a request needs while it lasts. */
struct exchange {
    CURL *curl;
    struct curl_slist *headers;
    struct answer answer;
    FILE *result;
    bool is_full, cannot_write;
    char why[CURL_ERROR_SIZE];
};

void target_add(struct buf *target, const char *piece)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";

    for (; *piece != '\0'; piece++) {
        if (strchr(plain, *piece) != NULL)
            (void)buf_add(target, piece, 1);
        else
            (void)buf_printf(target, "%%%02X", (unsigned)(unsigned char)*piece);
    }
}

void target_add_query(struct buf *target, const char *name, const char *value)
{
    bool has_query = target->size > 0 && memchr(target->data, '?', target->size) != NULL;

    if (value == NULL)
        return;
    (void)buf_printf(target, "%c%s=", has_query ? '&' : '?', name);
    target_add(target, value);
}

/* ---- what the user has given ---- */

static bool is_visible(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= 0x20 || *text >= 0x7f)
            return false;
    }
    return true;
}

/* The URL of the request, malloc'd. */
static int write_url(const struct ask_server *server, const char *target, char **ret,
                     struct err *err)
{
    const char *url = server->url;
    size_t n = strlen(url);

    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || !is_visible(url) ||
        strpbrk(url, "?#@") != NULL)
        return err_set(err, -EINVAL,
                       "--url must be http://HOST:PORT or https://HOST:PORT, not '%s'.", url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    if (asprintf(ret, "%.*s%s", (int)n, url, target) < 0)
        return err_set(err, -ENOMEM, "There is no memory for this.");
    return 0;
}

/* "Authorization: Bearer …" from the first line of a file. */
static int add_token(struct exchange *x, const char *path, struct err *err)
{
    static const char name[] = "Authorization: Bearer ";
    char header[sizeof(name) + ASK_TOKEN_BYTES_MAX + 2];
    char *token = header + sizeof(name) - 1;
    int n = fd_read_file(path, token, ASK_TOKEN_BYTES_MAX + 2);
    struct curl_slist *headers = NULL;

    if (n < 0)
        return err_set(err, -EINVAL, "--token-file %s cannot be read: %s.", path, strerror(-n));
    memcpy(header, name, sizeof(name) - 1);
    token[strcspn(token, "\r\n")] = '\0';
    if (*token == '\0' || strlen(token) > ASK_TOKEN_BYTES_MAX || !is_visible(token))
        err_set(err, -EINVAL,
                "The first line of --token-file %s is no token: 1 to %d visible characters.", path,
                ASK_TOKEN_BYTES_MAX);
    else
        headers = curl_slist_append(x->headers, header);
    explicit_bzero(header, sizeof(header));
    if (headers == NULL)
        return -EINVAL;
    x->headers = headers;
    return 0;
}

static int add_header(struct exchange *x, const char *header, struct err *err)
{
    struct curl_slist *headers = curl_slist_append(x->headers, header);

    if (headers == NULL)
        return err_set(err, -ENOMEM, "There is no memory for this.");
    x->headers = headers;
    return 0;
}

/* ---- the exchange ---- */

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    size_t bytes = size * count;
    long status = 0;

    (void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->result != NULL && status == 200) {
        x->cannot_write = fwrite(data, 1, bytes, x->result) != bytes;
        return x->cannot_write ? 0 : bytes;
    }
    x->is_full = buf_add(&x->answer.body, data, bytes) < 0;
    return x->is_full ? 0 : bytes;
}

/* Only http and https, only to who was named. */
static void bind_to_server(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

static void set_up(struct exchange *x, const struct ask_server *server, const struct ask *a,
                   const char *url)
{
    CURL *curl = x->curl;

    bind_to_server(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, a->method);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "prong/" PRONG_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, x->headers);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (a->json != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(a->json));
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, a->json);
    }
    if (server->cacert != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, server->cacert);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)ASK_CONNECT_S);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(ASK_PATIENCE_S + a->wait_s));
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, x->why);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
}

static int explain(const struct exchange *x, const char *url, CURLcode code, struct err *err)
{
    const char *why = x->why[0] != '\0' ? x->why : curl_easy_strerror(code);

    if (x->cannot_write)
        return err_set(err, -EIO, "The result cannot be written: %s.", strerror(errno));
    if (x->is_full)
        return err_set(err, -EFBIG, "The answer of %s is longer than %d bytes.", url,
                       ASK_ANSWER_BYTES_MAX);
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(err, -EINVAL, "--url %s is no address of a server: %s.", url, why);
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(err, -EINVAL, "--cacert cannot be used: %s.", why);
    case CURLE_PEER_FAILED_VERIFICATION:
        return err_set(err, -ECONNREFUSED,
                       "%s cannot show that it is who it says (%s): name who vouches for it by "
                       "--cacert.",
                       url, why);
    default:
        return err_set(err, -ECONNREFUSED,
                       "There is no answer from %s: %s. Does it run there? --url names another.",
                       url, why);
    }
}

static int perform(struct exchange *x, const struct ask_server *server, const struct ask *a,
                   struct err *err)
{
    CLEANUP_FREE char *url = NULL;
    long status = 0;
    CURLcode code;
    int rc = write_url(server, a->target, &url, err);

    /* Without it libcurl would wait before a long body for an answer that need not come. */
    if (rc == 0)
        rc = add_header(x, "Expect:", err);
    if (rc == 0 && a->json != NULL)
        rc = add_header(x, "Content-Type: application/json", err);
    if (rc == 0 && server->token_file != NULL)
        rc = add_token(x, server->token_file, err);
    if (rc == 0 && server->cacert != NULL && access(server->cacert, R_OK) < 0)
        rc = err_set(err, -EINVAL, "--cacert %s cannot be read: %s.", server->cacert,
                     strerror(errno));
    if (rc < 0)
        return rc;
    set_up(x, server, a, url);
    code = curl_easy_perform(x->curl);
    if (code != CURLE_OK)
        return explain(x, server->url, code, err);
    (void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    x->answer.status = (unsigned)status;
    return 0;
}

int ask(const struct ask_server *server, const struct ask *a, struct answer *ret, struct err *err)
{
    struct exchange x = {.curl = curl_easy_init(), .result = a->result};
    int rc;

    buf_init(&x.answer.body, ASK_ANSWER_BYTES_MAX);
    rc = x.curl == NULL ? err_set(err, -ENOMEM, "There is no memory for this.")
                        : perform(&x, server, a, err);
    curl_slist_free_all(x.headers);
    curl_easy_cleanup(x.curl);
    if (rc < 0)
        answer_release(&x.answer);
    else
        *ret = x.answer;
    return rc;
}

void answer_release(struct answer *a)
{
    buf_release(&a->body);
}
