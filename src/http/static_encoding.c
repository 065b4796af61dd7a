#include "http/static_encoding.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

enum {
    UNNAMED = -1,
    WEIGHT_MAX = 1000, /* q=1; q has at most three decimals */
};

const char *const static_encoding_endings[STATIC_ENCODING_COUNT] = {
    [STATIC_BR] = ".br", [STATIC_GZIP] = ".gz", [STATIC_IDENTITY] = ""};
const char *const static_encoding_names[STATIC_ENCODING_COUNT] = {
    [STATIC_BR] = "br", [STATIC_GZIP] = "gzip"};

static const struct {
    const char *coding;
    enum static_encoding encoding;
} codings[] = {
    {"br", STATIC_BR},
    {"gzip", STATIC_GZIP},
    {"x-gzip", STATIC_GZIP},
    {"identity", STATIC_IDENTITY},
    {"*", STATIC_ENCODING_COUNT},
};

/* "0", "0.25", "1.000" as thousandths; UNNAMED when it is none. */
static int read_weight(const char *text, size_t n)
{
    int weight = 0, digit = WEIGHT_MAX;

    if (n == 0 || n > strlen("0.000") || (n > 1 && text[1] != '.'))
        return UNNAMED;
    for (size_t i = 0; i < n; i++) {
        if (i == 1)
            continue;
        if (text[i] < '0' || text[i] > '9')
            return UNNAMED;
        weight += (text[i] - '0') * digit;
        digit /= 10;
    }
    return weight <= WEIGHT_MAX ? weight : UNNAMED;
}

/* Of an element such as "gzip ; q=0.5", without what is before its ';'. */
static int weight_of(const char *params, size_t n)
{
    size_t i = strspn(params, " \t");

    if (i >= n)
        return WEIGHT_MAX;
    if (params[i] != ';')
        return UNNAMED;
    i++;
    i += strspn(params + i, " \t");
    if (n - MIN(i, n) < 2 || strncasecmp(params + i, "q=", 2) != 0)
        return UNNAMED;
    i += 2;
    return read_weight(params + i, MIN(strcspn(params + i, " \t"), n - i));
}

static void weigh(const char *element, size_t n, int weights[STATIC_ENCODING_COUNT + 1])
{
    size_t name = MIN(strcspn(element, "; \t"), n);
    int weight = weight_of(element + name, n - name);

    for (size_t i = 0; i < ARRAY_SIZE(codings) && weight != UNNAMED; i++) {
        if (strlen(codings[i].coding) == name && strncasecmp(element, codings[i].coding, name) == 0)
            weights[codings[i].encoding] = weight;
    }
}

enum static_encoding static_encoding_choose(const char *accept_encoding, unsigned present)
{
    int weights[STATIC_ENCODING_COUNT + 1] = {UNNAMED, UNNAMED, UNNAMED, UNNAMED};
    enum static_encoding best = STATIC_IDENTITY;
    int others, best_weight;

    if (accept_encoding == NULL || (present & ~(1u << STATIC_IDENTITY)) == 0)
        return STATIC_IDENTITY;
    for (const char *p = accept_encoding; *p != '\0';) {
        size_t n;
        p += strspn(p, ", \t");
        n = strcspn(p, ",");
        weigh(p, n, weights);
        p += n;
    }
    others = weights[STATIC_ENCODING_COUNT];
    best_weight = weights[STATIC_IDENTITY] != UNNAMED ? weights[STATIC_IDENTITY] : MAX(others, 0);
    for (int i = STATIC_IDENTITY - 1; i >= 0; i--) {
        int weight = weights[i] != UNNAMED ? weights[i] : MAX(others, 0);
        if ((present & 1u << i) != 0 && weight > 0 && weight >= best_weight) {
            best = (enum static_encoding)i;
            best_weight = weight;
        }
    }
    return best;
}
