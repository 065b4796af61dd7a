#include "state/kv.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "state/internal.h"
#include "state/metrics.h"

struct hash_key kv_hash_secret;

#define INTEGER_MAX (INT64_C(1) << 53) /* JSON readers lose what is beyond */

static void draw_secret(void)
{
    kv_hash_secret = hash_key_new();
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
    STAILQ_INIT(&kv->acks);
    STAILQ_INIT(&kv->flush.acks);
    return kv;
}

struct text *text_new(const char *bytes)
{
    size_t n = strlen(bytes) + 1;
    struct text *text = malloc(sizeof(*text) + n);

    if (text == NULL)
        return NULL;
    text->refs = 1;
    memcpy(text->bytes, bytes, n);
    return text;
}

struct text *text_drop(struct text *text)
{
    if (text != NULL && --text->refs == 0)
        free(text);
    return NULL;
}

static struct entry *entry_free(struct entry *entry)
{
    if (entry != NULL) {
        free(entry->key);
        (void)text_drop(entry->text);
        free(entry);
    }
    return NULL;
}

struct kv *kv_free(struct kv *kv)
{
    struct entry *entry, *next;

    if (kv == NULL)
        return NULL;
    CHECK(!kv->is_flushing && kv->changes == NULL);
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

bool kv_key_is_valid(const char *key)
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

static struct entry *insert(struct kv *kv, const char *key)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL || (entry->key = strdup(key)) == NULL)
        return entry_free(entry);
    HASH_ADD_KEYPTR(hh, kv->entries, entry->key, strlen(entry->key), entry);
    return entry->homeless ? entry_free(entry) : entry;
}

static void erase(struct kv *kv, struct entry *entry)
{
    HASH_DEL(kv->entries, entry);
    kv->bytes -= entry->bytes;
    (void)entry_free(entry);
    metrics_set(METRIC_STATE_KEYS, 0, (int64_t)HASH_COUNT(kv->entries));
}

static void fill(struct kv *kv, struct entry *entry, struct text *take_text, uint64_t version)
{
    size_t bytes = strlen(entry->key) + strlen(take_text->bytes);

    kv->bytes += bytes - entry->bytes;
    (void)text_drop(entry->text);
    entry->text = take_text;
    entry->bytes = bytes;
    entry->version = version;
    metrics_set(METRIC_STATE_KEYS, 0, (int64_t)HASH_COUNT(kv->entries));
}

int kv_reset(struct kv *kv, const char *key, struct text *take_text, uint64_t version)
{
    struct entry *entry = find(kv, key);

    if (take_text == NULL) {
        if (entry != NULL)
            erase(kv, entry);
        return 0;
    }
    if (entry == NULL)
        entry = insert(kv, key);
    if (entry == NULL) {
        (void)text_drop(take_text);
        return -ENOMEM;
    }
    fill(kv, entry, take_text, version);
    return 0;
}

/* A map that was filled under wider limits may shrink, but not grow. */
static bool has_room(const struct kv *kv, const struct entry *entry, size_t bytes)
{
    size_t before = entry == NULL ? 0 : entry->bytes;

    return (entry != NULL || HASH_COUNT(kv->entries) < kv->limits.keys_max) &&
           (bytes <= before || kv->bytes - before + bytes <= kv->limits.bytes_max);
}

/* 0 replaced, 1 created; takes `text` then. */
static int store(struct kv *kv, struct entry *entry, const char *key, struct text *text,
                 struct kv_ack *ack, uint64_t *ret_version)
{
    struct change *change = NULL;
    bool created = entry == NULL;

    if (!has_room(kv, entry, strlen(key) + strlen(text->bytes)))
        return -ENOSPC;
    if (created)
        entry = insert(kv, key);
    if (entry != NULL && kv_has_journal(kv))
        change = journal_reserve(kv, key);
    if (entry == NULL || (change == NULL && kv_has_journal(kv))) {
        if (entry != NULL && created)
            erase(kv, entry);
        return -ENOMEM;
    }
    fill(kv, entry, text, ++kv->version);
    if (change != NULL)
        journal_note(kv, change, text, ack);
    *ret_version = kv->version;
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
    text = strdup(entry->text->bytes);
    if (text == NULL)
        return -ENOMEM;
    *ret = (struct kv_value) {.text = text, .version = entry->version};
    return 0;
}

static int put(struct kv *kv, const char *key, struct text *text, struct kv_condition condition,
               struct kv_ack *ack, uint64_t *ret_version)
{
    struct entry *entry = find(kv, key);

    return holds(entry, condition) ? store(kv, entry, key, text, ack, ret_version) : -ESTALE;
}

int kv_put(struct kv *kv, const char *key, const char *text, struct kv_condition condition,
           struct kv_ack *ack, uint64_t *ret_version)
{
    struct text *copy;
    int rc;

    if (!kv_key_is_valid(key) || strnlen(text, KV_VALUE_BYTES_MAX + 1) > KV_VALUE_BYTES_MAX)
        return -EINVAL;
    copy = text_new(text);
    if (copy == NULL)
        return -ENOMEM;
    lock_take(&kv->lock);
    rc = journal_admit(kv);
    if (rc == 0)
        rc = put(kv, key, copy, condition, ack, ret_version);
    if (rc < 0)
        (void)text_drop(copy);
    journal_unlock(kv);
    return rc;
}

static int read_integer(const struct entry *entry, int64_t *ret)
{
    *ret = 0;
    if (entry == NULL)
        return 0;
    return parse_i64(entry->text->bytes, ret) < 0 || *ret > INTEGER_MAX || *ret < -INTEGER_MAX
               ? -EDOM
               : 0;
}

static int add(struct kv *kv, const char *key, int64_t by, struct kv_condition condition,
               struct kv_ack *ack, int64_t *ret_value, uint64_t *ret_version)
{
    struct entry *entry = find(kv, key);
    struct text *text;
    int64_t value;
    char digits[32];
    int rc;

    if (!holds(entry, condition))
        return -ESTALE;
    if (read_integer(entry, &value) < 0)
        return -EDOM;
    if (__builtin_add_overflow(value, by, &value) || value > INTEGER_MAX || value < -INTEGER_MAX)
        return -ERANGE;
    (void)snprintf(digits, sizeof(digits), "%lld", (long long)value);
    text = text_new(digits);
    rc = text == NULL ? -ENOMEM : store(kv, entry, key, text, ack, ret_version);
    if (rc < 0)
        (void)text_drop(text);
    else
        *ret_value = value;
    return rc;
}

int kv_add(struct kv *kv, const char *key, int64_t by, struct kv_condition condition,
           struct kv_ack *ack, int64_t *ret_value, uint64_t *ret_version)
{
    int rc;

    if (!kv_key_is_valid(key))
        return -EINVAL;
    lock_take(&kv->lock);
    rc = journal_admit(kv);
    if (rc == 0)
        rc = add(kv, key, by, condition, ack, ret_value, ret_version);
    journal_unlock(kv);
    return rc;
}

static int remove_key(struct kv *kv, const char *key, struct kv_condition condition,
                      struct kv_ack *ack)
{
    struct entry *entry = find(kv, key);
    struct change *change = NULL;

    if (entry == NULL)
        return -ENOENT;
    if (!holds(entry, condition))
        return -ESTALE;
    if (kv_has_journal(kv)) {
        change = journal_reserve(kv, key);
        if (change == NULL)
            return -ENOMEM;
    }
    erase(kv, entry);
    kv->version++;
    if (change != NULL)
        journal_note(kv, change, NULL, ack);
    return 0;
}

int kv_delete(struct kv *kv, const char *key, struct kv_condition condition, struct kv_ack *ack)
{
    int rc;

    lock_take(&kv->lock);
    rc = journal_admit(kv);
    if (rc == 0)
        rc = remove_key(kv, key, condition, ack);
    journal_unlock(kv);
    return rc;
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
