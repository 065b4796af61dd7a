#include "cli/command.h"

#include <errno.h>
#include <string.h>

#include "cli/print.h"
#include "jobs/json.h"

enum { TARGET_BYTES_MAX = 16 << 10, LINE_BYTES_MAX = 600, UNAUTHORIZED = 401 };

int cli_misused(const char *sentence)
{
    print_complaint(sentence);
    return CLI_USAGE;
}

struct buf cli_target(const char *before, const char *piece, const char *after)
{
    struct buf target;

    buf_init(&target, TARGET_BYTES_MAX);
    (void)buf_add_text(&target, before);
    target_add(&target, piece);
    (void)buf_add_text(&target, after);
    return target;
}

static json_t *read_json(const struct answer *a)
{
    return a->body.size == 0 ? NULL : json_loadb(a->body.data, a->body.size, JSON_DECODE_ANY, NULL);
}

/* What the server has refused. */
static int refused(const struct cli *cli, const struct answer *a)
{
    json_t *problem = read_json(a);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    char line[LINE_BYTES_MAX];

    if (detail == NULL)
        (void)snprintf(line, sizeof(line), "%s answered with status %u and no reason.",
                       cli->server.url, a->status);
    else if (a->status == UNAUTHORIZED)
        (void)snprintf(line, sizeof(line), "%s Here: --token-file FILE.", detail);
    print_complaint(detail == NULL || a->status == UNAUTHORIZED ? line : detail);
    json_decref(problem);
    return CLI_REFUSED;
}

static int print_raw(const struct buf *body)
{
    if (body->size == 0)
        return CLI_OK;
    (void)fwrite(body->data, 1, body->size, stdout);
    if (body->data[body->size - 1] != '\n')
        (void)putchar('\n');
    return CLI_OK;
}

static int accepted(const struct cli *cli, const struct answer *a, bool has_printed, json_t **ret)
{
    *ret = NULL;
    if (cli_value(cli, CLI_JSON) != NULL)
        return print_raw(&a->body);
    if (a->body.size == 0 || has_printed)
        return CLI_OK;
    *ret = read_json(a);
    if (json_is_object(*ret))
        return CLI_OK;
    json_decref(*ret);
    print_complaint("The answer is not what a prong server sends: does --url name one?");
    return CLI_REFUSED;
}

int cli_ask(const struct cli *cli, const struct ask *a, json_t **ret)
{
    struct answer answer;
    struct err err = {""};
    int rc = ask(&cli->server, a, &answer, &err);

    if (rc < 0) {
        print_complaint(err.text);
        return rc == -EINVAL ? CLI_USAGE : rc == -ECONNREFUSED ? CLI_UNAVAILABLE : CLI_REFUSED;
    }
    if (answer.status >= 200 && answer.status < 300)
        rc = accepted(cli, &answer, a->result != NULL, ret);
    else
        rc = refused(cli, &answer);
    answer_release(&answer);
    return rc;
}

int cli_ask_target(const struct cli *cli, const char *method, struct buf *take_target,
                   const char *json, json_t **ret)
{
    struct ask a = {.method = method, .json = json};
    CLEANUP_FREE char *target = buf_take(take_target);

    if (target == NULL)
        return cli_misused("The words are longer than any that a server would take.");
    a.target = target;
    return cli_ask(cli, &a, ret);
}
