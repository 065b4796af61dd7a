#include "state/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

enum metric_kind { COUNTER, GAUGE, HISTOGRAM };

struct metric_about {
    enum metric_kind kind;
    const char *name, *label, *help;
};

static const struct metric_about about[METRIC_COUNT] = {
#define METRIC(id, kind, name, label, help) [METRIC_##id] = {kind, name, label, help},
#include "state/metrics.def"
#undef METRIC
};

static const uint64_t bounds_us[] = {100,     200,     500,     1000,     2000,     5000,
                                     10000,   20000,   50000,   100000,   200000,   500000,
                                     1000000, 2000000, 5000000, 10000000, 30000000, 60000000};

enum {
    SHARDS = 8, /* so that pool threads do not fight for cache lines */
    BOUNDS = ARRAY_SIZE(bounds_us),
    ERROR_FIRST = 500 - 100,
    CODES = 500, /* 100 to 599 */
};

static_assert(METRICS_BUCKETS == BOUNDS + 1, "the last is +Inf");

struct shard {
    _Alignas(64) _Atomic uint64_t value;
};

struct histogram_shard {
    _Alignas(64) _Atomic uint64_t buckets[BOUNDS + 1]; /* not cumulative; the last is +Inf */
    _Atomic uint64_t sum_ns, max_ns;
};

struct counter {
    struct shard shards[SHARDS];
};

struct histogram {
    struct histogram_shard shards[SHARDS];
};

/* One label value of one metric; exactly one of the pointers is set. */
struct series {
    char *label;
    struct counter *counter;
    struct histogram *histogram;
    _Atomic(struct counter *) *codes; /* HTTP_REQUESTS: one counter for each code seen */
};

/* `count` is stored after the series it counts, so that a renderer on another thread sees them whole. */
static struct {
    struct series series[METRICS_LABELS_MAX];
    _Atomic int count;
} metrics[METRIC_COUNT];

/* The series of metrics without a label, made on first use. */
static struct counter plain[METRIC_COUNT];

static unsigned own_shard(void)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned mine;

    if (mine == 0)
        mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % SHARDS + 1;
    return mine - 1;
}

static struct {
    _Atomic bool is_armed;
    void (*ring)(void *arg);
    void *arg;
} bell;

void metrics_set_alarm(void (*ring)(void *arg), void *arg)
{
    atomic_store(&bell.is_armed, false);
    bell.ring = ring;
    bell.arg = arg;
}

void metrics_arm(void)
{
    CHECK(bell.ring != NULL);
    atomic_store(&bell.is_armed, true);
    atomic_thread_fence(memory_order_seq_cst);
}

/* After counting by a sequentially consistent step: who finds it disarmed has counted before it is armed. */
static void ring(void)
{
    if (atomic_load(&bell.is_armed) && atomic_exchange(&bell.is_armed, false))
        bell.ring(bell.arg);
}

static void *new_zeroed(size_t bytes)
{
    void *data = aligned_alloc(64, bytes);

    return data == NULL ? NULL : memset(data, 0, bytes);
}

static bool series_init(enum metric m, struct series *s, const char *value)
{
    s->label = strdup(value);
    if (about[m].kind == HISTOGRAM)
        s->histogram = new_zeroed(sizeof(*s->histogram));
    else if (m == METRIC_HTTP_REQUESTS)
        s->codes = calloc(CODES, sizeof(*s->codes));
    else
        s->counter = new_zeroed(sizeof(*s->counter));
    if (s->label != NULL && (s->histogram != NULL || s->codes != NULL || s->counter != NULL))
        return true;
    free(s->label);
    free(s->histogram);
    free(s->codes);
    free(s->counter);
    return false;
}

int metrics_find_label(enum metric m, const char *value)
{
    int count = atomic_load(&metrics[m].count);

    for (int i = 0; i < count; i++) {
        if (strcmp(metrics[m].series[i].label, value) == 0)
            return i;
    }
    return -ENOENT;
}

static int find_or_add(enum metric m, const char *value)
{
    int count = atomic_load(&metrics[m].count);
    int found = metrics_find_label(m, value);

    if (found >= 0)
        return found;
    if (count == METRICS_LABELS_MAX)
        return -ENOSPC;
    if (!series_init(m, &metrics[m].series[count], value))
        return -ENOMEM;
    atomic_store(&metrics[m].count, count + 1);
    return count;
}

int metrics_label(enum metric m, const char *value)
{
    CHECK(about[m].label != NULL);
    /* metrics_http counts in both under one index. */
    if (m == METRIC_HTTP_REQUESTS || m == METRIC_HTTP_DURATION) {
        int requests = find_or_add(METRIC_HTTP_REQUESTS, value);
        int duration = find_or_add(METRIC_HTTP_DURATION, value);
        CHECK(requests < 0 || duration < 0 || requests == duration);
        return MIN(requests, duration);
    }
    return find_or_add(m, value);
}

static struct series *series_of(enum metric m, int label)
{
    CHECK(label >= 0 && label < atomic_load_explicit(&metrics[m].count, memory_order_acquire));
    return &metrics[m].series[label];
}

static struct counter *counter_of(enum metric m, int label)
{
    CHECK(about[m].kind != HISTOGRAM && m != METRIC_HTTP_REQUESTS);
    if (about[m].label != NULL)
        return series_of(m, label)->counter;
    CHECK(label == 0);
    return &plain[m];
}

static void add(struct counter *c, uint64_t n)
{
    atomic_fetch_add(&c->shards[own_shard()].value, n);
    ring();
}

static uint64_t total(const struct counter *c)
{
    uint64_t n = 0;

    for (int i = 0; i < SHARDS; i++)
        n += atomic_load_explicit(&c->shards[i].value, memory_order_relaxed);
    return n;
}

void metrics_add(enum metric m, int label, uint64_t n)
{
    add(counter_of(m, label), n);
}

/* A gauge is either set or added to, so that the first shard may stand for all. */
void metrics_set(enum metric m, int label, int64_t value)
{
    struct counter *c = counter_of(m, label);

    CHECK(about[m].kind == GAUGE);
    for (int i = 1; i < SHARDS; i++)
        atomic_store_explicit(&c->shards[i].value, 0, memory_order_relaxed);
    atomic_store_explicit(&c->shards[0].value, (uint64_t)value, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *max, uint64_t value)
{
    uint64_t old = atomic_load_explicit(max, memory_order_relaxed);

    while (old < value && !atomic_compare_exchange_weak_explicit(
                              max, &old, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void observe(struct histogram *h, uint64_t ns)
{
    struct histogram_shard *shard = &h->shards[own_shard()];
    int i = 0;

    while (i < (int)BOUNDS && ns > bounds_us[i] * CLOCK_NS_PER_US)
        i++;
    atomic_fetch_add(&shard->buckets[i], 1);
    atomic_fetch_add_explicit(&shard->sum_ns, ns, memory_order_relaxed);
    raise_to(&shard->max_ns, ns);
    ring();
}

void metrics_observe_ns(enum metric m, int label, uint64_t ns)
{
    CHECK(about[m].kind == HISTOGRAM);
    observe(series_of(m, label)->histogram, ns);
}

static struct counter *code_counter(struct series *s, unsigned status)
{
    _Atomic(struct counter *) *slot = &s->codes[status < 100 || status > 599 ? 400 : status - 100];
    struct counter *c = atomic_load_explicit(slot, memory_order_acquire);
    struct counter *fresh;

    if (c != NULL)
        return c;
    fresh = new_zeroed(sizeof(*fresh));
    if (fresh == NULL || atomic_compare_exchange_strong(slot, &c, fresh))
        return fresh;
    free(fresh);
    return c;
}

void metrics_http(int route, unsigned status, uint64_t ns)
{
    struct counter *c = code_counter(series_of(METRIC_HTTP_REQUESTS, route), status);

    if (c != NULL)
        add(c, 1);
    observe(series_of(METRIC_HTTP_DURATION, route)->histogram, ns);
}

struct summed {
    uint64_t buckets[METRICS_BUCKETS];
    uint64_t count, sum_ns, max_ns;
};

static void sum_up(struct summed *out, const struct histogram *h)
{
    for (int i = 0; i < SHARDS; i++) {
        const struct histogram_shard *shard = &h->shards[i];
        for (size_t b = 0; b <= BOUNDS; b++) {
            uint64_t n = atomic_load_explicit(&shard->buckets[b], memory_order_relaxed);
            out->buckets[b] += n;
            out->count += n;
        }
        out->sum_ns += atomic_load_explicit(&shard->sum_ns, memory_order_relaxed);
        out->max_ns = MAX(out->max_ns, atomic_load_explicit(&shard->max_ns, memory_order_relaxed));
    }
}

static uint64_t requests_total(const struct series *s)
{
    uint64_t n = 0;

    for (int i = 0; i < CODES; i++) {
        const struct counter *c = atomic_load_explicit(&s->codes[i], memory_order_acquire);
        n += c == NULL ? 0 : total(c);
    }
    return n;
}

uint64_t metrics_value(enum metric m, int label)
{
    struct summed sums = {.count = 0};

    if (m == METRIC_HTTP_REQUESTS)
        return requests_total(series_of(m, label));
    if (about[m].kind != HISTOGRAM)
        return total(counter_of(m, label));
    sum_up(&sums, series_of(m, label)->histogram);
    return sums.count;
}

uint64_t metrics_quantile_ns(enum metric m, double q)
{
    struct summed sums = {.count = 0};
    int count = atomic_load(&metrics[m].count);
    uint64_t seen = 0;

    CHECK(about[m].kind == HISTOGRAM);
    for (int i = 0; i < count; i++)
        sum_up(&sums, metrics[m].series[i].histogram);
    for (size_t b = 0; b < BOUNDS; b++) {
        seen += sums.buckets[b];
        if (sums.count > 0 && (double)seen >= q * (double)sums.count)
            return MIN(bounds_us[b] * CLOCK_NS_PER_US, sums.max_ns);
    }
    return sums.max_ns;
}

void metrics_histogram(enum metric m, struct metrics_histogram *ret)
{
    struct summed sums = {.count = 0};
    int count = atomic_load(&metrics[m].count);

    CHECK(about[m].kind == HISTOGRAM);
    for (int i = 0; i < count; i++)
        sum_up(&sums, metrics[m].series[i].histogram);
    memcpy(ret->buckets, sums.buckets, sizeof(ret->buckets));
}

uint64_t metrics_histogram_count(const struct metrics_histogram *h)
{
    uint64_t n = 0;

    for (size_t b = 0; b < METRICS_BUCKETS; b++)
        n += h->buckets[b];
    return n;
}

uint64_t metrics_histogram_quantile_ns(const struct metrics_histogram *h, double q)
{
    double rank = q * (double)metrics_histogram_count(h), below = 0;

    if (rank <= 0)
        return 0;
    for (size_t b = 0; b < BOUNDS; b++) {
        double n = (double)h->buckets[b], lower = b == 0 ? 0 : (double)bounds_us[b - 1];
        if (n > 0 && below + n >= rank)
            return (uint64_t)((lower + ((double)bounds_us[b] - lower) * (rank - below) / n) *
                              CLOCK_NS_PER_US);
        below += n;
    }
    return bounds_us[BOUNDS - 1] * CLOCK_NS_PER_US;
}

uint64_t metrics_http_errors(void)
{
    int count = atomic_load(&metrics[METRIC_HTTP_REQUESTS].count);
    uint64_t n = 0;

    for (int i = 0; i < count; i++) {
        for (int code = ERROR_FIRST; code < CODES; code++) {
            const struct counter *c = atomic_load_explicit(
                &metrics[METRIC_HTTP_REQUESTS].series[i].codes[code], memory_order_acquire);
            n += c == NULL ? 0 : total(c);
        }
    }
    return n;
}

/* The text format. */

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            (void)buf_add_text(b, "\\n");
        else if (*text == '\\' || *text == '"')
            (void)buf_printf(b, "\\%c", *text);
        else
            (void)buf_add(b, text, 1);
    }
}

/* name="value", or kernel="…",outcome="…" for a label named "kernel_outcome" of value "…|…". */
static void put_label(struct buf *b, enum metric m, const char *value)
{
    const char *name = about[m].label;
    const char *bar = m == METRIC_JOBS ? strchr(value, '|') : NULL;
    const char *second = bar == NULL ? NULL : strchr(name, '_');
    char first[128];

    if (second == NULL) {
        (void)buf_printf(b, "%s=\"", name);
        put_escaped(b, value);
        (void)buf_add_text(b, "\"");
        return;
    }
    (void)snprintf(first, sizeof(first), "%.*s", (int)(bar - value), value);
    (void)buf_printf(b, "%.*s=\"", (int)(second - name), name);
    put_escaped(b, first);
    (void)buf_printf(b, "\",%s=\"", second + 1);
    put_escaped(b, bar + 1);
    (void)buf_add_text(b, "\"");
}

static void put_seconds(struct buf *b, uint64_t ns)
{
    (void)buf_printf(b, "%llu.%09llu", ns / CLOCK_NS_PER_S, ns % CLOCK_NS_PER_S);
}

static void put_value(struct buf *b, enum metric m, uint64_t value)
{
    (void)buf_add_text(b, " ");
    if (m == METRIC_JOB_CPU)
        put_seconds(b, value);
    else if (about[m].kind == GAUGE)
        (void)buf_printf(b, "%" PRId64, (int64_t)value);
    else
        (void)buf_printf(b, "%" PRIu64, value);
    (void)buf_add_text(b, "\n");
}

static void put_codes(struct buf *b, const struct series *s)
{
    for (int i = 0; i < CODES; i++) {
        const struct counter *c = atomic_load_explicit(&s->codes[i], memory_order_acquire);
        if (c == NULL)
            continue;
        (void)buf_printf(b, "%s{", about[METRIC_HTTP_REQUESTS].name);
        put_label(b, METRIC_HTTP_REQUESTS, s->label);
        (void)buf_printf(b, ",code=\"%d\"} %" PRIu64 "\n", i + 100, total(c));
    }
}

static void put_bucket(struct buf *b, enum metric m, const struct series *s, const char *le,
                       uint64_t n)
{
    (void)buf_printf(b, "%s_bucket{", about[m].name);
    put_label(b, m, s->label);
    (void)buf_printf(b, ",le=\"%s\"} %" PRIu64 "\n", le, n);
}

static void put_histogram(struct buf *b, enum metric m, const struct series *s)
{
    struct summed sums = {.count = 0};
    uint64_t below = 0;
    char le[32];

    sum_up(&sums, s->histogram);
    for (size_t i = 0; i < BOUNDS; i++) {
        below += sums.buckets[i];
        (void)snprintf(le, sizeof(le), "%g", (double)bounds_us[i] / 1e6);
        put_bucket(b, m, s, le, below);
    }
    put_bucket(b, m, s, "+Inf", sums.count);
    (void)buf_printf(b, "%s_sum{", about[m].name);
    put_label(b, m, s->label);
    (void)buf_add_text(b, "} ");
    put_seconds(b, sums.sum_ns);
    (void)buf_printf(b, "\n%s_count{", about[m].name);
    put_label(b, m, s->label);
    (void)buf_printf(b, "} %" PRIu64 "\n", sums.count);
}

static void put_series(struct buf *b, enum metric m, const struct series *s)
{
    if (s->codes != NULL) {
        put_codes(b, s);
    } else if (s->histogram != NULL) {
        put_histogram(b, m, s);
    } else {
        (void)buf_printf(b, "%s{", about[m].name);
        put_label(b, m, s->label);
        (void)buf_add_text(b, "}");
        put_value(b, m, total(s->counter));
    }
}

void metrics_render(struct buf *b)
{
    static const char *const kinds[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

    for (int i = 0; i < METRIC_COUNT; i++) {
        enum metric m = (enum metric)i;
        int count = atomic_load(&metrics[m].count);
        (void)buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", about[m].name, about[m].help,
                         about[m].name, kinds[about[m].kind]);
        for (int j = 0; j < count; j++)
            put_series(b, m, &metrics[m].series[j]);
        if (about[m].label == NULL) {
            (void)buf_add_text(b, about[m].name);
            put_value(b, m, total(&plain[m]));
        }
    }
}
