/*
 * What the request gate costs: gate HEAD_FILE prints nanoseconds of CPU time to judge that head.
 *
 * The head, as it comes over the wire, is laid out as libmicrohttpd 0.9.75 leaves it, once for each of 64
 * connections, and they are judged in turn, so that it is not the same bytes in the nearest cache again and again.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "http/gate.h"

enum {
    CONNECTIONS = 64,
    BYTES_PER_CONNECTION = 24 << 10,
    HEAD_BYTES_MAX = 8 << 10,
    HEADERS_MAX = 64,
    BATCHES = 41,
    JUDGED_IN_BATCH = 200 * CONNECTIONS,
};

struct header {
    const char *name, *value;
    size_t name_bytes, value_bytes;
};

struct head {
    struct gate_line line;
    struct header headers[HEADERS_MAX];
    size_t count;
};

static void fail(const char *why)
{
    fprintf(stderr, "gate: %s\n", why);
    exit(EXIT_FAILURE);
}

/* Ends the text before the first byte of `any`, and gives what comes behind. */
static char *cut(char *text, const char *any)
{
    char *end = text + strcspn(text, any);

    if (*end == '\0')
        fail("that is no head");
    if (*end == '\r')
        *end++ = '\0';
    *end = '\0';
    return end + 1;
}

static void lay_out(struct head *head, char *text)
{
    char *rest = cut(text, " ");

    *head = (struct head) {.line = {.method = text, .target = rest, .head_bytes = strlen(rest)}};
    head->line.head_bytes += (size_t)(rest - text);
    rest = cut(rest, " ");
    head->line.target_bytes = strlen(head->line.target);
    head->line.version = rest;
    rest = cut(rest, "\r");
    while (*rest != '\r' && head->count < HEADERS_MAX) {
        struct header *h = &head->headers[head->count++];
        h->name = rest;
        rest = cut(rest, ":");
        rest += strspn(rest, " \t");
        h->value = rest;
        rest = cut(rest, "\r");
        h->name_bytes = strlen(h->name);
        h->value_bytes = strlen(h->value);
    }
    (void)cut(rest, "\r");
}

static void judge(struct head *head, bool knows_layout)
{
    static struct request_headers headers;
    struct gate_line line = head->line;
    struct gate g;

    line.target_is_sound = gate_target(line.target, line.target_bytes);
    gate_open(&g, &line, &headers, knows_layout);
    for (size_t i = 0; i < head->count; i++) {
        const struct header *h = &head->headers[i];
        if (!gate_header(&g, h->name, h->name_bytes, h->value, h->value_bytes))
            break;
    }
    if (!gate_close(&g))
        fail(g.fault.detail);
}

static double cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)clock_from_timespec(t);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static struct head heads[CONNECTIONS];
    static char memory[CONNECTIONS][BYTES_PER_CONNECTION];
    bool knows_layout = gate_knows_layout(MHD_get_version());
    char text[HEAD_BYTES_MAX + 1] = "";
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    double ns[BATCHES];

    if (file == NULL || fread(text, 1, HEAD_BYTES_MAX, file) == 0)
        fail("usage: gate HEAD_FILE");
    (void)fclose(file);
    for (int i = 0; i < CONNECTIONS; i++)
        lay_out(&heads[i], memcpy(memory[i], text, sizeof(text)));
    for (int i = 0; i < BATCHES; i++) {
        double begin = cpu_ns();
        for (int j = 0; j < JUDGED_IN_BATCH; j++)
            judge(&heads[j % CONNECTIONS], knows_layout);
        ns[i] = (cpu_ns() - begin) / JUDGED_IN_BATCH;
    }
    qsort(ns, BATCHES, sizeof(ns[0]), compare);
    printf("%.1f\n", ns[BATCHES / 2]);
    return EXIT_SUCCESS;
}
