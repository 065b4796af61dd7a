/*
 * F6, the roof: plugs the parts together, waits for signals, and takes them apart in the one order that
 * libmicrohttpd allows.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <malloc.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "api/api.h"
#include "api/status.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/parse.h"
#include "client.h"
#include "config.h"
#include "durable/state.h"
#include "healthcheck.h"
#include "http/access_log.h"
#include "http/listen.h"
#include "ipc/layers.h"
#include "places.h"
#include "state/metrics.h"

enum {
    EXIT_USAGE = 64,
    EXIT_UNAVAILABLE = 69,
    EXIT_FORCED = 2,
    READY_S = 15,
    SETTLE_S = 10, /* for the store to keep how jobs ended */
    ANSWER_S = 5,  /* for answers that are ready to be sent */
    STORE_RETRY_MS = 20,
    STORE_WAIT_S = 10, /* longer than the server before may drain */
    LEAVE_S = 2,       /* for who was let in just before an inherited socket was left */
    FD_RESERVE = 512,
    THREADS_MIN = 2, /* one may be busy with a large body, or share its core with a worker */
    LARGE_BLOCK_BYTES = 256 << 10,
    ONLY_LABEL = 0, /* of METRIC_STORE_COMMITS */
};

struct prong {
    struct config config;
    struct places places;
    struct api api;
    struct server *server;
    struct access_log *access_log;
    struct durable_state *state; /* NULL: it is kept in memory alone */
    int listen_fd;               /* inherited, or -1 */
    int signals;
};

static void print_version(void)
{
    printf("prong %s\nlibmicrohttpd %s, jansson %s\n", PRONG_VERSION, MHD_get_version(),
           jansson_version_str());
}

static struct sched_config sched_config_of(const struct prong *p)
{
    const struct config *c = &p->config;

    return (struct sched_config) {
        .pool = {.zygote = p->places.zygote,
                 .kernels = c->kernels,
                 .builtins = c->builtins,
                 .log_level = c->log_level,
                 .log_format = c->log_format,
                 .enable_fault_kernel = c->enable_fault_kernel,
                 .sandbox = c->sandbox,
                 .sandbox_user = c->sandbox_user,
                 .sandbox_without = c->sandbox_without,
                 .worker_bytes_max = c->worker_memory,
                 .workers = {(unsigned)c->workers, (unsigned)c->express},
                 .result_bytes_max = c->result_max,
                 .slab_bytes_max = MAX(c->raw_max, c->result_max) * 2,
                 .worker_tasks_max = c->worker_tasks,
                 .worker_age_ns_max = c->worker_age_ns,
                 .worker_rss_grow_bytes_max = c->worker_grow,
                 .nice = (int)c->worker_nice},
        .retry = {.chunk_retries = (unsigned)c->retries,
                  .poison_deaths = (unsigned)c->poison_deaths,
                  .poison_ttl_ns = c->poison_ttl_ns,
                  .brake_deaths = (unsigned)c->brake_deaths,
                  .brake_window_ns = c->brake_window_ns,
                  .brake_first_ns = CLOCK_NS_PER_S,
                  .brake_max_ns = 60 * CLOCK_NS_PER_S},
        .queue_max = c->queue_max,
    };
}

static struct server_config server_config_of(struct prong *p)
{
    const struct config *c = &p->config;

    return (struct server_config) {
        .listen = c->listen,
        .listen_fd = p->listen_fd,
        .insecure = c->insecure,
        .threads = (unsigned)c->threads,
        .connections = (unsigned)c->connections,
        .www = c->www,
        .slow = {.header_ns = c->header_ns,
                 .body_ns = c->body_ns,
                 .answer_ns = c->answer_ns,
                 .idle_ns = c->idle_ns,
                 .bytes_per_s = c->slowest},
        .clients = {.connections = (unsigned)c->address_connections,
                    .requests_per_s = (unsigned)c->address_requests,
                    .burst = (unsigned)(c->address_burst > 0 ? c->address_burst
                                                             : 2 * c->address_requests)},
        .bodies_max = c->bodies_max,
        .target_bytes_max = (unsigned)c->target_max,
        .header_bytes_max = (unsigned)c->header_max,
        .headers_max = (unsigned)c->headers_max,
        .hosts = c->hosts,
        .origins = c->origins,
        .token_file = c->token_file,
        .tls_cert = c->tls_cert,
        .tls_key = c->tls_key,
        .access_log = p->access_log,
        .router = api_router(),
        .app = &p->api,
    };
}

static int open_access_log(struct prong *p, struct err *err)
{
    const struct config *c = &p->config;
    enum access_log_format format;

    if (access_log_format_parse(c->access_log_format, &format) < 0)
        return err_set(err, -EINVAL, "--access-log-format must be combined or json, not '%s'.",
                       c->access_log_format);
    return c->access_log == NULL ? 0 : access_log_new(&p->access_log, c->access_log, format, err);
}

static void count_commit(uint64_t took_ns, size_t writes)
{
    metrics_observe_ns(METRIC_STORE_COMMITS, ONLY_LABEL, took_ns);
    metrics_add(METRIC_STORE_WRITES, 0, writes);
}

static struct store_config store_config_of(const struct config *c, const char *engine)
{
    return (struct store_config) {.engine = engine,
                                  .folder = c->data,
                                  .committed = count_commit,
                                  .limits = {.queued_max = c->jobs_queue,
                                             .queued_bytes_max = c->jobs_bytes,
                                             .results_bytes_max = c->results_max,
                                             .result_keep_us = c->results_keep_ns / CLOCK_NS_PER_US,
                                             .records_max = c->jobs_kept,
                                             .record_keep_us = c->jobs_keep_ns / CLOCK_NS_PER_US}};
}

/* False when it is told to end meanwhile. */
static bool pause_before_retry(const struct prong *p)
{
    struct pollfd signals = {.fd = p->signals, .events = POLLIN};

    return poll(&signals, 1, STORE_RETRY_MS) == 0;
}

/* Whoever leaves its listening socket to us still has its store until it has ended; clients wait in the socket. */
static int open_store_after_others(struct prong *p, const struct store_config *config,
                                   struct err *err)
{
    uint64_t deadline_ns = clock_now_ns() + p->config.drain_ns + STORE_WAIT_S * CLOCK_NS_PER_S;
    int rc = store_open(&p->api.store, config, err);

    if (rc == -EBUSY && p->listen_fd >= 0)
        log_info("waiting for the server before this one to end");
    while (rc == -EBUSY && p->listen_fd >= 0 && clock_now_ns() < deadline_ns &&
           pause_before_retry(p))
        rc = store_open(&p->api.store, config, err);
    return rc;
}

static int open_store(struct prong *p, struct err *err)
{
    struct config *c = &p->config;
    char engine[PATH_MAX + 16];
    struct store_config config;
    int rc = 0;

    if (c->store == NULL || strcmp(c->store, "memory") != 0)
        rc = places_find_data(&p->places, &c->data, err);
    if (rc < 0)
        return rc;
    (void)snprintf(engine, sizeof(engine), "sqlite:%s/prong.db", c->data == NULL ? "" : c->data);
    config = store_config_of(c, c->store == NULL ? engine : c->store);
    CHECK(metrics_label(METRIC_STORE_COMMITS,
                        strcmp(config.engine, "memory") == 0 ? "memory" : "sqlite") == ONLY_LABEL);
    return open_store_after_others(p, &config, err);
}

static bool keeps_state(const struct config *c)
{
    return strcmp(c->state_durability, "commit") == 0;
}

static int start_durable(struct prong *p, struct err *err)
{
    return durable_start(&p->api.durable,
                         &(struct durable_config) {.sched = p->api.sched,
                                                   .store = p->api.store,
                                                   .workers = (unsigned)p->config.workers,
                                                   .results_bytes_max = p->config.results_max,
                                                   .backoff_ns = p->config.job_backoff_ns},
                         err);
}

static int prepare_fetch(struct prong *p, struct err *err)
{
    const struct config *c = &p->config;

    return fetch_new(&p->api.fetch,
                     &(struct fetch_config) {.batches_max = (unsigned)c->fetch_batches,
                                             .transfers_max = (unsigned)c->fetch_connections,
                                             .per_host = (unsigned)c->fetch_per_host,
                                             .bytes_max = c->fetch_memory,
                                             .allow = c->fetch_allow,
                                             .ports = c->fetch_ports,
                                             .agent = "prong/" PRONG_VERSION},
                     err);
}

static int start_live(struct prong *p, struct err *err)
{
    return live_start(&p->api.live,
                      &(struct live_config) {.sched = p->api.sched,
                                             .store = p->api.store,
                                             .streams_max = (unsigned)p->config.event_streams,
                                             .status = status_text,
                                             .owner = &p->api},
                      err);
}

static int start(struct prong *p, struct err *err)
{
    struct sched_config sched_config = sched_config_of(p);
    struct server_config server_config;
    int rc = open_access_log(p, err);

    if (rc == 0)
        rc = prepare_fetch(p, err);
    if (rc == 0)
        rc = open_store(p, err);
    if (rc == 0 && keeps_state(&p->config))
        rc = durable_state_start(&p->state, p->api.kv, p->api.store, err);
    if (rc == 0)
        rc = sched_start(&p->api.sched, &sched_config, err);
    if (rc < 0)
        return rc;
    rc = sched_wait_ready(p->api.sched, clock_now_ns() + READY_S * CLOCK_NS_PER_S, err);
    if (rc == 0)
        rc = start_durable(p, err);
    if (rc == 0)
        rc = lab_start(&p->api.lab, p->api.sched, err);
    if (rc == 0)
        rc = start_live(p, err);
    if (rc < 0)
        return rc;
    server_config = server_config_of(p);
    return server_start(&p->server, &server_config, err);
}

/* Options of curl without which it gets no answer. */
static void write_curl(const struct config *c, char *out, size_t capacity)
{
    int n = snprintf(out, capacity, "curl");

    if (c->tls_cert != NULL && n > 0 && (size_t)n < capacity)
        n += snprintf(out + n, capacity - (size_t)n, " --cacert %s", c->tls_cert);
    if (c->token_file != NULL && n > 0 && (size_t)n < capacity)
        (void)snprintf(out + n, capacity - (size_t)n, " -H \"Authorization: Bearer $(cat %s)\"",
                       c->token_file);
}

static void say_where(const struct prong *p)
{
    const char *url = server_url(p->server);
    char curl[2 * PATH_MAX];

    log_info("listening on %s with %llu workers and %llu express, %llu threads", url,
             (unsigned long long)p->config.workers, (unsigned long long)p->config.express,
             (unsigned long long)p->config.threads);
    if (!p->config.hints)
        return;
    write_curl(&p->config, curl, sizeof(curl));
    fprintf(stderr,
            "\nTry, in another terminal (or open %s in a browser):\n\n"
            "  %s '%s/compute/primes?limit=10000000'\n"
            "  %s -i --json '{\"start\":0,\"end\":100000000}' %s/compute/sum\n"
            "  %s -o set.png '%s/compute/mandelbrot?width=1600&height=1200'\n\n"
            "Ctrl-C ends it.\n\n",
            url, curl, url, curl, url, curl, url);
}

/* What SIGHUP asks for, when it was sent by somebody. */
static void renew(struct prong *p)
{
    if (p->access_log != NULL)
        access_log_reopen(p->access_log);
    log_info("SIGHUP: log files are opened and kernels loaded anew");
    sched_reload_soon(p->api.sched);
}

/* Until one that ends it: a SIGHUP of the system's own says that the terminal has gone. */
static void wait_signal(struct prong *p)
{
    struct signalfd_siginfo info;

    for (;;) {
        if (read(p->signals, &info, sizeof(info)) != sizeof(info))
            continue;
        if (info.ssi_signo != SIGHUP || info.ssi_code == SI_KERNEL)
            return;
        renew(p);
    }
}

/* The zygote and its workers die with this process. */
static void end_at_once(int signal)
{
    (void)signal;
    _exit(EXIT_FORCED);
}

/* From now on a SIGINT is a second one. */
static void arm_second_sigint(void)
{
    struct sigaction action = {.sa_handler = end_at_once};
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

/* Clients that do not take their answers are cut off. What waits for a disk that does not answer cannot be ended: it
 * was never acknowledged, and goes with the process. */
static void end_answers(struct prong *p)
{
    uint64_t deadline_ns = clock_now_ns() + ANSWER_S * CLOCK_NS_PER_S;
    size_t left = server_wait_parked(p->server, deadline_ns);

    if (left > 0) {
        log_warning("%zu clients do not take their answers and are cut off", left);
        server_cut(p->server);
        left = server_wait_parked(p->server, clock_now_ns() + ANSWER_S * CLOCK_NS_PER_S);
    }
    if (left > 0) {
        log_error("%zu requests still wait for the disk: ending without an answer to them", left);
        _exit(EXIT_FAILURE);
    }
    server_wait_idle(p->server, deadline_ns);
    server_wait_taken(p->server, deadline_ns);
}

/*
 * Nothing may be suspended when libmicrohttpd's daemon is stopped, and no thread may resume anything while
 * it is taken apart; so: refuse what is new, end what runs, wait for the answers to leave, end the
 * thread that resumes, and only then the server.
 */
static void stop(struct prong *p)
{
    uint64_t deadline_ns = clock_now_ns() + p->config.drain_ns;
    size_t left;

    if (p->server != NULL)
        server_drain(p->server, deadline_ns);
    if (p->api.live != NULL)
        live_drain(p->api.live);
    if (p->api.durable != NULL)
        durable_drain(p->api.durable);
    if (p->api.sched != NULL) {
        sched_drain(p->api.sched);
        left = fetch_drain(p->api.fetch, deadline_ns);
        if (left > 0)
            log_warning("%zu requests to fetch pages were not done in time and are stopped", left);
        left = sched_wait_idle(p->api.sched, deadline_ns);
        if (left > 0)
            log_warning("%zu requests were not done in time and are cancelled", left);
        sched_stop(p->api.sched);
    }
    p->api.fetch = fetch_free(p->api.fetch); /* no job of its pages is out any more */
    if (p->api.durable != NULL &&
        !durable_stop(p->api.durable, clock_now_ns() + SETTLE_S * CLOCK_NS_PER_S)) {
        log_error("the disk does not take how jobs ended: ending without it, so they run again");
        _exit(EXIT_FAILURE);
    }
    if (p->server != NULL) {
        end_answers(p);
        p->api.lab = lab_stop(p->api.lab);
        p->server = server_stop(p->server);
    }
    p->api.lab = lab_stop(p->api.lab);
    live_stop(p->api.live);
    p->access_log = access_log_free(p->access_log);
    p->state = durable_state_stop(p->state);
    /* The store's thread may still be posting its last letter to durable. */
    p->api.store = store_close(p->api.store);
    p->api.durable = durable_free(p->api.durable);
    p->api.sched = sched_free(p->api.sched);
    p->api.cache = cache_free(p->api.cache);
    p->api.openapi = openapi_free(p->api.openapi);
    p->api.kv = kv_free(p->api.kv);
    p->api.live = live_free(p->api.live);
}

static int open_signals(void)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int serve(struct prong *p)
{
    struct err err = {""};
    int rc = start(p, &err);

    if (rc < 0) {
        log_error("%s", err.text);
        stop(p);
        return rc == -EADDRINUSE || rc == -EADDRNOTAVAIL || rc == -EACCES ? EXIT_UNAVAILABLE
               : rc == -EINVAL || rc == -ENOENT                           ? EXIT_USAGE
                                                                          : EXIT_FAILURE;
    }
    say_where(p);
    wait_signal(p);
    server_leave(p->server, clock_now_ns() + MIN(p->config.drain_ns, LEAVE_S * CLOCK_NS_PER_S));
    live_drain(p->api.live);
    durable_drain(p->api.durable);
    sched_drain(p->api.sched); /* from here on /readyz says no */
    log_info("ending: at most %.0f s for what runs; once more Ctrl-C ends it at once",
             (double)p->config.drain_ns / (double)CLOCK_NS_PER_S);
    arm_second_sigint();
    stop(p);
    return EXIT_SUCCESS;
}

/* The zygote reads them again; here they are refused before anything is started. */
static int check_sandbox(const struct config *c, struct err *err)
{
    enum layers_mode mode;
    struct err why = {""};
    uint32_t without;

    if (layers_mode_parse(c->sandbox, &mode, &why) < 0)
        return err_set(err, -EINVAL, "--sandbox: %s", why.text);
    if (c->sandbox_without != NULL && layers_parse(c->sandbox_without, &without, &why) < 0)
        return err_set(err, -EINVAL, "--sandbox-without: %s", why.text);
    return 0;
}

static int prepare(struct prong *p, struct err *err)
{
    enum log_level level;
    enum log_format format;
    int rc;

    if (log_level_parse(p->config.log_level, &level) < 0)
        return err_set(err, -EINVAL, "--log-level must be debug, info, warning or error, not '%s'.",
                       p->config.log_level);
    if (log_format_parse(p->config.log_format, &format) < 0)
        return err_set(err, -EINVAL, "--log-format must be auto, logfmt or json, not '%s'.",
                       p->config.log_format);
    if (!keeps_state(&p->config) && strcmp(p->config.state_durability, "memory") != 0)
        return err_set(err, -EINVAL, "--state-durability must be commit or memory, not '%s'.",
                       p->config.state_durability);
    log_init("prong", level);
    log_set_format(format);
    rc = check_sandbox(&p->config, err);
    if (rc == 0)
        rc = listen_inherit(&p->listen_fd, err);
    if (rc < 0)
        return rc;
    if (p->listen_fd >= 0)
        log_info("--listen is not used: a socket was given in LISTEN_FDS");
    rc = places_find(&p->places, &p->config.kernels, &p->config.builtins, &p->config.www, err);
    if (rc < 0)
        return rc;
    if (p->config.workers == 0)
        p->config.workers = machine_cores();
    if (p->config.threads == 0)
        p->config.threads = MAX(machine_cores() / 2, (unsigned)THREADS_MIN);
    p->config.threads = MIN(p->config.threads, (uint64_t)64);
    p->config.workers = MIN(p->config.workers, (uint64_t)240);
    if (fd_limit_raise(p->config.connections + FD_RESERVE) < p->config.connections + FD_RESERVE)
        log_warning("the limit of open files (ulimit -n) is too low for %llu connections",
                    (unsigned long long)p->config.connections);
    p->api = (struct api) {
        .config = {.timeout_ns = p->config.timeout_ns,
                   .json_bytes_max = p->config.json_max,
                   .raw_bytes_max = p->config.raw_max,
                   .sandbox = p->config.sandbox,
                   .sandbox_user = p->config.sandbox_user,
                   .lab_timeout_ns = p->config.lab_timeout_ns,
                   .http_version = MHD_get_version(),
                   .store_version = sqlite3_libversion(),
                   .wants_token = p->config.token_file != NULL,
                   .job_timeout_ns = p->config.job_timeout_ns,
                   .job_attempts = (unsigned)p->config.job_attempts},
        .kv = kv_new((struct kv_limits) {.keys_max = p->config.state_keys,
                                         .bytes_max = p->config.state_max}),
        .started_ns = clock_now_ns(),
        .openapi = openapi_new(),
    };
    CHECK(p->api.kv != NULL && p->api.openapi != NULL);
    machine_facts(&p->api.machine);
    if (p->config.cache_max > 0)
        p->api.cache = cache_new(&(struct cache_config) {.bytes_max = p->config.cache_max,
                                                         .ttl_ns = p->config.cache_ttl_ns});
    metrics_set(METRIC_BUILD_INFO, metrics_label(METRIC_BUILD_INFO, PRONG_VERSION), 1);
    metrics_set(METRIC_START_TIME, 0, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S));
    return 0;
}

int main(int argc, char **argv)
{
    static struct prong p;
    struct err err = {""};
    char wants;
    int rc;

    if (argc > 1 && client_is_asked(argv[1]))
        return client_become(argv);
    rc = config_read(&p.config, argc, argv, &wants, &err);
    if (rc < 0) {
        fprintf(stderr, "prong: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (wants == 'h')
        config_help();
    else if (wants == 'v')
        print_version();
    if (wants != 0)
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (p.config.healthcheck)
        return healthcheck(p.config.listen, p.config.tls_cert != NULL) == 0 ? EXIT_SUCCESS
                                                                            : EXIT_FAILURE;
    (void)umask(077);
    /* Large blocks go back to the system when freed; by default the threshold rises with the first. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    p.signals = open_signals();
    rc = prepare(&p, &err);
    if (rc < 0) {
        fprintf(stderr, "prong: %s\n", err.text);
        return EXIT_USAGE;
    }
    return serve(&p);
}
