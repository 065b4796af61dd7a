/*
 * The program prong-client, which `prong jobs …` and its like become: a program of its own, because loading libcurl
 * would cost the server milliseconds and megabytes. It uses a running server by its HTTP contract alone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/print.h"

#define COMMON                                                                                     \
    (CLI_TAKES(CLI_URL) | CLI_TAKES(CLI_TOKEN_FILE) | CLI_TAKES(CLI_CACERT) | CLI_TAKES(CLI_JSON))

static const struct command_group *const groups[] = {&jobs_commands, &kernels_commands,
                                                     &state_commands};

/* NULL: there is none of this name. */
static const struct command_group *find_group(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (strcmp(groups[i]->name, name) == 0)
            return groups[i];
    }
    return NULL;
}

static const struct command *find_command(const struct command_group *group, const char *name)
{
    for (size_t i = 0; i < group->count; i++) {
        if (strcmp(group->commands[i].name, name) == 0)
            return &group->commands[i];
    }
    return NULL;
}

static void help_command(const struct command_group *group, const struct command *command)
{
    printf("prong %s %s%s%s: %s\n\n", group->name, command->name,
           *command->arguments == '\0' ? "" : " ", command->arguments, command->help);
    cli_options_help(command->options | COMMON);
}

static void help_group(const struct command_group *group)
{
    printf("prong %s: %s\n\n", group->name, group->help);
    for (size_t i = 0; i < group->count; i++) {
        char usage[64];
        (void)snprintf(usage, sizeof(usage), "%s %s", group->commands[i].name,
                       group->commands[i].arguments);
        printf("  prong %s %-22s %s\n", group->name, usage, group->commands[i].help);
    }
    printf("\nEach has --help. All take:\n");
    cli_options_help(COMMON);
}

static const char *from_environment(const char *given, const char *name, const char *fallback)
{
    const char *text = given != NULL ? given : getenv(name);

    return text != NULL && *text != '\0' ? text : fallback;
}

/* The words of the line are group, command, and the command's own. */
static int run(const struct cli_line *line, const struct command_group *group,
               const struct command *command)
{
    struct cli cli = {
        .server = {.url = from_environment(line->values[CLI_URL], "PRONG_URL",
                                           "http://127.0.0.1:8080"),
                   .token_file =
                       from_environment(line->values[CLI_TOKEN_FILE], "PRONG_TOKEN_FILE", NULL),
                   .cacert = line->values[CLI_CACERT]},
        .line = line,
        .words = line->words + 2,
        .word_count = line->word_count - 2,
    };
    struct err err = {""};

    if (cli_line_check(line, command->options | COMMON, &err) < 0)
        return cli_misused(err.text);
    if (cli.word_count < command->words_min || cli.word_count > command->words_max) {
        (void)err_set(&err, -EINVAL, "Write: prong %s %s %s", group->name, command->name,
                      *command->arguments == '\0' ? "(and nothing more)" : command->arguments);
        return cli_misused(err.text);
    }
    return command->run(&cli);
}

static int choose(const struct cli_line *line)
{
    const struct command_group *group = NULL;
    const struct command *command = NULL;
    struct err err = {""};

    if (line->word_count > 0)
        group = find_group(line->words[0]);
    if (group == NULL)
        return cli_misused(
            "Write: prong jobs, prong kernels or prong state, and a command; see prong --help.");
    if (line->word_count > 1)
        command = find_command(group, line->words[1]);
    if (line->wants_help && command != NULL)
        help_command(group, command);
    else if (line->wants_help)
        help_group(group);
    if (line->wants_help)
        return CLI_OK;
    if (command != NULL)
        return run(line, group, command);
    (void)err_set(&err, -EINVAL, "%s%s%s See prong %s --help.",
                  line->word_count > 1 ? "There is no command " : "A command is missing.",
                  line->word_count > 1 ? line->words[1] : "", line->word_count > 1 ? "." : "",
                  group->name);
    return cli_misused(err.text);
}

int main(int argc, char **argv)
{
    struct cli_line line;
    struct err err = {""};
    int status;

    if (cli_line_read(&line, argc, argv, &err) < 0)
        return cli_misused(err.text);
    status = choose(&line);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    print_complaint("What was to be printed could not be written.");
    return status == CLI_OK ? CLI_REFUSED : status;
}
