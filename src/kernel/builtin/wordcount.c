#include <stdlib.h>
#include <string.h>

#include "prong/kernel.h"

/*
 * Counts lines and words and finds the commonest words. Letters, digits and all bytes from 0x80 up
 * make words, and so does an apostrophe between two of them; A to Z count as a to z. A word belongs
 * to the range in which it begins, though its end may lie in the next.
 *
 * A part is a struct totals and one struct entry for each different word, each followed by the word,
 * filled up with NULs to a multiple of 8. Their order says nothing: `finish` puts them in one.
 */

#define UNIT_BYTES     32768u
#define PROGRESS_UNITS 4u
#define KEPT_BYTES_MAX 64u /* of a word: longer ones that begin alike are counted as one */
#define TOP_WORDS      10u
#define BEFORE_BYTES   2u                    /* to tell whether the unit begins inside a word */
#define AFTER_BYTES    (KEPT_BYTES_MAX + 2u) /* to read the last word as far as it is kept */
#define SLOTS_MIN      4096u
#define POOL_MIN       65536u
#define POOL_KEPT_MAX  (16u << 20)
#define POOL_MAX       (32ull << 30) /* what a slot can point into */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a word's first byte is a chunk's lowest");

struct totals {
    uint64_t words, lines, bytes;
};

struct entry {
    uint64_t count;
    uint64_t size; /* of the word, without its filling */
};

struct word {
    size_t size;
    uint64_t chunks[KEPT_BYTES_MAX / sizeof(uint64_t)]; /* its bytes, then zeros */
};

struct slot {
    uint32_t hash;
    uint32_t place; /* of the entry in the pool, in eights of bytes from 1; 0 is an empty slot */
};

/* The pool holds entries as a part does. The memory is kept from call to call. */
static struct {
    struct slot *slots;
    size_t slot_count; /* a power of two; at least half of them are empty */
    size_t slots_room;
    char *pool;
    size_t pool_size, pool_room;
    size_t entries;
} table;

/* A unit's text with a little of its neighbours: lower-case, and 0 where it is no part of a word. */
static uint8_t window[BEFORE_BYTES + UNIT_BYTES + AFTER_BYTES + sizeof(uint64_t)];

static size_t chunks_of(size_t size)
{
    return (size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static uint32_t hash_of(const uint64_t *chunks, size_t size)
{
    uint64_t hash = size;

    for (size_t i = 0; i < chunks_of(size); i++) {
        hash = (hash ^ chunks[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static struct entry *entry_at(size_t at)
{
    return (struct entry *)(void *)(table.pool + at);
}

static uint64_t *chunks_after(struct entry *entry)
{
    return (uint64_t *)(void *)(entry + 1);
}

static size_t entry_bytes(size_t word_size)
{
    return sizeof(struct entry) + chunks_of(word_size) * sizeof(uint64_t);
}

static int set_slots(size_t count)
{
    if (count > table.slots_room) {
        free(table.slots);
        table.slots = malloc(count * sizeof(*table.slots));
        table.slots_room = table.slots == NULL ? 0 : count;
    }
    if (table.slots == NULL)
        return -1;
    memset(table.slots, 0, count * sizeof(*table.slots));
    table.slot_count = count;
    return 0;
}

static int empty_table(void)
{
    if (table.pool_room > POOL_KEPT_MAX) {
        free(table.pool);
        table.pool = NULL;
        table.pool_room = 0;
        free(table.slots);
        table.slots = NULL;
        table.slots_room = 0;
    }
    table.pool_size = 0;
    table.entries = 0;
    return set_slots(SLOTS_MIN);
}

static int grow_slots(void)
{
    if (set_slots(2 * table.slot_count) != 0)
        return -1;
    for (size_t at = 0; at < table.pool_size; at += entry_bytes(entry_at(at)->size)) {
        uint32_t hash = hash_of(chunks_after(entry_at(at)), entry_at(at)->size);
        size_t i = hash & (table.slot_count - 1);

        while (table.slots[i].place != 0)
            i = (i + 1) & (table.slot_count - 1);
        table.slots[i] = (struct slot) {.hash = hash, .place = (uint32_t)(at / 8 + 1)};
    }
    return 0;
}

static int grow_pool(void)
{
    size_t room = table.pool_room == 0 ? POOL_MIN : 2 * table.pool_room;
    char *pool = room > POOL_MAX ? NULL : realloc(table.pool, room);

    if (pool == NULL)
        return -1;
    table.pool = pool;
    table.pool_room = room;
    return 0;
}

static int append_word(struct slot *slot, uint32_t hash, const struct word *word, uint64_t count)
{
    size_t bytes = entry_bytes(word->size);

    if (table.pool_size + bytes > table.pool_room && grow_pool() != 0)
        return -1;
    struct entry *entry = entry_at(table.pool_size);

    *entry = (struct entry) {.count = count, .size = word->size};
    memcpy(chunks_after(entry), word->chunks, bytes - sizeof(*entry));
    *slot = (struct slot) {.hash = hash, .place = (uint32_t)(table.pool_size / 8 + 1)};
    table.pool_size += bytes;
    table.entries++;
    return 2 * table.entries > table.slot_count ? grow_slots() : 0;
}

static int is_word(struct entry *entry, const struct word *word)
{
    const uint64_t *chunks = chunks_after(entry);

    if (entry->size != word->size)
        return 0;
    for (size_t i = 0; i < chunks_of(word->size); i++)
        if (chunks[i] != word->chunks[i])
            return 0;
    return 1;
}

static int add_word(const struct word *word, uint64_t count)
{
    uint32_t hash = hash_of(word->chunks, word->size);
    size_t i = hash & (table.slot_count - 1);

    while (table.slots[i].place != 0) {
        struct entry *entry = entry_at(8 * (size_t)(table.slots[i].place - 1));

        if (table.slots[i].hash == hash && is_word(entry, word)) {
            entry->count += count;
            return 0;
        }
        i = (i + 1) & (table.slot_count - 1);
    }
    return append_word(&table.slots[i], hash, word, count);
}

VECTOR_CLONES static void fold(uint8_t *restrict to, const uint8_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = from[i];
        uint8_t lower = byte | 0x20;
        uint8_t letter = (uint8_t)(lower - 'a') < 26 ? lower : 0;
        uint8_t other = (uint8_t)(byte - '0') < 10 || byte >= 0x80 ? byte : 0;

        to[i] = letter | other;
    }
}

static void fill_window(const uint8_t *bytes, size_t count)
{
    const uint8_t *quote = bytes;

    fold(window, bytes, count);
    memset(window + count, 0, sizeof(uint64_t));
    while ((quote = memchr(quote, '\'', (size_t)(bytes + count - quote))) != NULL) {
        size_t at = (size_t)(quote++ - bytes);

        if (at > 0 && window[at - 1] != 0 && window[at + 1] != 0)
            window[at] = '\'';
    }
}

/* Reads the word at `at` in the window and returns where it ends. */
static size_t read_word(size_t at, struct word *ret_word)
{
    uint64_t *chunk = ret_word->chunks;
    size_t size = 0;

    for (; size < KEPT_BYTES_MAX; chunk++) {
        memcpy(chunk, window + at + size, sizeof(*chunk));
        uint64_t zeros = (*chunk - 0x0101010101010101u) & ~*chunk & 0x8080808080808080u;

        if (zeros != 0) {
            unsigned bits = (unsigned)__builtin_ctzll(zeros) - 7;

            *chunk &= ((uint64_t)1 << bits) - 1;
            ret_word->size = size + bits / 8;
            return at + ret_word->size;
        }
        size += sizeof(*chunk);
    }
    ret_word->size = size;
    for (at += size; window[at] != 0;)
        at++;
    return at;
}

VECTOR_CLONES static uint64_t count_lines(const uint8_t *bytes, size_t count)
{
    uint32_t lines = 0;

    for (size_t i = 0; i < count; i++)
        lines += bytes[i] == '\n';
    return lines;
}

/* The words that begin in [from, to) of the text. */
static int count_range(struct prong_buf text, size_t from, size_t to, struct totals *totals)
{
    const uint8_t *bytes = text.data;
    size_t before = from < BEFORE_BYTES ? from : BEFORE_BYTES;
    size_t after = text.size - to < AFTER_BYTES ? text.size - to : AFTER_BYTES;
    size_t at = before, end = before + to - from;
    struct word word = {0};

    fill_window(bytes + from - before, end + after);
    totals->bytes += to - from;
    totals->lines += count_lines(bytes + from, to - from);
    if (at > 0 && window[at - 1] != 0)
        while (at < end && window[at] != 0)
            at++;
    while (1) {
        while (at < end && window[at] == 0)
            at++;
        if (at >= end)
            return 0;
        at = read_word(at, &word);
        totals->words++;
        if (add_word(&word, 1) != 0)
            return -1;
    }
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    struct prong_buf text;

    (void)prong_input(ctx, &text);
    ret_work->units = (text.size + UNIT_BYTES - 1) / UNIT_BYTES;
    ret_work->unit_cost = (double)(text.size < UNIT_BYTES ? text.size + 1 : UNIT_BYTES);
    return 0;
}

static int write_part(struct prong_ctx *ctx, const struct totals *totals)
{
    int err = prong_write(ctx, totals, sizeof(*totals));

    return err != 0 || table.pool_size == 0 ? err : prong_write(ctx, table.pool, table.pool_size);
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct totals totals = {0};
    struct prong_buf text;
    int err = empty_table();

    (void)prong_input(ctx, &text);
    for (uint64_t unit = lo; err == 0 && unit < hi;) {
        size_t from = (size_t)unit * UNIT_BYTES;
        size_t left = text.size - from;

        err = count_range(text, from, from + (left < UNIT_BYTES ? left : UNIT_BYTES), &totals);
        unit++;
        if (err == 0 && unit % PROGRESS_UNITS == 0 && prong_progress(ctx, unit - lo, hi - lo) != 0)
            break;
    }
    if (err != 0)
        return prong_fail(ctx, "There is no memory for so many different words.");
    return write_part(ctx, &totals);
}

/* Reads the entry at *at and moves past it; NULL at the end. */
static const char *next_entry(struct prong_buf part, size_t *at, struct entry *ret_entry)
{
    const char *word = (const char *)part.data + *at + sizeof(*ret_entry);

    if (part.size - *at < sizeof(*ret_entry))
        return NULL;
    memcpy(ret_entry, word - sizeof(*ret_entry), sizeof(*ret_entry));
    if (ret_entry->size > KEPT_BYTES_MAX || part.size - *at < entry_bytes(ret_entry->size))
        return NULL;
    *at += entry_bytes(ret_entry->size);
    return word;
}

static int add_part(struct prong_buf part, struct totals *totals)
{
    size_t at = sizeof(*totals);
    struct totals more;
    struct entry entry;
    const char *bytes;

    if (part.size < sizeof(more))
        return 0;
    memcpy(&more, part.data, sizeof(more));
    totals->words += more.words;
    totals->lines += more.lines;
    totals->bytes += more.bytes;
    while ((bytes = next_entry(part, &at, &entry)) != NULL) {
        struct word word = {.size = entry.size};

        memcpy(word.chunks, bytes, entry_bytes(entry.size) - sizeof(entry));
        if (add_word(&word, entry.count) != 0)
            return -1;
    }
    return 0;
}

static int combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    struct totals totals = {0};

    if (empty_table() != 0 || add_part(left, &totals) != 0 || add_part(right, &totals) != 0)
        return prong_fail(ctx, "There is no memory for so many different words.");
    return write_part(ctx, &totals);
}

struct top_word {
    uint64_t count;
    size_t size;
    const char *bytes;
};

struct top {
    struct top_word words[TOP_WORDS + 1];
    size_t count;
};

static int goes_before(const struct top_word *a, const struct top_word *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);

    return order != 0 ? order < 0 : a->size < b->size;
}

static void offer(struct top *top, struct top_word word)
{
    size_t i = top->count;

    for (; i > 0 && goes_before(&word, &top->words[i - 1]); i--)
        top->words[i] = top->words[i - 1];
    top->words[i] = word;
    if (top->count < TOP_WORDS)
        top->count++;
}

static int print_top(struct prong_ctx *ctx, const struct top *top)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < top->count; i++) {
        const struct top_word *word = &top->words[i];

        if ((err = prong_print(ctx, "%s[", i > 0 ? "," : "")) == 0 &&
            (err = prong_string(ctx, word->bytes, word->size)) == 0)
            err = prong_print(ctx, ",%llu]", (unsigned long long)word->count);
    }
    return err;
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    struct totals totals = {0};
    struct top top = {.count = 0};
    size_t at = sizeof(totals);
    struct entry entry;
    const char *bytes;
    int err;

    if (whole.size >= sizeof(totals)) {
        memcpy(&totals, whole.data, sizeof(totals));
        while ((bytes = next_entry(whole, &at, &entry)) != NULL)
            offer(&top, (struct top_word) {entry.count, entry.size, bytes});
    }
    err = prong_print(ctx, "{\"words\":%llu,\"lines\":%llu,\"bytes\":%llu,\"top\":[",
                      (unsigned long long)totals.words, (unsigned long long)totals.lines,
                      (unsigned long long)totals.bytes);
    if (err != 0 || (err = print_top(ctx, &top)) != 0)
        return err;
    return prong_write(ctx, "]}", 2);
}

static const char *selftest(void *state)
{
    static const char verse[] = "A rose is a rose\nIs a 'rose', isn't it?\n";
    struct prong_buf text = {.data = verse, .size = sizeof(verse) - 1};
    struct totals totals = {0};
    struct word rose = {0};

    (void)state;
    if (empty_table() != 0 || count_range(text, 0, 8, &totals) != 0 ||
        count_range(text, 8, text.size, &totals) != 0)
        return "There is no memory for a verse.";
    if (totals.words != 10 || totals.lines != 2 || table.entries != 5)
        return "The words of a verse are miscounted.";
    fill_window((const uint8_t *)verse, text.size);
    (void)read_word(2, &rose);
    if (add_word(&rose, 1) != 0 || table.entries != 5 || entry_at(24)->count != 4)
        return "A rose is not a rose.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE,
    .name = "wordcount",
    .version = "1",
    .summary = "Counts the words, lines and bytes of a text and finds its commonest words.",
    .example = "",
    .media_type = "application/json",
    .takes_raw = 1,
    .plan = plan,
    .map = map,
    .combine = combine,
    .finish = finish,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
