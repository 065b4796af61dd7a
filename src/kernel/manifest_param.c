#include <errno.h>
#include <jansson.h>

#include "base/parse.h"
#include "ipc/description.h"
#include "kernel/reading.h"

enum key { KEY_TYPE, KEY_HELP, KEY_MIN, KEY_MAX, KEY_DEFAULT, KEY_CHOICES, KEY_BYTES, KEY_COUNT };

#define OF(type)  (1u << (type))
#define OF_NUMBER (OF(PRONG_INT) | OF(PRONG_REAL))
#define OF_TEXT   (OF(PRONG_TEXT) | OF(PRONG_JSON))
#define OF_ALL    (OF_NUMBER | OF_TEXT | OF(PRONG_CHOICE) | OF(PRONG_VALUES))

static const struct {
    const char *name;
    unsigned types; /* that have it */
} keys[] = {
    [KEY_TYPE] = {"type", OF_ALL},
    [KEY_HELP] = {"help", OF_ALL},
    [KEY_MIN] = {"minimum", OF_NUMBER},
    [KEY_MAX] = {"maximum", OF_NUMBER},
    [KEY_DEFAULT] = {"default", OF_ALL & ~OF(PRONG_VALUES)},
    [KEY_CHOICES] = {"choices", OF(PRONG_CHOICE)},
    [KEY_BYTES] = {"max_bytes", OF_TEXT},
    [KEY_COUNT] = {"max_count", OF(PRONG_VALUES)},
};

static const char key_words[] =
    "type, help, minimum, maximum, default, choices, max_bytes and max_count";

/* What one [param] sets, by key; NULL for what it does not. */
struct given {
    const struct setting *of[ARRAY_SIZE(keys)];
};

static int collect(const struct reading *r, uint32_t section, struct given *given)
{
    const struct settings *all = r->settings;

    for (uint32_t i = 0; i < all->count; i++) {
        const struct setting *s = &all->all[i];
        size_t key = 0;
        if (s->section != section)
            continue;
        while (key < ARRAY_SIZE(keys) && strcmp(keys[key].name, s->key) != 0)
            key++;
        if (key == ARRAY_SIZE(keys))
            return reading_bad(r, s->line, "there is no key %s in [param]; it has %s.", s->key,
                               key_words);
        given->of[key] = s;
    }
    return 0;
}

static int take_type(const struct reading *r, uint32_t section, const struct given *given,
                     enum prong_type *ret)
{
    const struct setting *s = given->of[KEY_TYPE];

    if (s == NULL)
        return reading_bad(r, r->settings->sections[section].line,
                           "the parameter has no type; write type = %s.", declared_type_words);
    if (declared_type(s->value, ret) < 0)
        return reading_bad(r, s->line, "there is no type %s; write %s.", s->value,
                           declared_type_words);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        s = given->of[i];
        if (s != NULL && (keys[i].types & OF(*ret)) == 0)
            return reading_bad(r, s->line, "a parameter of type %s has no %s; leave it out.",
                               declared_type_name(*ret), s->key);
    }
    return 0;
}

static int take_int(const struct reading *r, const struct setting *s, int64_t *ret)
{
    if (s != NULL && parse_i64(s->value, ret) < 0)
        return reading_bad(r, s->line, "%s must be an integer of 64 bits; got %s.", s->key,
                           s->value);
    return 0;
}

static int take_real(const struct reading *r, const struct setting *s, double *ret)
{
    if (s != NULL && parse_real(s->value, ret) < 0)
        return reading_bad(r, s->line, "%s must be a number such as 2.5 or 1e6; got %s.", s->key,
                           s->value);
    return 0;
}

static int take_count(const struct reading *r, const struct setting *s, uint64_t max, uint64_t *ret)
{
    uint64_t value = *ret;

    if (s != NULL && (parse_bytes(s->value, &value) < 0 || value == 0 || value > max))
        return reading_bad(r, s->line, "%s must be from 1 to %llu (K and M are known); got %s.",
                           s->key, (unsigned long long)max, s->value);
    *ret = value;
    return 0;
}

static int out_of_bounds(const struct reading *r, const struct given *given)
{
    const struct setting *s = given->of[KEY_DEFAULT];

    if (s == NULL)
        s = given->of[KEY_MAX] == NULL ? given->of[KEY_MIN] : given->of[KEY_MAX];
    return reading_bad(r, s->line, "%s = %s: minimum, default and maximum are not in this order.",
                       s->key, s->value);
}

static int take_bounds(const struct reading *r, const struct given *given, struct prong_param *p)
{
    bool ok;
    int rc;

    if (p->type == PRONG_INT) {
        rc = take_int(r, given->of[KEY_MIN], &p->int_min);
        rc = rc < 0 ? rc : take_int(r, given->of[KEY_MAX], &p->int_max);
        rc = rc < 0 ? rc : take_int(r, given->of[KEY_DEFAULT], &p->int_default);
        ok = p->int_min <= p->int_max &&
             (p->required || (p->int_min <= p->int_default && p->int_default <= p->int_max));
    } else {
        rc = take_real(r, given->of[KEY_MIN], &p->real_min);
        rc = rc < 0 ? rc : take_real(r, given->of[KEY_MAX], &p->real_max);
        rc = rc < 0 ? rc : take_real(r, given->of[KEY_DEFAULT], &p->real_default);
        ok = p->real_min <= p->real_max &&
             (p->required || (p->real_min <= p->real_default && p->real_default <= p->real_max));
    }
    return rc == 0 && !ok ? out_of_bounds(r, given) : rc;
}

static int take_text(const struct reading *r, const struct given *given, struct prong_param *p)
{
    const struct setting *s = given->of[KEY_DEFAULT];
    size_t bytes_max;
    int rc = take_count(r, given->of[KEY_BYTES], DECLARED_TEXT_MAX, &p->count_max);

    if (rc < 0 || s == NULL)
        return rc;
    bytes_max = (size_t)MIN(p->count_max, (uint64_t)DESCRIPTION_TEXT_MAX);
    if (p->type == PRONG_JSON) {
        json_t *value = json_loads(s->value, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        json_decref(value);
        if (value == NULL)
            return reading_bad(r, s->line, "default must be JSON; got %.100s.", s->value);
    }
    return reading_text(r, s, bytes_max, &r->m->declared->arena, &p->text_default);
}

static int take_choices(const struct reading *r, const struct given *given, struct prong_param *p)
{
    const struct setting *s = given->of[KEY_CHOICES], *fallback = given->of[KEY_DEFAULT];
    const char *words[MANIFEST_WORDS_MAX + 1];
    const char **kept;
    struct err why;
    int count;

    if (s == NULL)
        return reading_bad(r, given->of[KEY_TYPE]->line,
                           "a choice needs its words; add choices = WORD WORD ….");
    count = manifest_words(s->value, &r->m->declared->arena, words, &why);
    if (count < 0)
        return reading_bad(r, s->line, "choices: %s", why.text);
    if (count > (int)PRONG_CHOICES_MAX)
        return reading_bad(r, s->line, "there are %d choices; at most %u are possible.", count,
                           PRONG_CHOICES_MAX);
    kept = arena_alloc(&r->m->declared->arena, ((size_t)count + 1) * sizeof(*kept));
    if (kept == NULL)
        return reading_no_memory(r);
    for (int i = 0; i < count; i++) {
        if (strlen(words[i]) == 0 || strlen(words[i]) > DECLARED_CHOICE_BYTES_MAX)
            return reading_bad(r, s->line, "a choice is a word of 1 to %d bytes; got \"%s\".",
                               DECLARED_CHOICE_BYTES_MAX, words[i]);
        kept[i] = words[i];
        for (int k = 0; k < i; k++) {
            if (strcmp(kept[k], kept[i]) == 0)
                return reading_bad(r, s->line, "%s is among the choices twice.", kept[i]);
        }
        if (fallback != NULL && strcmp(kept[i], fallback->value) == 0)
            p->text_default = kept[i];
    }
    p->choices = kept;
    if (fallback != NULL && p->text_default == NULL)
        return reading_bad(r, fallback->line, "default = %s is none of the choices.",
                           fallback->value);
    return 0;
}

static int take_rest(const struct reading *r, const struct given *given, struct prong_param *p)
{
    switch (p->type) {
    case PRONG_INT:
    case PRONG_REAL:
        return take_bounds(r, given, p);
    case PRONG_TEXT:
    case PRONG_JSON:
        return take_text(r, given, p);
    case PRONG_CHOICE:
        return take_choices(r, given, p);
    case PRONG_VALUES:
        return take_count(r, given->of[KEY_COUNT], DECLARED_COUNT_MAX, &p->count_max);
    }
    return 0;
}

int reading_param(struct reading *r, uint32_t index)
{
    const struct settings_section *section = &r->settings->sections[index];
    const char *name = section->name + strlen("param ");
    struct given given = {0};
    enum prong_type type = PRONG_INT;
    struct declared *d;
    struct prong_param *p;
    int rc = collect(r, index, &given);

    if (rc == 0)
        rc = take_type(r, index, &given, &type);
    if (rc < 0)
        return rc;
    if (parse_name(name, PRONG_NAME_MAX) < 0)
        return reading_bad(r, section->line,
                           "[%s]: a parameter's name is 1 to %u of a-z, 0-9, _ and -.",
                           section->name, PRONG_NAME_MAX);
    d = reading_declared(r, given.of[KEY_TYPE]);
    if (d != NULL && d->kernel.param_count == PRONG_PARAMS_MAX)
        return reading_bad(r, section->line, "there are more than %u parameters.",
                           PRONG_PARAMS_MAX);
    p = d == NULL ? NULL : declared_add(d, name, type);
    if (p == NULL)
        return reading_no_memory(r);
    p->required = given.of[KEY_DEFAULT] == NULL;
    if (given.of[KEY_HELP] != NULL)
        rc = reading_text(r, given.of[KEY_HELP], DESCRIPTION_TEXT_MAX, &d->arena, &p->help);
    return rc < 0 ? rc : take_rest(r, &given, p);
}
