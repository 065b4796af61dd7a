#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>

#include "base/clock.h"
#include "fetch/internal.h"

enum { SHA256_BYTES = 32 };

const char *const fetch_error_codes[FETCH_ERROR_COUNT] = {
    [FETCH_FINE] = "",
#define ERROR(name, code) [FETCH_##name] = (code),
#include "fetch/errors.def"
#undef ERROR
};

/* ---- what libcurl asks ---- */

static void note_address(struct transfer *t, const struct sockaddr *address)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    char text[INET6_ADDRSTRLEN] = "?";

    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
        (void)snprintf(t->blocked, sizeof(t->blocked), "[%s]:%u", text, ntohs(v6.sin6_port));
    } else {
        memcpy(&v4, address, sizeof(v4));
        (void)inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
        (void)snprintf(t->blocked, sizeof(t->blocked), "%s:%u", text, ntohs(v4.sin_port));
    }
}

/* After the name was resolved and before anything is sent, once for each address that is tried, at each hop. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct transfer *t = arg;
    int fd;

    if (purpose != CURLSOCKTYPE_IPCXN || to->socktype != SOCK_STREAM)
        return CURL_SOCKET_BAD;
    t->verdict = guard_judge(&t->fetch->guard, &to->addr, to->addrlen);
    if (t->verdict != GUARD_OPEN) {
        note_address(t, &to->addr);
        return CURL_SOCKET_BAD;
    }
    fd = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, to->protocol);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static size_t take_head(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;

    t->head_bytes += size * count;
    t->has_long_head = t->head_bytes > FETCH_HEAD_BYTES_MAX;
    return t->has_long_head || data == NULL ? 0 : size * count;
}

/* Decoded, so that this is where a small answer that unpacks to a large one ends. */
static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t bytes = size * count;

    if (bytes > t->batch->page_bytes_max - t->page.body.size) {
        t->is_too_large = true;
        return 0;
    }
    if (buf_add(&t->page.body, data, bytes) < 0 ||
        gnutls_hash(t->hash, data, bytes) != GNUTLS_E_SUCCESS)
        return 0;
    return bytes;
}

/* ---- the beginning ---- */

static bool set_text(struct transfer *t, CURLoption option, const char *value)
{
    return t->fetch->curl.easy_setopt(t->easy, option, value) == CURLE_OK;
}

static bool set_number(struct transfer *t, CURLoption option, long value)
{
    return t->fetch->curl.easy_setopt(t->easy, option, value) == CURLE_OK;
}

static bool set_pointer(struct transfer *t, CURLoption option, void *value)
{
    return t->fetch->curl.easy_setopt(t->easy, option, value) == CURLE_OK;
}

/* Nothing of the environment, of other fetches or of the user's files may have a say. QUICK_EXIT: libcurl does not wait for
 * a resolver that nobody wants any more. */
static bool set_limits(struct transfer *t)
{
    const struct fetch_batch *b = t->batch;
    long timeout_ms = (long)(b->timeout_ns / CLOCK_NS_PER_MS);

    return set_text(t, CURLOPT_PROXY, "") && set_text(t, CURLOPT_PROTOCOLS_STR, "http,https") &&
           set_text(t, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") &&
           set_number(t, CURLOPT_DISALLOW_USERNAME_IN_URL, 1) &&
           set_number(t, CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
           set_number(t, CURLOPT_FOLLOWLOCATION, 1) &&
           set_number(t, CURLOPT_MAXREDIRS, FETCH_REDIRECTS_MAX) &&
           set_number(t, CURLOPT_NOSIGNAL, 1) && set_number(t, CURLOPT_QUICK_EXIT, 1) &&
           set_number(t, CURLOPT_TIMEOUT_MS, MAX(timeout_ms, 1L)) &&
           set_number(t, CURLOPT_CONNECTTIMEOUT_MS, MAX(timeout_ms, 1L)) &&
           t->fetch->curl.easy_setopt(t->easy, CURLOPT_MAXFILESIZE_LARGE,
                                      (curl_off_t)b->page_bytes_max) == CURLE_OK;
}

/* HTTP/1.1: there one connection is one request, which is what --fetch-per-host counts. CAPATH: with a folder of
 * certificates nothing that was read of them is kept for the next connection. */
static bool set_request(struct transfer *t)
{
    const struct fetch_config *config = &t->fetch->config;

    return set_text(t, CURLOPT_URL, t->batch->targets[t->index].url) &&
           set_number(t, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
           set_text(t, CURLOPT_ACCEPT_ENCODING, "gzip, deflate") &&
           set_text(t, CURLOPT_CAPATH, NULL) && set_text(t, CURLOPT_USERAGENT, config->agent) &&
           set_pointer(t, CURLOPT_PRIVATE, t) && set_pointer(t, CURLOPT_ERRORBUFFER, t->why);
}

static bool set_callbacks(struct transfer *t)
{
    const struct libcurl *curl = &t->fetch->curl;

    return curl->easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl->easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, take_head) == CURLE_OK &&
           curl->easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           set_pointer(t, CURLOPT_OPENSOCKETDATA, t) && set_pointer(t, CURLOPT_HEADERDATA, t) &&
           set_pointer(t, CURLOPT_WRITEDATA, t);
}

struct transfer *transfer_new(struct fetch *f, struct fetch_batch *b, size_t index)
{
    struct transfer *t = calloc(1, sizeof(*t));
    gnutls_hash_hd_t hash;

    if (t == NULL)
        return NULL;
    t->fetch = f;
    t->batch = b;
    t->index = index;
    t->easy = f->curl.easy_init();
    t->page.begun_ns = clock_now_ns();
    buf_init(&t->page.body, b->page_bytes_max);
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) == GNUTLS_E_SUCCESS)
        t->hash = hash;
    if (t->easy == NULL || t->hash == NULL || !set_limits(t) || !set_request(t) ||
        !set_callbacks(t)) {
        transfer_free(t);
        return NULL;
    }
    return t;
}

void transfer_free(struct transfer *t)
{
    if (t->easy != NULL)
        t->fetch->curl.easy_cleanup(t->easy);
    if (t->hash != NULL)
        gnutls_hash_deinit(t->hash, NULL);
    buf_release(&t->page.body);
    free(t);
}

/* ---- the end ---- */

static const struct {
    CURLcode code;
    enum fetch_error error;
    const char *detail;
} codes[] = {
    {CURLE_URL_MALFORMAT, FETCH_PROTOCOL, "It was redirected to what is no URL."},
    {CURLE_UNSUPPORTED_PROTOCOL, FETCH_PROTOCOL,
     "It was redirected to what is neither http nor https."},
    {CURLE_LOGIN_DENIED, FETCH_PROTOCOL, "It was redirected to a URL with a user name in it."},
    {CURLE_COULDNT_RESOLVE_HOST, FETCH_DNS,
     "There is no address for this host. Is its name right?"},
    {CURLE_COULDNT_CONNECT, FETCH_CONNECT, "Nobody takes a connection there."},
    {CURLE_OPERATION_TIMEDOUT, FETCH_TIMEOUT,
     "It did not come in time. Ask with a longer timeout."},
    {CURLE_FILESIZE_EXCEEDED, FETCH_TOO_LARGE, "It is larger than max_bytes."},
    {CURLE_TOO_MANY_REDIRECTS, FETCH_TOO_MANY_REDIRECTS, "It was redirected more than 5 times."},
    {CURLE_PARTIAL_FILE, FETCH_PROTOCOL,
     "The server closed the connection in the middle of the page."},
    {CURLE_GOT_NOTHING, FETCH_PROTOCOL, "The server closed the connection without an answer."},
    {CURLE_RECV_ERROR, FETCH_PROTOCOL, "The connection broke in the middle."},
    {CURLE_SEND_ERROR, FETCH_PROTOCOL, "The connection broke in the middle."},
    {CURLE_BAD_CONTENT_ENCODING, FETCH_PROTOCOL, "It says that it is compressed and is not."},
    {CURLE_SSL_CONNECT_ERROR, FETCH_TLS,
     "The server does not speak TLS there, or none that is safe."},
    {CURLE_PEER_FAILED_VERIFICATION, FETCH_TLS, "The server cannot show that it is who it says."},
    {CURLE_SSL_CERTPROBLEM, FETCH_TLS, "The server's certificate is of no use."},
    {CURLE_SSL_CIPHER, FETCH_TLS, "The server offers no cipher that is safe."},
    {CURLE_SSL_CACERT_BADFILE, FETCH_TLS,
     "This machine has no certificates to check others by (ca-certificates)."},
};

static void explain_block(struct transfer *t)
{
    bool by_port = t->verdict == GUARD_PORT;

    t->page.error = by_port ? FETCH_BLOCKED_PORT : FETCH_BLOCKED_ADDRESS;
    (void)snprintf(t->page.detail, sizeof(t->page.detail),
                   by_port ? "Port of %s is none that is fetched from; --fetch-ports names them."
                           : "%s is no public address, so nothing was sent there; "
                             "--fetch-allow can open it.",
                   t->blocked);
}

static void explain(struct transfer *t, CURLcode code)
{
    struct fetch_page *page = &t->page;

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (codes[i].code == code) {
            page->error = codes[i].error;
            (void)snprintf(page->detail, sizeof(page->detail), "%s", codes[i].detail);
            return;
        }
    }
    page->error = FETCH_PROTOCOL;
    (void)snprintf(page->detail, sizeof(page->detail), "The answer cannot be read: %s.",
                   *t->why != '\0' ? t->why : t->fetch->curl.easy_strerror(code));
}

static void judge(struct transfer *t, CURLcode code)
{
    if (code == CURLE_OK)
        return;
    if (code == CURLE_COULDNT_CONNECT && t->verdict != GUARD_OPEN) {
        explain_block(t);
    } else if (t->has_long_head) {
        t->page.error = FETCH_TOO_LARGE;
        (void)snprintf(t->page.detail, sizeof(t->page.detail),
                       "The head of its answer is above %d bytes.", FETCH_HEAD_BYTES_MAX);
    } else {
        explain(t, t->is_too_large ? CURLE_FILESIZE_EXCEEDED : code);
    }
}

static void write_digest(struct transfer *t)
{
    uint8_t digest[SHA256_BYTES];

    gnutls_hash_output(t->hash, digest);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(t->page.sha256 + 2 * i, 3, "%02x", digest[i]);
}

void transfer_settle(struct transfer *t, CURLcode code)
{
    const struct libcurl *curl = &t->fetch->curl;
    struct fetch_page *page = &t->page;

    page->took_ns = clock_now_ns() - page->begun_ns;
    judge(t, code);
    (void)curl->easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &page->final_url);
    (void)curl->easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &page->content_type);
    (void)curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &page->status);
    page->bytes = page->body.size;
    if (code == CURLE_OK)
        write_digest(t);
}
