#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>

#include "base/check.h"
#include "base/clock.h"

static bool all_digits(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
    }
    return true;
}

int parse_i64(const char *text, int64_t *ret)
{
    long long value;

    if (!all_digits(*text == '-' ? text + 1 : text))
        return -EINVAL;
    errno = 0;
    value = strtoll(text, NULL, 10);
    if (errno == ERANGE)
        return -ERANGE;
    *ret = value;
    return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
    unsigned long long value;

    if (!all_digits(text))
        return -EINVAL;
    errno = 0;
    value = strtoull(text, NULL, 10);
    if (errno == ERANGE)
        return -ERANGE;
    *ret = value;
    return 0;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

static bool is_json_number(const char *p)
{
    const char *start;

    if (*p == '-')
        p++;
    start = p;
    p = skip_digits(p);
    if (p == start || (*start == '0' && p > start + 1))
        return false;
    if (*p == '.') {
        start = ++p;
        p = skip_digits(p);
        if (p == start)
            return false;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        start = p;
        p = skip_digits(p);
        if (p == start)
            return false;
    }
    return *p == '\0';
}

int parse_real(const char *text, double *ret)
{
    double value;

    if (!is_json_number(text))
        return -EINVAL;
    /* No program here calls setlocale, so the decimal point is a point. */
    value = strtod(text, NULL);
    if (!isfinite(value))
        return -ERANGE;
    *ret = value;
    return 0;
}

int parse_seconds_ns(const char *text, uint64_t *ret_ns)
{
    double seconds;
    int rc = parse_real(text, &seconds);

    if (rc < 0)
        return rc;
    if (seconds < 0 || signbit(seconds))
        return -EINVAL;
    if (seconds > 366.0 * 86400)
        return -ERANGE;
    /* To the nearest, because 1.001 times 1e9 is a little less than it should be. */
    *ret_ns = (uint64_t)(seconds * (double)CLOCK_NS_PER_S + 0.5);
    return 0;
}

int parse_name(const char *text, size_t bytes_max)
{
    size_t n = strnlen(text, bytes_max + 1);

    if (n == 0 || n > bytes_max)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return -EINVAL;
    }
    return 0;
}

int parse_bytes(const char *text, uint64_t *ret)
{
    static const char units[] = "KMG";
    char digits[24];
    size_t n = strlen(text);
    const char *unit = n > 0 ? strchr(units, text[n - 1]) : NULL;
    uint64_t value;

    if (unit != NULL)
        n--;
    if (n >= sizeof(digits))
        return -ERANGE;
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)n, text);
    if (parse_u64(digits, &value) < 0)
        return -EINVAL;
    for (const char *u = units; unit != NULL && u <= unit; u++) {
        if (__builtin_mul_overflow(value, 1024, &value))
            return -ERANGE;
    }
    *ret = value;
    return 0;
}
