#include <errno.h>

#include "base/clock.h"
#include "fetch/internal.h"
#include "state/metrics.h"

/* ---- hosts ---- */

static struct fetch_host *host_get(struct fetch *f, const char *name)
{
    struct fetch_host *host;
    size_t n = strlen(name);

    HASH_FIND(hh, f->hosts, name, n, host);
    if (host == NULL) {
        host = calloc(1, sizeof(*host) + n + 1);
        if (host == NULL)
            return NULL;
        memcpy(host->name, name, n);
        HASH_ADD_KEYPTR(hh, f->hosts, host->name, n, host);
    }
    host->holds++;
    return host;
}

static void host_drop(struct fetch *f, struct fetch_host *host)
{
    if (host == NULL || --host->holds > 0)
        return;
    if (!host->homeless)
        HASH_DEL(f->hosts, host);
    free(host);
}

/* ---- batches ---- */

void turn_add(struct fetch *f, struct fetch_batch *b)
{
    char ignored[FETCH_DETAIL_BYTES];

    TAILQ_INSERT_TAIL(&f->batches, b, link);
    for (size_t i = 0; f->has_curl && i < b->count; i++) {
        struct fetch_target *target = &b->targets[i];
        char *host = NULL;
        if (url_normalise(&f->curl, b->urls[i], &target->url, &host, ignored, sizeof(ignored)))
            target->host = host_get(f, host);
        free(host);
    }
}

void turn_remove(struct fetch *f, struct fetch_batch *b)
{
    CHECK(b->flying == 0);
    TAILQ_REMOVE(&f->batches, b, link);
    for (size_t i = 0; i < b->count; i++) {
        host_drop(f, b->targets[i].host);
        free(b->targets[i].url);
    }
    free(b->targets);
    b->targets = NULL;
}

/* ---- landing ---- */

static void count(const struct fetch_page *page)
{
    const char *code = page->error == FETCH_FINE ? "ok" : fetch_error_codes[page->error];
    int label = metrics_find_label(METRIC_FETCH_PAGES, code);

    if (label >= 0)
        metrics_observe_ns(METRIC_FETCH_PAGES, label, page->took_ns);
    metrics_add(METRIC_FETCH_BYTES, 0, page->bytes);
}

/* Afterwards the batch may be gone. */
static void land(struct fetch_batch *b, size_t index, struct fetch_page *page)
{
    count(page);
    b->landed_count++;
    b->landed(b, index, page);
}

static void land_unsent(struct fetch *f, struct fetch_batch *b, size_t index)
{
    struct fetch_page page = {.begun_ns = clock_now_ns(), .error = FETCH_PROTOCOL};
    char *url = NULL, *host = NULL;

    (void)snprintf(page.detail, sizeof(page.detail), "There was no memory for it.");
    if (b->targets[index].url == NULL &&
        !url_normalise(&f->curl, b->urls[index], &url, &host, page.detail, sizeof(page.detail)))
        page.error = FETCH_BAD_URL;
    free(url);
    free(host);
    land(b, index, &page);
}

/* It leaves libcurl and all counts. */
static void take_down(struct transfer *t)
{
    struct fetch *f = t->fetch;
    struct fetch_host *host = t->batch->targets[t->index].host;

    (void)f->curl.multi_remove_handle(f->multi, t->easy);
    TAILQ_REMOVE(&f->transfers, t, link);
    f->flying--;
    t->batch->flying--;
    if (host != NULL)
        host->flying--;
    f->held_bytes -= t->batch->page_bytes_max;
    metrics_set(METRIC_FETCH_IN_FLIGHT, 0, f->flying);
}

static struct transfer *transfer_of(struct fetch *f, CURL *easy)
{
    struct transfer *t = NULL;

    (void)f->curl.easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    return t;
}

void turn_collect(struct fetch *f)
{
    CURLMsg *message;
    int left;

    while ((message = f->curl.multi_info_read(f->multi, &left)) != NULL) {
        struct transfer *t = transfer_of(f, message->easy_handle);
        CURLcode code = message->data.result; /* gone with the handle */
        take_down(t);
        transfer_settle(t, code);
        f->held_bytes += t->page.bytes;
        land(t->batch, t->index, &t->page);
        transfer_free(t);
    }
}

void turn_stop(struct fetch *f, struct fetch_batch *b, enum fetch_stop reason, const char *why)
{
    struct transfer *t, *next;

    if (b->is_stopped)
        return;
    b->is_stopped = true;
    for (t = TAILQ_FIRST(&f->transfers); t != NULL; t = next) {
        next = TAILQ_NEXT(t, link);
        if (t->batch != b)
            continue;
        take_down(t);
        transfer_free(t);
    }
    b->stopped(b, reason, why);
}

/* ---- beginning ---- */

/* The first that waits and whose host has room; false when there is none. */
static bool find_target(const struct fetch *f, struct fetch_batch *b, size_t *ret)
{
    while (b->next < b->count && b->targets[b->next].is_begun)
        b->next++;
    for (size_t i = b->next; i < b->count; i++) {
        const struct fetch_target *target = &b->targets[i];
        if (target->is_begun ||
            (target->host != NULL && target->host->flying >= f->config.per_host))
            continue;
        *ret = i;
        return true;
    }
    return false;
}

static bool may_begin(const struct fetch *f, const struct fetch_batch *b)
{
    return !b->is_stopped && b->flying < b->concurrency && b->landed_count < FETCH_LANDED_MAX &&
           (f->held_bytes == 0 || f->held_bytes + b->page_bytes_max <= f->config.bytes_max);
}

static struct fetch_batch *find_batch(struct fetch *f, size_t *ret_index)
{
    struct fetch_batch *b;

    if (f->flying >= f->config.transfers_max)
        return NULL;
    TAILQ_FOREACH (b, &f->batches, link) {
        if (may_begin(f, b) && find_target(f, b, ret_index))
            return b;
    }
    return NULL;
}

static bool send_up(struct fetch *f, struct fetch_batch *b, size_t index)
{
    struct transfer *t = b->targets[index].url == NULL ? NULL : transfer_new(f, b, index);

    if (t == NULL)
        return false;
    if (f->curl.multi_add_handle(f->multi, t->easy) != CURLM_OK) {
        transfer_free(t);
        return false;
    }
    TAILQ_INSERT_TAIL(&f->transfers, t, link);
    f->flying++;
    b->flying++;
    if (b->targets[index].host != NULL)
        b->targets[index].host->flying++;
    f->held_bytes += b->page_bytes_max;
    metrics_set(METRIC_FETCH_IN_FLIGHT, 0, f->flying);
    return true;
}

/* One of each batch in turn. */
void turn_begin(struct fetch *f)
{
    struct fetch_batch *b;
    size_t index;

    while ((b = find_batch(f, &index)) != NULL) {
        TAILQ_REMOVE(&f->batches, b, link);
        TAILQ_INSERT_TAIL(&f->batches, b, link);
        b->targets[index].is_begun = true;
        if (!send_up(f, b, index))
            land_unsent(f, b, index);
    }
    metrics_set(METRIC_FETCH_HELD_BYTES, 0, (int64_t)f->held_bytes);
}
