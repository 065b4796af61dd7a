#include "cli/print.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "jobs/json.h"

enum { ESCAPED_BYTES = 4, GAP = 2 };

/* The bytes of the control character at `s`, which a terminal would obey; 0 when it is none. */
static size_t control_bytes(const unsigned char *s)
{
    if (*s < 0x20 || *s == 0x7f)
        return 1;
    return *s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0 ? 2 : 0;
}

char *print_fit(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    char *out = malloc(strlen(text) * ESCAPED_BYTES + 1);
    size_t n = 0;

    if (out == NULL)
        return NULL;
    while (*s != '\0') {
        size_t control = control_bytes(s);
        if (control == 0) {
            out[n++] = (char)*s++;
            continue;
        }
        s += control;
        n += (size_t)snprintf(out + n, ESCAPED_BYTES + 1, "\\x%02x", (unsigned)s[-1]);
    }
    out[n] = '\0';
    return out;
}

/* Characters, not bytes. */
static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void print_table_init(struct print_table *t, const char *const *headings, size_t columns)
{
    CHECK(columns <= PRINT_COLUMNS_MAX);
    *t = (struct print_table) {.headings = headings, .columns = columns};
}

void print_table_release(struct print_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
}

void print_table_add(struct print_table *t, const char *text)
{
    char *cell = print_fit(text == NULL || *text == '\0' ? "-" : text);

    if (cell != NULL && t->count == t->capacity) {
        size_t capacity = MAX((size_t)64, t->capacity * 2);
        char **cells = reallocarray(t->cells, capacity, sizeof(*cells));
        if (cells == NULL) {
            free(cell);
            cell = NULL;
        } else {
            t->cells = cells;
            t->capacity = capacity;
        }
    }
    if (cell == NULL)
        t->failed = -ENOMEM;
    else
        t->cells[t->count++] = cell;
}

/* No blanks behind the last column. */
static void print_cell(const struct print_table *t, size_t column, const char *text, size_t wide)
{
    bool is_last = column == t->columns - 1;

    printf("%s%*s", text, is_last ? 0 : (int)(wide - width(text) + GAP), "");
    if (is_last)
        putchar('\n');
}

int print_table(const struct print_table *t)
{
    size_t wide[PRINT_COLUMNS_MAX] = {0};

    if (t->failed < 0)
        return t->failed;
    for (size_t i = 0; i < t->columns; i++)
        wide[i] = width(t->headings[i]);
    for (size_t i = 0; i < t->count; i++)
        wide[i % t->columns] = MAX(wide[i % t->columns], width(t->cells[i]));
    for (size_t i = 0; i < t->columns; i++)
        print_cell(t, i, t->headings[i], wide[i]);
    for (size_t i = 0; i < t->count; i++)
        print_cell(t, i % t->columns, t->cells[i], wide[i % t->columns]);
    return 0;
}

void print_duration(double seconds, char *out, size_t capacity)
{
    static const struct {
        double from;
        double unit;
        const char *name;
    } steps[] = {{2 * 86400, 86400, "d"}, {2 * 3600, 3600, "h"}, {2 * 60, 60, "min"}, {0, 1, "s"}};
    size_t i = 0;

    seconds = MAX(seconds, 0.0);
    while (seconds < steps[i].from)
        i++;
    (void)snprintf(out, capacity, "%.0f %s", (double)(uint64_t)(seconds / steps[i].unit),
                   steps[i].name);
}

static bool is_time(const char *name)
{
    static const char *const times[] = {"created", "started", "finished", "deadline"};

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        if (strcmp(name, times[i]) == 0)
            return true;
    }
    return false;
}

static void print_time(const char *name, double wall_s)
{
    time_t when = (time_t)wall_s;
    struct tm local;
    char text[64] = "";

    if (localtime_r(&when, &local) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &local) == 0)
        (void)snprintf(text, sizeof(text), "%.3f", wall_s);
    printf("%s: %s\n", name, text);
}

static void print_value(const char *name, json_t *value)
{
    CLEANUP_FREE char *json = json_is_string(value) ? NULL : json_write(value, NULL);
    const char *text = json_is_string(value) ? json_string_value(value) : json;
    CLEANUP_FREE char *line = text == NULL ? NULL : print_fit(text);

    if (line == NULL)
        return;
    if (strlen(line) > PRINT_VALUE_BYTES_MAX)
        printf("%s: %.*s... (--json has all)\n", name, PRINT_VALUE_BYTES_MAX, line);
    else
        printf("%s: %s\n", name, line);
}

void print_members(json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        CLEANUP_FREE char *key = print_fit(name);
        if (key == NULL || json_is_null(value))
            continue;
        if (json_is_number(value) && is_time(name))
            print_time(key, json_number_value(value));
        else
            print_value(key, value);
    }
}

void print_next(const char *command, const char *next)
{
    CLEANUP_FREE char *text = next == NULL ? NULL : print_fit(next);

    if (text != NULL)
        (void)fprintf(stderr, "There are more: %s --after '%s'\n", command, text);
}

void print_complaint(const char *sentence)
{
    CLEANUP_FREE char *text = print_fit(sentence);

    (void)fprintf(stderr, "prong: %s\n", text == NULL ? "There is no memory for this." : text);
}
