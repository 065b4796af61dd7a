/*
 * prong-check: whether a program keeps to the protocol of programs. Starts it with a socket on descriptor 3
 * and tries one rule after the other; the output is TAP, the exit status 0 when all rules are kept.
 */
#include <getopt.h>
#include <signal.h>

#include "base/err.h"
#include "base/parse.h"
#include "check/cases.h"

enum { EXIT_BROKEN = 1, EXIT_USAGE = 64 };

static const char usage[] =
    "Usage: prong-check [OPTION…] COMMAND [ARG…]\n"
    "Tells whether COMMAND, a program that offers kernels to Prong, keeps to the protocol.\n"
    "\n"
    "  --kernel NAME     only this kernel; needed when the program leaves it to its manifest to\n"
    "                    describe what it has\n"
    "  --params JSON     parameters, such as '{\"n\":3}', instead of those of the examples,\n"
    "                    for the kernels that have them\n"
    "  --timeout SECONDS to wait for READY and for answers, at most (30)\n"
    "  --slow N          let everything take N times as long as the protocol allows (1)\n"
    "  --verbose         show every frame and what the program writes\n"
    "  --help            this\n"
    "\n"
    "The output is TAP: one line for each rule. Exit status: 0, all are kept; 1, some are not.\n";

static _Noreturn void refuse(const char *why)
{
    (void)fprintf(stderr, "prong-check: %s\n%s", why, usage);
    exit(EXIT_USAGE);
}

static json_t *read_params(const char *text)
{
    json_t *params = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(params))
        refuse("--params takes a JSON object.");
    return params;
}

static uint64_t read_slow(const char *text)
{
    uint64_t slow;

    if (parse_u64(text, &slow) < 0 || slow < 1 || slow > 1000)
        refuse("--slow takes a number from 1 to 1000.");
    return slow;
}

static void read_option(int option, struct bench_options *o)
{
    switch (option) {
    case 'k':
        o->only = optarg;
        return;
    case 'p':
        json_decref(o->params);
        o->params = read_params(optarg);
        return;
    case 't':
        if (parse_seconds_ns(optarg, &o->timeout_ns) < 0)
            refuse("--timeout takes seconds.");
        return;
    case 's':
        o->slow = read_slow(optarg);
        return;
    case 'v':
        o->is_verbose = true;
        return;
    case 'h':
        (void)printf("%s", usage);
        exit(0);
    default:
        refuse("There is no such option, or it needs a value.");
    }
}

static struct bench_options read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"kernel", required_argument, NULL, 'k'},
        {"params", required_argument, NULL, 'p'},
        {"timeout", required_argument, NULL, 't'},
        {"slow", required_argument, NULL, 's'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench_options o = {.timeout_ns = 30 * CLOCK_NS_PER_S, .slow = 1};
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) /* + : up to COMMAND */
        read_option(option, &o);
    if (optind == argc)
        refuse("It takes a command.");
    o.argv = argv + optind;
    return o;
}

/* ---- telling ---- */

struct tally {
    unsigned count, broken;
};

static void tell(struct tally *t, const char *kernel, const char *name, int rc, const char *why)
{
    t->count++;
    t->broken += rc < 0;
    (void)printf("%s %u - %s%s%s", rc < 0 ? "not ok" : "ok", t->count, kernel == NULL ? "" : kernel,
                 kernel == NULL ? "" : ": ", name);
    (void)printf(rc > 0 ? " # SKIP %s\n" : "\n", why);
    if (rc < 0)
        (void)printf("# %s\n", why);
    (void)fflush(stdout);
}

/* A program that has failed may be in any state, so the next case gets a new one. */
static void run_case(struct bench *b, struct tally *t, const struct check_case *c,
                     const struct prong_kernel *k)
{
    int rc = bench_need(b);

    if (rc == 0)
        rc = c->run(b, k);
    if (rc < 0)
        bench_drop(b);
    tell(t, k == NULL ? NULL : k->name, c->name, rc, b->why);
}

static void run_kernel_cases(struct bench *b, struct tally *t)
{
    bool has_any = false;

    for (uint32_t i = 0; i < b->kernel_count; i++) {
        const struct prong_kernel *k = &b->kernels[i]->kernel;

        if (b->options.only != NULL && strcmp(b->options.only, k->name) != 0)
            continue;
        has_any = true;
        for (size_t n = 0; n < check_kernel_case_count; n++)
            run_case(b, t, &check_kernel_cases[n], k);
    }
    if (!has_any)
        tell(t, NULL, "runs a kernel", b->options.only == NULL ? 1 : -1,
             b->options.only == NULL ? "READY describes none; say --kernel NAME"
                                     : "There is no such kernel.");
}

/* A kernel that READY leaves to the manifest is known by its name alone. */
static void add_undescribed(struct bench *b)
{
    struct declared *d = declared_new();

    CHECK(d != NULL);
    d->kernel.name = b->options.only;
    b->kernels[b->kernel_count++] = d;
}

static int check(struct bench *b)
{
    struct tally t = {0};
    int rc = bench_start(b);

    tell(&t, NULL, "says READY in time, with sound descriptions", rc, b->why);
    if (rc == 0 && b->kernel_count == 0 && b->options.only != NULL)
        add_undescribed(b);
    if (rc == 0) {
        run_kernel_cases(b, &t);
        for (size_t i = 0; i < check_frame_case_count; i++)
            run_case(b, &t, &check_frame_cases[i], NULL);
        for (size_t i = 0; i < check_end_case_count; i++) {
            run_case(b, &t, &check_end_cases[i], NULL);
            bench_drop(b);
        }
    }
    (void)printf("1..%u\n", t.count);
    return t.broken == 0 ? 0 : EXIT_BROKEN;
}

int main(int argc, char **argv)
{
    struct bench_options options = read_options(argc, argv);
    struct bench b;
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    bench_init(&b, &options);
    status = check(&b);
    bench_release(&b);
    json_decref(options.params);
    return status;
}
