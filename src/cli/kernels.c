#include "cli/command.h"
#include "cli/print.h"

static const char *text_of(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

static int print_kernels(json_t *kernels)
{
    static const char *const headings[] = {"KERNEL", "VERSION", "STATE", "SUMMARY"};
    struct print_table table;
    json_t *kernel;
    size_t i;
    int rc;

    print_table_init(&table, headings, ARRAY_SIZE(headings));
    json_array_foreach(kernels, i, kernel)
    {
        print_table_add(&table, text_of(kernel, "name"));
        print_table_add(&table, text_of(kernel, "version"));
        print_table_add(&table, json_object_get(kernel, "broken") == NULL ? "ready" : "broken");
        print_table_add(&table, text_of(kernel, "summary"));
    }
    rc = print_table(&table);
    print_table_release(&table);
    return rc < 0 ? CLI_REFUSED : CLI_OK;
}

/* What cannot be used, and why, for a person to mend: {"kernel" or "file", "reason"}. */
static void complain(json_t *refused)
{
    json_t *each;
    size_t i;

    json_array_foreach(refused, i, each)
    {
        const char *file = text_of(each, "file");
        struct err line;
        (void)err_set(&line, 0, "%.80s: %.200s", *file == '\0' ? text_of(each, "kernel") : file,
                      text_of(each, "reason"));
        print_complaint(line.text);
    }
}

static int list(const struct cli *cli)
{
    struct buf target = cli_target("/compute", "", "");
    json_t *answer;
    int rc = cli_ask_target(cli, "GET", &target, NULL, &answer);

    if (rc != CLI_OK || answer == NULL)
        return rc;
    rc = print_kernels(json_object_get(answer, "kernels"));
    complain(json_object_get(answer, "refused"));
    json_decref(answer);
    return rc;
}

static void print_names(json_t *answer, const char *what)
{
    json_t *name;
    size_t i;

    json_array_foreach(json_object_get(answer, what), i, name)
    {
        CLEANUP_FREE char *line =
            json_string_value(name) == NULL ? NULL : print_fit(json_string_value(name));
        if (line != NULL)
            printf("%s %s\n", what, line);
    }
}

static int reload(const struct cli *cli)
{
    struct buf target = cli_target("/kernels/reload", "", "");
    json_t *answer;
    int rc = cli_ask_target(cli, "POST", &target, NULL, &answer);

    if (rc != CLI_OK || answer == NULL)
        return rc;
    print_names(answer, "changed");
    print_names(answer, "added");
    print_names(answer, "removed");
    printf("generation %lld serves %zu kernels\n",
           (long long)json_integer_value(json_object_get(answer, "generation")),
           json_array_size(json_object_get(answer, "kernels")));
    complain(json_object_get(answer, "refused"));
    json_decref(answer);
    return CLI_OK;
}

static const struct command commands[] = {
    {"list", "", "what can be computed, and what cannot be used", 0, 0, 0, list},
    {"reload", "", "loads them anew; when that fails, those of before serve on", 0, 0, 0, reload},
};

const struct command_group kernels_commands = {
    .name = "kernels",
    .help = "the kernels of a running server",
    .commands = commands,
    .count = ARRAY_SIZE(commands),
};
