#include "api/cached.h"

#include <strings.h>

#include "api/receipt.h"
#include "base/clock.h"
#include "state/metrics.h"

/* Whether a list has this word, in any case. */
static bool has_directive(const char *list, const char *word)
{
    size_t bytes = strlen(word);

    while (list != NULL && *list != '\0') {
        size_t n;
        list += strspn(list, ", \t");
        n = strcspn(list, ",= \t");
        if (n == bytes && strncasecmp(list, word, n) == 0)
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

void cached_ask(struct request *r, struct compute *c)
{
    const char *control = request_header(r, HEADER_CACHE_CONTROL);
    struct cache *cache = api_of(r)->cache;

    if (cache == NULL || c->wants_events || c->durable.is_wanted)
        return;
    if (has_directive(control, "no-store"))
        return;
    c->job->is_fresh = has_directive(control, "no-cache");
    c->job->key = cache_key(cache, c->job);
}

static void respond_hit(struct request *r, const struct cache_answer *found)
{
    static const struct response_header fixed[] = {{"Server-Timing", RECEIPT_TIMING_OF_NOTHING},
                                                   {"Prong-Receipt", RECEIPT_OF_NOTHING},
                                                   {"Prong-Cache", "hit"},
                                                   {NULL, NULL}};
    char age[24];
    const struct response_header varying[] = {
        {"Prong-Job", r->id.text}, {"Age", age}, {NULL, NULL}};

    (void)snprintf(age, sizeof(age), "%llu", (unsigned long long)(found->age_ns / CLOCK_NS_PER_S));
    respond_again(r, found->media_type, found->blob, fixed, varying);
}

bool cached_answer(struct request *r, struct compute *c)
{
    struct cache_answer found;

    if (c->job->key == NULL || c->job->is_fresh ||
        !cache_find(api_of(r)->cache, c->job->key, &found))
        return false;
    respond_hit(r, &found);
    metrics_add(METRIC_CACHE_HITS, 0, 1);
    return true;
}

void cached_keep(struct cache *cache, const struct job *job)
{
    const struct key *key = job_key(job);

    if (cache != NULL && key != NULL && job->outcome == JOB_OK && job->missing == NULL)
        cache_put(cache, key, job->result, job->media_type);
}

void cached_tell(struct request *r, const struct job *job)
{
    if (api_of(r)->cache == NULL || (job->kernel->about->flags & PRONG_PURE) == 0 ||
        job->outcome == JOB_REFUSED)
        return;
    respond_header(r, "Prong-Cache", job->was_merged ? "merged" : "miss");
    metrics_add(job->was_merged ? METRIC_CACHE_MERGED : METRIC_CACHE_MISSES, 0, 1);
}

json_t *cached_json(struct cache *cache)
{
    struct cache_status st = {0};

    if (cache != NULL)
        cache_status(cache, &st);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "entries", (json_int_t)st.entries, "bytes",
                     (json_int_t)st.bytes, "capacity", (json_int_t)st.bytes_max, "hits",
                     (json_int_t)metrics_value(METRIC_CACHE_HITS, 0), "misses",
                     (json_int_t)metrics_value(METRIC_CACHE_MISSES, 0), "merged",
                     (json_int_t)metrics_value(METRIC_CACHE_MERGED, 0));
}

void cached_set_gauges(struct cache *cache)
{
    struct cache_status st = {0};

    if (cache != NULL)
        cache_status(cache, &st);
    metrics_set(METRIC_CACHE_ENTRIES, 0, (int64_t)st.entries);
    metrics_set(METRIC_CACHE_BYTES, 0, (int64_t)st.bytes);
}
