/*
 * The client's command line: words and options in any order. What begins with a single - is a word, so that
 * `state add KEY -5` needs no more.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"

enum cli_option {
#define CLI_OPTION(id, name, value, help) CLI_##id,
#include "cli/options.def"
#undef CLI_OPTION
    CLI_OPTION_COUNT
};

#define CLI_TAKES(option) (1u << (option))

enum { CLI_WORDS_MAX = 4 };

struct cli_line {
    const char *words[CLI_WORDS_MAX];
    unsigned word_count;
    const char *values[CLI_OPTION_COUNT]; /* NULL: not given; "" for a flag */
    bool wants_help;
};

/* Texts point into argv; argv[0] is not read. -EINVAL with a sentence. */
int cli_line_read(struct cli_line *ret, int argc, char **argv, struct err *err);

/* -EINVAL when an option was given that is not in `taken`. */
int cli_line_check(const struct cli_line *line, unsigned taken, struct err *err);

/* Prints those of `taken`, one a line. */
void cli_options_help(unsigned taken);

#endif
