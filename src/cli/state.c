#include <string.h>

#include "base/parse.h"
#include "cli/command.h"
#include "cli/print.h"
#include "jobs/json.h"

static void print_version(json_t *version)
{
    printf("version %lld\n", (long long)json_integer_value(version));
}

static int list(const struct cli *cli)
{
    static const char *const headings[] = {"KEY", "VERSION"};
    struct buf target = cli_target("/state", "", "");
    struct print_table table;
    json_t *answer, *key;
    const char *next;
    size_t i;
    int rc;

    target_add_query(&target, "limit", cli_value(cli, CLI_LIMIT));
    target_add_query(&target, "after", cli_value(cli, CLI_AFTER));
    rc = cli_ask_target(cli, "GET", &target, NULL, &answer);
    if (rc != CLI_OK || answer == NULL)
        return rc;
    print_table_init(&table, headings, 2);
    json_array_foreach(json_object_get(answer, "keys"), i, key)
    {
        char version[32];
        (void)snprintf(version, sizeof(version), "%lld",
                       (long long)json_integer_value(json_object_get(key, "version")));
        print_table_add(&table, json_string_value(json_object_get(key, "key")));
        print_table_add(&table, version);
    }
    rc = print_table(&table) < 0 ? CLI_REFUSED : CLI_OK;
    next = json_string_value(json_object_get(answer, "next"));
    print_next("prong state list", next);
    print_table_release(&table);
    json_decref(answer);
    return rc;
}

/* The value alone, as JSON, so that programs can use it. */
static int print_value(json_t *answer)
{
    CLEANUP_FREE char *json = json_write(json_object_get(answer, "value"), NULL);
    CLEANUP_FREE char *line = json == NULL ? NULL : print_fit(json);

    json_decref(answer);
    if (line == NULL) {
        print_complaint("The answer has no value: does --url name a prong server?");
        return CLI_REFUSED;
    }
    puts(line);
    return CLI_OK;
}

static int get(const struct cli *cli)
{
    struct buf target = cli_target("/state/", cli->words[0], "");
    json_t *answer;
    int rc = cli_ask_target(cli, "GET", &target, NULL, &answer);

    return rc != CLI_OK || answer == NULL ? rc : print_value(answer);
}

static int set(const struct cli *cli)
{
    struct buf target = cli_target("/state/", cli->words[0], "");
    json_t *answer;
    int rc = cli_ask_target(cli, "PUT", &target, cli->words[1], &answer);

    if (rc != CLI_OK || answer == NULL)
        return rc;
    print_version(json_object_get(answer, "version"));
    json_decref(answer);
    return CLI_OK;
}

static int add(const struct cli *cli)
{
    struct buf target;
    char body[64];
    json_t *answer;
    int64_t by = 1;
    int rc;

    if (cli->word_count > 1 && parse_i64(cli->words[1], &by) < 0)
        return cli_misused("What is added must be an integer, such as 5 or -5.");
    (void)snprintf(body, sizeof(body), "{\"by\":%lld}", (long long)by);
    target = cli_target("/state/", cli->words[0], "/add");
    rc = cli_ask_target(cli, "POST", &target, body, &answer);
    return rc != CLI_OK || answer == NULL ? rc : print_value(answer);
}

static int delete_key(const struct cli *cli)
{
    struct buf target = cli_target("/state/", cli->words[0], "");
    json_t *answer;
    int rc = cli_ask_target(cli, "DELETE", &target, NULL, &answer);

    if (rc == CLI_OK)
        json_decref(answer);
    return rc;
}

static const struct command commands[] = {
    {"list", "", "the keys and their versions", 0, 0, CLI_TAKES(CLI_LIMIT) | CLI_TAKES(CLI_AFTER),
     list},
    {"get", "KEY", "prints the value", 1, 1, 0, get},
    {"set", "KEY JSON", "stores a value: 5, '\"text\"', '{\"a\":[1,2]}'", 2, 2, 0, set},
    {"add", "KEY [N]", "adds to an integer (default: 1) and prints the sum", 1, 2, 0, add},
    {"delete", "KEY", "removes it", 1, 1, 0, delete_key},
};

const struct command_group state_commands = {
    .name = "state",
    .help = "the shared state of a running server",
    .commands = commands,
    .count = ARRAY_SIZE(commands),
};
