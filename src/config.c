#include "config.h"

#include <errno.h>
#include <getopt.h>

#include "base/clock.h"
#include "base/parse.h"

enum option_kind { TEXT, FLAG, COUNT, SECONDS, BYTES };

struct option_row {
    const char *group; /* of a heading; the rest is then empty */
    const char *name;
    enum option_kind kind;
    size_t offset;
    const char *fallback;
    uint64_t min, max;
    const char *value, *help;
};

static const struct option_row rows[] = {
#define GROUP(title) {.group = title},
#define OPTION(field, name_, kind_, default_, min_, max_, value_, help_)                           \
    {.name = name_,                                                                                \
     .kind = kind_,                                                                                \
     .offset = offsetof(struct config, field),                                                     \
     .fallback = default_,                                                                         \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .value = value_,                                                                              \
     .help = help_},
#include "options.def"
#undef OPTION
#undef GROUP
};

static int out_of_bounds(const struct option_row *row, const char *text, const char *from,
                         struct err *err)
{
    static const char *const kinds[] = {"text", "a flag", "an integer", "a number of seconds",
                                        "a number of bytes (K, M and G are known)"};

    return err_set(err, -EINVAL, "%s%s must be %s from %llu to %llu, not '%s'.", from, row->name,
                   kinds[row->kind], (unsigned long long)row->min, (unsigned long long)row->max,
                   text);
}

static int set_number(void *field, const struct option_row *row, const char *text, const char *from,
                      struct err *err)
{
    uint64_t unit = row->kind == SECONDS ? CLOCK_NS_PER_S : 1;
    uint64_t value;
    int rc;

    if (row->kind == SECONDS)
        rc = parse_seconds_ns(text, &value);
    else if (row->kind == BYTES)
        rc = parse_bytes(text, &value);
    else
        rc = parse_u64(text, &value);
    if (rc < 0 || value < row->min * unit || value > row->max * unit)
        return out_of_bounds(row, text, from, err);
    *(uint64_t *)field = value;
    return 0;
}

static int set_flag(bool *field, const struct option_row *row, const char *text, const char *from,
                    struct err *err)
{
    if (strcmp(text, "1") != 0 && strcmp(text, "0") != 0)
        return err_set(err, -EINVAL, "%s%s must be 1 or 0, not '%s'.", from, row->name, text);
    *field = text[0] == '1';
    return 0;
}

static int set(struct config *config, const struct option_row *row, const char *text,
               const char *from, struct err *err)
{
    void *field = (char *)config + row->offset;

    if (row->kind == FLAG)
        return set_flag(field, row, text, from, err);
    if (row->kind != TEXT)
        return set_number(field, row, text, from, err);
    if (*text == '\0')
        return err_set(err, -EINVAL, "%s%s must not be empty.", from, row->name);
    *(const char **)field = text;
    return 0;
}

static int set_default(struct config *config, const struct option_row *row, struct err *err)
{
    return *row->fallback == '\0' ? 0 : set(config, row, row->fallback, "", err);
}

static int set_from_environment(struct config *config, const struct option_row *row,
                                struct err *err)
{
    char name[64] = "PRONG_";
    size_t n = strlen(name);
    const char *text;

    for (const char *p = row->name; *p != '\0'; p++)
        name[n++] = *p == '-' ? '_' : (char)(*p - 'a' + 'A');
    name[n] = '\0';
    text = getenv(name);
    if (text == NULL)
        return 0;
    return set(config, row, text, "The environment's PRONG_ option ", err);
}

enum { FIRST_LONG = 256 };

static void fill_getopt(struct option *options)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].group != NULL)
            continue;
        *options++ =
            (struct option) {.name = rows[i].name,
                             .has_arg = rows[i].kind == FLAG ? no_argument : required_argument,
                             .val = FIRST_LONG + (int)i};
    }
    *options++ = (struct option) {.name = "help", .val = 'h'};
    *options++ = (struct option) {.name = "version", .val = 'v'};
    *options = (struct option) {0};
}

static int set_from_flags(struct config *config, int argc, char **argv, char *ret_wants,
                          struct err *err)
{
    struct option options[ARRAY_SIZE(rows) + 3];
    int c, rc = 0;

    fill_getopt(options);
    opterr = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (c >= FIRST_LONG) {
            const struct option_row *row = &rows[c - FIRST_LONG];
            rc = set(config, row, row->kind == FLAG ? "1" : optarg, "--", err);
        } else if (c == 'h' || c == 'v') {
            *ret_wants = (char)c;
            return 0;
        } else if (c == ':') {
            rc = err_set(err, -EINVAL, "%s needs a value; see --help.", argv[optind - 1]);
        } else {
            rc = err_set(err, -EINVAL, "There is no option %s; see --help.", argv[optind - 1]);
        }
    }
    if (rc == 0 && optind < argc)
        rc = err_set(err, -EINVAL, "What is '%s'? See --help.", argv[optind]);
    return rc;
}

int config_read(struct config *ret, int argc, char **argv, char *ret_wants, struct err *err)
{
    int rc = 0;

    *ret = (struct config) {0};
    *ret_wants = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows) && rc == 0; i++) {
        if (rows[i].group != NULL)
            continue;
        rc = set_default(ret, &rows[i], err);
        if (rc == 0)
            rc = set_from_environment(ret, &rows[i], err);
    }
    return rc < 0 ? rc : set_from_flags(ret, argc, argv, ret_wants, err);
}

/* Help text, folded at 100 columns behind its flag. */
static void print_folded(const char *text, int indent)
{
    int column = indent;

    while (*text != '\0') {
        int word = (int)strcspn(text, " ");
        if (column + word > 100) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        printf("%.*s%s", word, text, text[word] == '\0' ? "" : " ");
        column += word + 1;
        text += word + (text[word] != '\0');
    }
    printf("\n");
}

static void print_option(const struct option_row *row)
{
    char flag[64], text[400];

    (void)snprintf(flag, sizeof(flag), "--%s %s", row->name, row->value);
    (void)snprintf(text, sizeof(text), *row->fallback == '\0' ? "%s" : "%s (default: %s)",
                   row->help, row->fallback);
    printf("  %-28s ", flag);
    print_folded(text, 31);
}

void config_help(void)
{
    printf(
        "prong: an HTTP server that runs CPU-bound work in forked processes.\n\n"
        "  prong                              serve on http://127.0.0.1:8080\n"
        "  prong --listen 127.0.0.1:0         on a free port\n"
        "  prong --workers 4 --timeout 10     four workers, ten seconds for each request\n"
        "  prong --listen 0.0.0.0:8080 --token-file token --tls-cert cert.pem --tls-key key.pem\n"
        "                                     for others, who must bring the token\n"
        "  prong jobs --help                  durable jobs of a running server\n"
        "  prong state --help                 its shared state\n"
        "  prong kernels --help               its kernels: to list them, or load them anew\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].group != NULL)
            printf("\n%s:\n", rows[i].group);
        else
            print_option(&rows[i]);
    }
    printf("\n  --help, -h                     this\n"
           "  --version                      which version this is, and of what libraries\n\n"
           "Every option is also read from the environment: --queue 64 is PRONG_QUEUE=64.\n"
           "SIGTERM and SIGINT end it in good order; a second SIGINT at once.\n");
}
