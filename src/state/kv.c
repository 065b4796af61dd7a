#include "state/kv.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/parse.h"
#include "state/metrics.h"
#include "thread/lock.h"

/* Keys are the clients' own: under a hash that they could compute they would make all keys collide. */
static struct hash_key hash_secret;

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)hash_bytes(hash_secret, (key), (bytes)))
#define HASH_NONFATAL_OOM               1
#define uthash_nonfatal_oom(entry)      ((entry)->homeless = true)
#include <uthash.h>

#define INTEGER_MAX (INT64_C(1) << 53) /* JSON readers lose what is beyond */

struct entry {
    char *key, *text;
    size_t bytes; /* of both */
    uint64_t version;
    bool homeless; /* there was no memory to take it in */
    UT_hash_handle hh;
};

struct kv {
    struct lock lock;
    struct kv_limits limits;
    struct entry *entries;
    size_t bytes;
    uint64_t version; /* of the newest write; never goes back, so that no ETag comes twice */
};

static void draw_secret(void)
{
    hash_secret = hash_key_new();
}

struct kv *kv_new(struct kv_limits limits)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct kv *kv = calloc(1, sizeof(*kv));

    CHECK(pthread_once(&once, draw_secret) == 0);
    if (kv == NULL)
        return NULL;
    lock_init(&kv->lock, LOCK_STATE);
    kv->limits = limits;
    return kv;
}

static struct entry *entry_free(struct entry *entry)
{
    if (entry != NULL) {
        free(entry->key);
        free(entry->text);
        free(entry);
    }
    return NULL;
}

struct kv *kv_free(struct kv *kv)
{
    struct entry *entry, *next;

    if (kv == NULL)
        return NULL;
    HASH_ITER (hh, kv->entries, entry, next) {
        HASH_DEL(kv->entries, entry);
        (void)entry_free(entry);
    }
    lock_release(&kv->lock);
    free(kv);
    return NULL;
}

/* The bytes of the UTF-8 sequence at `s`, 0 when it is none (RFC 3629: shortest form, no surrogates). */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static bool key_is_valid(const char *key)
{
    size_t bytes = strnlen(key, KV_KEY_BYTES_MAX + 1);
    const unsigned char *s = (const unsigned char *)key;

    if (bytes == 0 || bytes > KV_KEY_BYTES_MAX)
        return false;
    while (*s != '\0') {
        size_t n = utf8_length(s);
        bool is_control = *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
        if (n == 0 || is_control)
            return false;
        s += n;
    }
    return true;
}

static bool holds(const struct entry *entry, struct kv_condition condition)
{
    switch (condition.when) {
    case KV_IF_VERSION:
        return entry != NULL && entry->version == condition.version;
    case KV_IF_ABSENT:
        return entry == NULL;
    case KV_IF_PRESENT:
        return entry != NULL;
    case KV_ALWAYS:
        break;
    }
    return true;
}

static struct entry *find(const struct kv *kv, const char *key)
{
    struct entry *entry;

    HASH_FIND_STR(kv->entries, key, entry);
    return entry;
}

/* Takes `text`, which belongs to the map from now on, or is freed. 0 replaced, 1 created. */
static int store(struct kv *kv, struct entry *entry, const char *key, char *take_text,
                 uint64_t *ret_version)
{
    CLEANUP_FREE char *text = take_text;
    bool created = entry == NULL;
    size_t bytes = strlen(key) + strlen(text);

    if (kv->bytes - (created ? 0 : entry->bytes) + bytes > kv->limits.bytes_max ||
        (created && HASH_COUNT(kv->entries) >= kv->limits.keys_max))
        return -ENOSPC;
    if (created) {
        entry = calloc(1, sizeof(*entry));
        if (entry == NULL || (entry->key = strdup(key)) == NULL) {
            (void)entry_free(entry);
            return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, kv->entries, entry->key, strlen(entry->key), entry);
        if (entry->homeless) {
            (void)entry_free(entry);
            return -ENOMEM;
        }
    }
    kv->bytes += bytes - entry->bytes;
    free(entry->text);
    entry->text = take_ptr(text);
    entry->bytes = bytes;
    entry->version = *ret_version = ++kv->version;
    metrics_set(METRIC_STATE_KEYS, 0, (int64_t)HASH_COUNT(kv->entries));
    return created;
}

int kv_get(struct kv *kv, const char *key, struct kv_value *ret)
{
    const struct entry *entry;
    char *text;
    LOCKED(&kv->lock);

    entry = find(kv, key);
    if (entry == NULL)
        return -ENOENT;
    text = strdup(entry->text);
    if (text == NULL)
        return -ENOMEM;
    *ret = (struct kv_value) {.text = text, .version = entry->version};
    return 0;
}

int kv_put(struct kv *kv, const char *key, const char *text, struct kv_condition condition,
           uint64_t *ret_version)
{
    struct entry *entry;
    char *copy;

    if (!key_is_valid(key) || strnlen(text, KV_VALUE_BYTES_MAX + 1) > KV_VALUE_BYTES_MAX)
        return -EINVAL;
    copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    LOCKED(&kv->lock);
    entry = find(kv, key);
    if (holds(entry, condition))
        return store(kv, entry, key, copy, ret_version);
    free(copy);
    return -ESTALE;
}

static int read_integer(const struct entry *entry, int64_t *ret)
{
    *ret = 0;
    if (entry == NULL)
        return 0;
    return parse_i64(entry->text, ret) < 0 || *ret > INTEGER_MAX || *ret < -INTEGER_MAX ? -EDOM : 0;
}

int kv_add(struct kv *kv, const char *key, int64_t by, struct kv_condition condition,
           int64_t *ret_value, uint64_t *ret_version)
{
    struct entry *entry;
    int64_t value;
    char text[32];
    char *copy;
    int rc;

    if (!key_is_valid(key))
        return -EINVAL;
    LOCKED(&kv->lock);
    entry = find(kv, key);
    if (!holds(entry, condition))
        return -ESTALE;
    if (read_integer(entry, &value) < 0)
        return -EDOM;
    if (__builtin_add_overflow(value, by, &value) || value > INTEGER_MAX || value < -INTEGER_MAX)
        return -ERANGE;
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    copy = strdup(text);
    rc = copy == NULL ? -ENOMEM : store(kv, entry, key, copy, ret_version);
    if (rc < 0)
        return rc;
    *ret_value = value;
    return rc;
}

int kv_delete(struct kv *kv, const char *key, struct kv_condition condition)
{
    struct entry *entry;
    LOCKED(&kv->lock);

    entry = find(kv, key);
    if (entry == NULL)
        return -ENOENT;
    if (!holds(entry, condition))
        return -ESTALE;
    HASH_DEL(kv->entries, entry);
    kv->version++;
    kv->bytes -= entry->bytes;
    (void)entry_free(entry);
    metrics_set(METRIC_STATE_KEYS, 0, (int64_t)HASH_COUNT(kv->entries));
    return 0;
}

/* The smallest keys so far, as a heap with the largest of them on top. */
struct smallest {
    const struct entry **entries;
    size_t count, max;
};

static void sift_down(struct smallest *s)
{
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        const struct entry *moved = s->entries[i];
        if (child + 1 < s->count && strcmp(s->entries[child + 1]->key, s->entries[child]->key) > 0)
            child++;
        if (child >= s->count || strcmp(s->entries[child]->key, moved->key) <= 0)
            return;
        s->entries[i] = s->entries[child];
        s->entries[child] = moved;
        i = child;
    }
}

static void offer(struct smallest *s, const struct entry *entry)
{
    size_t i = s->count;

    if (s->count == s->max) {
        if (strcmp(entry->key, s->entries[0]->key) >= 0)
            return;
        s->entries[0] = entry;
        sift_down(s);
        return;
    }
    s->count++;
    for (; i > 0 && strcmp(s->entries[(i - 1) / 2]->key, entry->key) < 0; i = (i - 1) / 2)
        s->entries[i] = s->entries[(i - 1) / 2];
    s->entries[i] = entry;
}

int kv_list(struct kv *kv, const char *after, size_t max, struct kv_listed **ret)
{
    struct smallest s = {.max = MIN(max, (size_t)KV_PAGE_MAX)};
    CLEANUP_FREE const struct entry **entries = calloc(s.max + 1, sizeof(*entries));
    CLEANUP_FREE struct kv_listed *listed = calloc(s.max + 1, sizeof(*listed));
    size_t count;

    if (entries == NULL || listed == NULL)
        return -ENOMEM;
    s.entries = entries;
    lock_take(&kv->lock);
    for (const struct entry *e = kv->entries; e != NULL && s.max > 0; e = e->hh.next) {
        if (after == NULL || strcmp(e->key, after) > 0)
            offer(&s, e);
    }
    count = s.count;
    while (s.count > 0) {
        const struct entry *largest = s.entries[0];
        s.entries[0] = s.entries[--s.count];
        sift_down(&s);
        (void)snprintf(listed[s.count].key, sizeof(listed->key), "%s", largest->key);
        listed[s.count].version = largest->version;
    }
    lock_drop(&kv->lock);
    *ret = take_ptr(listed);
    return (int)count;
}
