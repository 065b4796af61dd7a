#include "http/access.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/log.h"
#include "http/authority.h"
#include "http/response.h"
#include "http/token.h"

enum { PORT_MAX = 65535 };

struct access {
    char **hosts, **origins;
    size_t host_count, origin_count;
    const char *scheme;
    bool takes_any_host, takes_any_address, is_loopback;
    struct token *token; /* NULL: nobody has to log in */
};

static int add_text(char ***list, size_t *count, const char *text)
{
    char **longer = reallocarray(*list, *count + 1, sizeof(**list));
    char *copy = strdup(text);

    if (longer != NULL)
        *list = longer;
    if (longer == NULL || copy == NULL) {
        free(copy);
        return -ENOMEM;
    }
    longer[(*count)++] = copy;
    return 0;
}

static bool is_listed(char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], text) == 0)
            return true;
    }
    return false;
}

static int add_host(struct access *access, const char *text, size_t bytes)
{
    struct authority a;

    if (bytes == 1 && text[0] == '*') {
        access->takes_any_host = true;
        return 0;
    }
    if (authority_read(text, bytes, &a) < 0 || a.port != 0)
        return -EINVAL;
    return add_text(&access->hosts, &access->host_count, a.host);
}

static int add_origin(struct access *access, const char *text, size_t bytes)
{
    char origin[ORIGIN_BYTES];

    if (origin_read(text, bytes, origin) < 0)
        return -EINVAL;
    return add_text(&access->origins, &access->origin_count, origin);
}

/* Each element of a list with commas. */
static int add_each(struct access *access, const char *list,
                    int (*add)(struct access *access, const char *text, size_t bytes))
{
    int rc = 0;

    for (const char *p = list; p != NULL && rc == 0; p = *p == '\0' ? NULL : p + 1) {
        size_t n;
        p += strspn(p, " ");
        n = strcspn(p, ", ");
        rc = add(access, p, n);
        p += n + strspn(p + n, " ");
        if (*p != ',' && *p != '\0')
            rc = -EINVAL;
    }
    return rc;
}

/* The names that need no option. */
static int add_own_hosts(struct access *access, const struct access_config *config)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *address = strstr(config->url, "://") + 3;
    struct authority at, asked;
    int rc = authority_read(address, strlen(address), &at);

    access->scheme = strncmp(config->url, "https:", 6) == 0 ? "https" : "http";
    access->is_loopback = rc == 0 && authority_is_loopback(&at);
    access->takes_any_address = rc == 0 && authority_is_wildcard(&at);
    for (size_t i = 0; i < ARRAY_SIZE(loopback) && rc == 0; i++)
        rc = add_text(&access->hosts, &access->host_count, loopback[i]);
    if (rc == 0 && !access->takes_any_address)
        rc = add_text(&access->hosts, &access->host_count, at.host);
    if (rc == 0 && authority_read(config->listen, strlen(config->listen), &asked) == 0 &&
        !authority_is_wildcard(&asked))
        rc = add_text(&access->hosts, &access->host_count, asked.host);
    return rc;
}

static int fill(struct access *access, const struct access_config *config, struct err *err)
{
    int rc = add_own_hosts(access, config);

    if (rc < 0)
        return err_set(err, rc, "cannot tell the names of %s: %s", config->url, strerror(-rc));
    if (add_each(access, config->hosts, add_host) < 0)
        return err_set(err, -EINVAL,
                       "--hosts must be names or addresses without ports and with commas between, "
                       "such as prong.example,10.0.0.7; or *; not '%s'.",
                       config->hosts);
    if (add_each(access, config->origins, add_origin) < 0)
        return err_set(err, -EINVAL,
                       "--origins must be origins of pages with commas between, such as "
                       "https://lab.example,http://localhost:3000; not '%s'.",
                       config->origins);
    if (config->token_file == NULL)
        return 0;
    rc = token_read(&access->token, config->token_file, err);
    if (rc == 0 && !access->is_loopback && strcmp(access->scheme, "http") == 0)
        log_warning("the token travels in clear text: use --tls-cert, or a proxy that does https");
    return rc;
}

int access_new(struct access **ret, const struct access_config *config, struct err *err)
{
    struct access *access = calloc(1, sizeof(*access));
    int rc;

    if (access == NULL)
        return err_set(err, -ENOMEM, "no memory for the HTTP server");
    rc = fill(access, config, err);
    if (rc < 0)
        access = access_free(access);
    else
        *ret = access;
    return rc;
}

static void free_all(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

struct access *access_free(struct access *access)
{
    if (access == NULL)
        return NULL;
    free_all(access->hosts, access->host_count);
    free_all(access->origins, access->origin_count);
    (void)token_free(access->token);
    free(access);
    return NULL;
}

static bool refuse(struct request *r, enum problem_name name, const char *option,
                   const char *detail)
{
    respond_problem(r, name, json_pack("{s:s}", "option", option), "%s", detail);
    return false;
}

/* What the client calls us: an absolute target counts for more than Host (RFC 9112, 3.2.2). */
static int read_host(const struct request *r, struct authority *ret)
{
    const char *host = r->headers.values[HEADER_HOST];

    if (r->parts_of_target.authority != NULL)
        return authority_read(r->parts_of_target.authority, r->parts_of_target.authority_bytes,
                              ret);
    return host == NULL ? -ENOENT : authority_read(host, strlen(host), ret);
}

static bool is_ours(const struct access *access, const struct authority *host)
{
    return access->takes_any_host || is_listed(access->hosts, access->host_count, host->host) ||
           (access->takes_any_address && authority_is_address(host));
}

static bool judge_host(const struct access *access, struct request *r, int rc,
                       const struct authority *host)
{
    if (rc == -ENOENT && r->is_http_1_0 && access->is_loopback)
        return true;
    if (rc == 0 && is_ours(access, host))
        return true;
    return refuse(r, PROBLEM_MISDIRECTED, "--hosts",
                  "This server does not go by that name. Ask it by localhost or its address, or "
                  "start it with --hosts NAME.");
}

/* Which of --origins the request comes from; NULL: none. */
static const char *find_origin(const struct access *access, const struct request *r)
{
    const char *given = r->headers.values[HEADER_ORIGIN];
    char origin[ORIGIN_BYTES];

    if (given == NULL || access->origin_count == 0 || origin_read(given, strlen(given), origin) < 0)
        return NULL;
    for (size_t i = 0; i < access->origin_count; i++) {
        if (strcmp(access->origins[i], origin) == 0)
            return access->origins[i];
    }
    return NULL;
}

/* Whether the page is of the very server that the request names. */
static bool is_own_page(const struct access *access, const char *given,
                        const struct authority *host)
{
    char origin[ORIGIN_BYTES], own[ORIGIN_BYTES];

    if (host == NULL || origin_read(given, strlen(given), origin) < 0)
        return false;
    authority_origin(host, access->scheme, own);
    return strcmp(origin, own) == 0;
}

static bool changes_nothing(const struct request *r)
{
    return r->method == HTTP_GET || r->method == HTTP_HEAD || r->method == HTTP_OPTIONS;
}

static bool judge_page(const struct access *access, struct request *r, const struct authority *host)
{
    const char *origin = r->headers.values[HEADER_ORIGIN];
    const char *site = r->headers.values[HEADER_SEC_FETCH_SITE];
    bool is_foreign;

    if (changes_nothing(r))
        return true;
    if (origin != NULL)
        is_foreign = !is_own_page(access, origin, host) && find_origin(access, r) == NULL;
    else
        is_foreign = site != NULL &&
                     (strcasecmp(site, "cross-site") == 0 || strcasecmp(site, "same-site") == 0);
    return !is_foreign || refuse(r, PROBLEM_FORBIDDEN, "--origins",
                                 "Pages of others may not do this. Start the server with --origins "
                                 "and the page's origin to allow it.");
}

static bool judge_token(const struct access *access, struct request *r)
{
    enum token_verdict verdict =
        token_judge(access->token, r->headers.values[HEADER_AUTHORIZATION]);

    if (verdict == TOKEN_RIGHT)
        return true;
    (void)refuse(r, PROBLEM_UNAUTHORIZED, "--token-file",
                 verdict == TOKEN_MISSING
                     ? "Send the header Authorization: Bearer and the server's token."
                     : "This is not the server's token. Send the one in its --token-file.");
    respond_header(r, "WWW-Authenticate",
                   verdict == TOKEN_MISSING ? "Bearer realm=\"prong\""
                                            : "Bearer realm=\"prong\", error=\"invalid_token\"");
    return false;
}

/* What follows in `text` if it begins so, or NULL. Most differ in the first letter. */
static const char *behind(const char *text, const char *beginning)
{
    for (; *beginning != '\0'; text++, beginning++) {
        if (*text != *beginning)
            return NULL;
    }
    return text;
}

/* Nothing, or a colon and a port. */
static bool ends_a_host(const char *text)
{
    unsigned port = 0;

    if (text[0] != ':' || text[1] == '\0')
        return text[0] == '\0';
    for (text++; *text >= '0' && *text <= '9' && port <= PORT_MAX; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return *text == '\0' && port <= PORT_MAX;
}

/* Whether it names us in the very letters of the list, as nearly everybody does. Then nothing has to be read. */
static bool names_us(const struct access *access, const struct request *r)
{
    const char *host = r->headers.values[HEADER_HOST];

    if (host == NULL || r->parts_of_target.authority != NULL)
        return false;
    for (size_t i = 0; i < access->host_count; i++) {
        const char *rest = behind(host, access->hosts[i]);
        if (rest != NULL && ends_a_host(rest))
            return true;
    }
    return false;
}

static bool judge_origin(const struct access *access, struct request *r)
{
    struct authority host;
    int rc = read_host(r, &host);

    return judge_host(access, r, rc, &host) && judge_page(access, r, rc == 0 ? &host : NULL);
}

bool access_judge(const struct access *access, struct request *r, bool is_open)
{
    if (!(changes_nothing(r) && names_us(access, r)) && !judge_origin(access, r))
        return false;
    return is_open || access->token == NULL || r->method == HTTP_OPTIONS || judge_token(access, r);
}

/* Pages are kept for all who ask, so they cannot name an origin. */
static bool is_page(const struct request *r)
{
    return r->route == NULL && r->allowed == 0 && r->status < 400;
}

void access_complete(const struct access *access, struct request *r)
{
    const char *origin = is_page(r) ? NULL : find_origin(access, r);

    if (access->origin_count > 0)
        respond_header(r, "Vary", "Origin");
    respond_default(r, "Cross-Origin-Resource-Policy",
                    origin == NULL ? "same-origin" : "cross-origin");
    if (origin == NULL)
        return;
    respond_header(r, "Access-Control-Allow-Origin", origin);
    respond_header(r, "Access-Control-Expose-Headers",
                   "Age, Allow, ETag, Location, Preference-Applied, Prong-Cache, Prong-Job, "
                   "Prong-Missing, Prong-Receipt, RateLimit, "
                   "RateLimit-Policy, Retry-After, Server-Timing, WWW-Authenticate, X-Request-Id, "
                   "traceparent");
}

void access_preflight(const struct access *access, struct request *r, const char *methods)
{
    if (r->headers.values[HEADER_ACCESS_CONTROL_REQUEST_METHOD] == NULL || is_page(r) ||
        find_origin(access, r) == NULL)
        return;
    respond_header(r, "Access-Control-Allow-Methods", methods);
    respond_header(r, "Access-Control-Allow-Headers",
                   "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, "
                   "If-None-Match, Last-Event-ID, Prefer, Prong-Chunks, Prong-Priority, "
                   "Prong-Timeout, traceparent");
    respond_header(r, "Access-Control-Max-Age", "600");
}
