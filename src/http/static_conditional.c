#include "http/static_conditional.h"

#include <string.h>

#include "base/check.h"

bool static_date_write(char out[STATIC_DATE_BYTES], time_t t)
{
    struct tm tm;

    return gmtime_r(&t, &tm) != NULL && tm.tm_year + 1900 <= 9999 &&
           strftime(out, STATIC_DATE_BYTES, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0;
}

bool static_date_read(const char *text, time_t *ret)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct tm tm = {.tm_sec = 0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && end[strspn(end, " \t")] == '\0') {
            *ret = timegm(&tm);
            return true;
        }
    }
    return false;
}

/* Whether the list has this tag, or is "*". Weak tags count only when the comparison is weak. */
static bool has_etag(const char *list, const char *etag, bool weakly)
{
    const char *p = list + strspn(list, " \t");

    if (*p == '*')
        return p[1 + strspn(p + 1, " \t")] == '\0';
    for (p += strspn(p, ", \t"); *p != '\0'; p += strspn(p, ", \t")) {
        bool is_weak = strncmp(p, "W/", 2) == 0;
        const char *end;
        if (is_weak)
            p += 2;
        end = *p == '"' ? strchr(p + 1, '"') : NULL;
        if (end == NULL)
            return false;
        if ((weakly || !is_weak) && strncmp(p, etag, strlen(etag)) == 0)
            return true;
        p = end + 1;
    }
    return false;
}

static bool is_unmodified(const char *date, const struct static_validators *v)
{
    time_t since;

    if (!static_date_read(date, &since) || v->date_use == STATIC_DATE_VAGUE)
        return false;
    return v->date_use == STATIC_DATE_NAMES ? v->modified == since : v->modified <= since;
}

static bool is_modified_since(const char *date, time_t modified)
{
    time_t since;

    return static_date_read(date, &since) && modified > since;
}

enum static_verdict static_judge(const struct static_conditions *c,
                                 const struct static_validators *v)
{
    if (c->if_match != NULL) {
        if (!has_etag(c->if_match, v->etag, false))
            return STATIC_FAILED;
    } else if (c->if_unmodified_since != NULL &&
               is_modified_since(c->if_unmodified_since, v->modified)) {
        return STATIC_FAILED;
    }
    if (c->if_none_match != NULL)
        return has_etag(c->if_none_match, v->etag, true) ? STATIC_NOT_MODIFIED : STATIC_PROCEED;
    if (c->if_modified_since != NULL && is_unmodified(c->if_modified_since, v))
        return STATIC_NOT_MODIFIED;
    return STATIC_PROCEED;
}

bool static_if_range(const char *if_range, const struct static_validators *v)
{
    time_t date;

    if (if_range == NULL)
        return true;
    if (if_range[0] == '"') {
        size_t n = strlen(v->etag);
        return strncmp(if_range, v->etag, n) == 0 &&
               if_range[n + strspn(if_range + n, " \t")] == '\0';
    }
    return v->date_use != STATIC_DATE_VAGUE && static_date_read(if_range, &date) &&
           date == v->modified;
}
