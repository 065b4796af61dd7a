#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *value, *help;
} rows[CLI_OPTION_COUNT] = {
#define CLI_OPTION(id, name, value, help) {name, value, help},
#include "cli/options.def"
#undef CLI_OPTION
};

/* Its number, or -EINVAL. `bytes` of the name; there may be a = behind. */
static int find(const char *name, size_t bytes)
{
    for (int i = 0; i < CLI_OPTION_COUNT; i++) {
        if (strlen(rows[i].name) == bytes && memcmp(rows[i].name, name, bytes) == 0)
            return i;
    }
    return -EINVAL;
}

/* One option at argv[*at], which moves on to its value when that is apart. */
static int read_option(struct cli_line *line, char **argv, int *at, struct err *err)
{
    const char *name = argv[*at] + 2;
    size_t bytes = strcspn(name, "=");
    int option = find(name, bytes);
    bool has_value = name[bytes] == '=';

    if (option < 0)
        return err_set(err, option, "There is no option --%.*s; see --help.", (int)bytes, name);
    if (*rows[option].value == '\0') {
        if (has_value)
            return err_set(err, -EINVAL, "--%s takes no value.", rows[option].name);
        line->values[option] = "";
        return 0;
    }
    line->values[option] = has_value ? name + bytes + 1 : argv[*at + 1];
    if (line->values[option] == NULL || *line->values[option] == '\0')
        return err_set(err, -EINVAL, "--%s needs a value: --%s %s.", rows[option].name,
                       rows[option].name, rows[option].value);
    *at += !has_value;
    return 0;
}

static int add_word(struct cli_line *line, const char *word, struct err *err)
{
    if (line->word_count == CLI_WORDS_MAX)
        return err_set(err, -EINVAL, "'%s' is one word too many; see --help.", word);
    line->words[line->word_count++] = word;
    return 0;
}

int cli_line_read(struct cli_line *ret, int argc, char **argv, struct err *err)
{
    bool only_words = false;
    int rc = 0;

    *ret = (struct cli_line) {.word_count = 0};
    for (int i = 1; i < argc && rc == 0; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!only_words && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
            ret->wants_help = true;
        else if (!only_words && strncmp(argv[i], "--", 2) == 0)
            rc = read_option(ret, argv, &i, err);
        else
            rc = add_word(ret, argv[i], err);
    }
    return rc;
}

int cli_line_check(const struct cli_line *line, unsigned taken, struct err *err)
{
    for (int i = 0; i < CLI_OPTION_COUNT; i++) {
        if (line->values[i] != NULL && (taken & CLI_TAKES(i)) == 0)
            return err_set(err, -EINVAL, "This command does not take --%s; see its --help.",
                           rows[i].name);
    }
    return 0;
}

void cli_options_help(unsigned taken)
{
    char flag[64];

    for (int i = 0; i < CLI_OPTION_COUNT; i++) {
        if ((taken & CLI_TAKES(i)) == 0)
            continue;
        (void)snprintf(flag, sizeof(flag), "--%s%s%s", rows[i].name,
                       *rows[i].value == '\0' ? "" : " ", rows[i].value);
        printf("  %-20s  %s\n", flag, rows[i].help);
    }
}
