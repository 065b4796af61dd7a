#include "jobs/json.h"

#include "base/buf.h"

static bool integers_fit(json_t *value);

static bool members_fit(json_t *value)
{
    json_t *member;
    const char *key;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            if (!integers_fit(member))
                return false;
        }
        return true;
    }
    json_object_foreach(value, key, member)
    {
        if (!integers_fit(member))
            return false;
    }
    return true;
}

/* Recursion is bounded by jansson's own depth limit of the parser. */
static bool integers_fit(json_t *value)
{
    if (json_is_integer(value)) {
        json_int_t i = json_integer_value(value);
        return i >= -JSON_INTEGER_MAX && i <= JSON_INTEGER_MAX;
    }
    return members_fit(value);
}

static void explain(const json_error_t *error, struct json_problem *ret)
{
    const char *hint = "";

    if (json_error_code(error) == json_error_numeric_overflow)
        hint = ": numbers must fit a double, integers 2^53";
    else if (json_error_code(error) == json_error_stack_overflow)
        hint = ": it is nested too deeply";
    else if (json_error_code(error) == json_error_null_character)
        hint = ": a string may not hold NUL";
    ret->line = MAX(error->line, 1);
    ret->column = MAX(error->column, 1);
    (void)snprintf(ret->text, sizeof(ret->text),
                   "The JSON is wrong at line %d, column %d: %.100s%s.", ret->line, ret->column,
                   error->text, hint);
}

json_t *json_read(const char *text, size_t bytes, struct json_problem *ret_problem)
{
    json_error_t error;
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (value == NULL) {
        explain(&error, ret_problem);
        return NULL;
    }
    if (!integers_fit(value)) {
        json_decref(value);
        *ret_problem = (struct json_problem) {.line = 1, .column = 1};
        (void)snprintf(ret_problem->text, sizeof(ret_problem->text),
                       "The JSON holds an integer beyond 2^53, which many programs cannot keep "
                       "exactly; send it as a string.");
        return NULL;
    }
    return value;
}

enum {
    DIGITS_LEAST = 15,
    DIGITS_MOST = 17
}; /* of a real: as many always survive, or always suffice */

/* jansson 2.14 prints 0.1 as 0.10000000000000001; fewer digits often read back the same. `digits` are needed already. */
static unsigned shortest_digits(const json_t *value, unsigned digits)
{
    char text[40];

    for (; digits < DIGITS_MOST; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", (int)digits, json_real_value(value));
        if (strtod(text, NULL) == json_real_value(value))
            break;
    }
    return digits;
}

/* By all reals of the value: `digits`, or more. */
static unsigned digits_needed(json_t *value, unsigned digits)
{
    json_t *member;
    const char *key;
    size_t i;

    if (json_is_real(value))
        return shortest_digits(value, digits);
    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            digits = digits_needed(member, digits);
        }
        return digits;
    }
    json_object_foreach(value, key, member)
    {
        digits = digits_needed(member, digits);
    }
    return digits;
}

static char *write_with(json_t *value, size_t *ret_bytes, size_t more_flags)
{
    size_t flags =
        JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(digits_needed(value, DIGITS_LEAST));
    char *text = json_dumps(value, flags | more_flags);

    if (text != NULL && ret_bytes != NULL)
        *ret_bytes = strlen(text);
    return text;
}

char *json_write(json_t *value, size_t *ret_bytes)
{
    return write_with(value, ret_bytes, 0);
}

char *json_write_sorted(json_t *value, size_t *ret_bytes)
{
    return write_with(value, ret_bytes, JSON_SORT_KEYS);
}

void json_brief(json_t *value, char *out, size_t capacity)
{
    CLEANUP_FREE char *text = NULL;

    if (json_is_array(value))
        (void)snprintf(out, capacity, "an array of %zu", json_array_size(value));
    else if (json_is_object(value))
        (void)snprintf(out, capacity, "an object");
    else if ((text = json_write(value, NULL)) == NULL)
        (void)snprintf(out, capacity, "something");
    else if (strlen(text) < MIN(capacity, (size_t)64))
        (void)snprintf(out, capacity, "%s", text);
    else
        (void)snprintf(out, capacity, "a string of %zu bytes", json_string_length(value));
}
