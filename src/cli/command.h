/*
 * What the commands of the client have in common. Each takes its words and options, asks the server, prints, and gives the
 * exit status of the program.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <jansson.h>

#include "cli/ask.h"
#include "cli/options.h"

enum {
    CLI_OK = 0,
    CLI_REFUSED = 1,      /* the server said no, or something went wrong here */
    CLI_USAGE = 64,       /* as sysexits.h has it */
    CLI_UNAVAILABLE = 69, /* there was no answer */
};

struct cli {
    struct ask_server server;
    const struct cli_line *line;
    const char *const *words; /* of the command itself */
    unsigned word_count;
};

struct command {
    const char *name, *arguments, *help;
    unsigned words_min, words_max;
    unsigned options; /* CLI_TAKES of each, besides those that all take */
    int (*run)(const struct cli *cli);
};

struct command_group {
    const char *name, *help;
    const struct command *commands;
    size_t count;
};

extern const struct command_group jobs_commands, kernels_commands, state_commands;

/* An option's value, or NULL. */
static inline const char *cli_value(const struct cli *cli, enum cli_option option)
{
    return cli->line->values[option];
}

/* Asks. 0: *ret is the answer as JSON, the caller's; or NULL when there is nothing to print, because it had no body or
 * has been printed as it was (--json). Otherwise says why on standard error. */
int cli_ask(const struct cli *cli, const struct ask *ask, json_t **ret);

/* The same for `target`, which is released. `json`: the body, or NULL. */
int cli_ask_target(const struct cli *cli, const char *method, struct buf *take_target,
                   const char *json, json_t **ret);

/* "/jobs/" and the escaped piece, and what follows, as a target that the caller must hand over. */
struct buf cli_target(const char *before, const char *piece, const char *after);

/* Says it on standard error; CLI_USAGE. */
int cli_misused(const char *sentence);

#endif
