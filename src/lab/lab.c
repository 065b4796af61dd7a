#include "lab/lab.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "lab/background.h"
#include "lab/found.h"
#include "thread/thread.h"
#include "jobs/params.h"

enum {
    LOOK_MS = 200, /* between two looks whether anybody still wants it */
    LETTERS_MAX = 8,
};

static const char kernel_name[] = "lab";

struct lab {
    struct sched *sched;
    struct mailbox mailbox;
    struct thread thread;
    _Atomic bool is_busy;
    bool is_quitting;            /* the thread's own */
    struct mail quit, run_ended; /* besides those who ask */
};

/* A lab under way; the thread's own. */
struct course {
    struct lab *lab;
    struct lab_ask *ask;
    struct lab_spec spec;
    struct lab_plan plan;
    struct lab_figures figures[LAB_MODE_COUNT];
    struct blob *answers[LAB_MODE_COUNT][LAB_REPEAT_MAX];
    struct background background;
    struct lab_facts facts;
    unsigned left_out, done;
    char python[32]; /* its version; "": none was found */
    char why_no_python[160];
};

/* ---- one run ---- */

static void run_ended(struct job *job)
{
    struct lab *l = job->owner;

    mailbox_post(&l->mailbox, &l->run_ended);
}

/* Waits for the end of the run, which may be made to end because nobody wants it. */
static void await(struct course *c, const struct job *job)
{
    struct lab *l = c->lab;
    bool has_ended = false, is_cancelled = false;

    while (!has_ended) {
        struct mail_list letters = STAILQ_HEAD_INITIALIZER(letters);
        const struct mail *letter;
        (void)mailbox_take(&l->mailbox, &letters, LETTERS_MAX,
                           clock_now_ns() + LOOK_MS * CLOCK_NS_PER_MS);
        STAILQ_FOREACH (letter, &letters, link) {
            has_ended = has_ended || letter == &l->run_ended;
            l->is_quitting = l->is_quitting || letter == &l->quit;
        }
        if (has_ended || is_cancelled || c->ask->is_gone == NULL || !c->ask->is_gone(c->ask))
            continue;
        is_cancelled = true;
        sched_cancel(l->sched, job->id);
    }
}

/* NULL when the kernel takes no such parameters, so it is another, or there is no memory. */
static struct job *make_job(struct course *c, const struct kernel *kernel, json_t *object)
{
    struct job *job = job_new(kernel, id_new());
    struct params_problem problem;
    struct params_given given;
    struct params params;

    if (job == NULL)
        return NULL;
    params_init(&params);
    params_given_init(&given, kernel->about);
    if (params_give_object(&given, kernel->about, object, &problem) == 0 &&
        params_encode(&params, kernel->about, &given, false, &problem) == 0)
        job_take_params(job, &params);
    params_given_release(&given);
    params_release(&params);
    if (job->params == NULL)
        return job_free(job);
    job->priority = QUEUE_NORMAL;
    job->client = c->ask->client;
    job->accepted_ns = clock_now_ns();
    job->deadline_ns = c->ask->deadline_ns;
    job->socket = c->ask->socket;
    memcpy(job->trace_id, c->ask->trace_id, sizeof(job->trace_id));
    job->done = run_ended;
    job->owner = c->lab;
    return job;
}

static struct job *make(struct course *c, const char *experiment, const char *mode, uint64_t n)
{
    const struct kernel *kernel = catalog_find(sched_catalog(c->lab->sched), kernel_name);
    json_t *object = json_pack("{s:s, s:s, s:I, s:i}", "experiment", experiment, "mode", mode, "n",
                               (json_int_t)n, "workers", (int)c->spec.workers);
    struct job *job = kernel == NULL ? NULL : make_job(c, kernel, object);

    json_decref(object);
    (void)kernel_drop(kernel);
    return job;
}

static bool stop(struct course *c, enum lab_outcome outcome)
{
    c->ask->outcome = outcome;
    return false;
}

/* Runs it and waits. The ended job is the caller's, whose outcome need not be JOB_OK; NULL after stop(). */
static struct job *run(struct course *c, const char *experiment, const char *mode, uint64_t n)
{
    struct job *job = make(c, experiment, mode, n);
    struct background_sample before;

    if (job == NULL) {
        (void)stop(c, LAB_NO_KERNEL);
        return NULL;
    }
    before = background_sample();
    if (sched_submit(c->lab->sched, job) == 0)
        await(c, job);
    background_add(&c->background, before, background_sample(), job->receipt.cpu_ns);
    return job;
}

/* ---- all of them ---- */

/* Which python3 there is, if any is asked for. */
static bool find_python(struct course *c)
{
    struct job *job;
    json_t *facts, *version;

    if ((c->spec.modes & LAB_PYTHON) == 0)
        return true;
    job = run(c, "facts", lab_mode_names[LAB_SEQUENTIAL], 1);
    if (job == NULL)
        return false;
    if (job->outcome != JOB_OK && job->outcome != JOB_FAILED) {
        c->ask->job = job;
        return stop(c, LAB_JOB_ENDED);
    }
    facts =
        job->outcome == JOB_OK ? json_loadb(job->result->data, job->result->bytes, 0, NULL) : NULL;
    version = json_object_get(facts, "python");
    if (json_is_string(version))
        (void)snprintf(c->python, sizeof(c->python), "%s", json_string_value(version));
    c->facts.python_has_lock = json_is_true(json_object_get(facts, "has_lock"));
    (void)snprintf(c->why_no_python, sizeof(c->why_no_python), "%.150s",
                   job->outcome == JOB_FAILED ? job->text : "There is no python3 on this machine.");
    json_decref(facts);
    (void)job_free(job);
    return true;
}

static bool leave_out_python(struct course *c)
{
    if (*c->python != '\0')
        return true;
    c->left_out = c->spec.modes & LAB_PYTHON;
    c->spec.modes &= ~LAB_PYTHON;
    if (c->spec.modes != 0)
        return true;
    (void)snprintf(c->ask->text, sizeof(c->ask->text), "%s", c->why_no_python);
    return stop(c, LAB_NO_PYTHON);
}

static struct lab_findings findings(const struct course *c, const struct lab_found *typical)
{
    return (struct lab_findings) {.spec = &c->spec,
                                  .plan = &c->plan,
                                  .all = c->figures,
                                  .typical = typical,
                                  .facts = &c->facts,
                                  .python = *c->python == '\0' ? NULL : c->python,
                                  .why_no_python = c->why_no_python,
                                  .left_out = c->left_out};
}

static bool keep(struct course *c, const struct lab_step *step, struct job *job)
{
    struct lab_figures *f = &c->figures[step->mode];
    struct lab_news news = {.mode = step->mode, .repeat = step->repeat, .total = c->plan.count};
    struct lab_found found;

    if (lab_found_read(job->result->data, job->result->bytes, &found) < 0)
        return stop(c, LAB_ODD);
    json_decref(found.root);
    if (step->repeat == 0) {
        f->warm_s = found.wall_s;
    } else {
        c->answers[step->mode][f->count] = take_ptr(job->result);
        lab_figures_add(f, &found);
    }
    news.wall_s = found.wall_s;
    news.cpu_s = found.cpu_s;
    news.done = ++c->done;
    if (c->ask->ran != NULL)
        c->ask->ran(c->ask, &news);
    return true;
}

static bool run_step(struct course *c, const struct lab_step *step)
{
    struct job *job = run(c, lab_experiment_names[c->spec.experiment], lab_mode_names[step->mode],
                          step->repeat == 0 ? lab_warm_n(&c->spec) : c->spec.n);
    bool ok;

    if (job == NULL)
        return false;
    if (job->outcome != JOB_OK) {
        c->ask->job = job;
        return stop(c, LAB_JOB_ENDED);
    }
    ok = keep(c, step, job);
    (void)job_free(job);
    return ok;
}

/* Better now than after the minutes that it may take. */
static bool has_time(struct course *c)
{
    double needed_s = lab_predict_s(&c->spec, c->figures);
    uint64_t now_ns = clock_now_ns();
    double left_s = c->ask->deadline_ns <= now_ns
                        ? 0
                        : (double)(c->ask->deadline_ns - now_ns) / (double)CLOCK_NS_PER_S;

    if (needed_s <= left_s)
        return true;
    (void)snprintf(c->ask->text, sizeof(c->ask->text),
                   "By its warm-ups this takes about %.0f s, and it may take %.0f s. Ask for a "
                   "smaller n, fewer repeats or fewer modes, or raise the server's --lab-timeout.",
                   needed_s, (double)c->ask->limit_ns / (double)CLOCK_NS_PER_S);
    return stop(c, LAB_TOO_LONG);
}

static bool run_all(struct course *c)
{
    struct lab_findings f;

    if (!find_python(c) || !leave_out_python(c))
        return false;
    lab_plan_make(&c->spec, &c->plan);
    f = findings(c, NULL);
    if (c->ask->planned != NULL)
        c->ask->planned(c->ask, lab_plan_json(&f));
    for (unsigned i = 0; i < c->plan.count; i++) {
        bool is_first_counted = c->plan.steps[i].repeat == 1 && c->plan.steps[i - 1].repeat == 0;
        if ((is_first_counted && !has_time(c)) || !run_step(c, &c->plan.steps[i]))
            return false;
    }
    return true;
}

/* ---- the end ---- */

static void read_typical(const struct course *c, struct lab_found typical[LAB_MODE_COUNT])
{
    for (int mode = 0; mode < LAB_MODE_COUNT; mode++) {
        const struct blob *answer;
        if (c->figures[mode].count == 0)
            continue;
        answer = c->answers[mode][lab_typical(&c->figures[mode])];
        CHECK(lab_found_read(answer->data, answer->bytes, &typical[mode]) == 0 ||
              typical[mode].root == NULL);
    }
}

static void report(struct course *c)
{
    struct lab_found typical[LAB_MODE_COUNT] = {{0}};
    struct lab_findings f;

    read_typical(c, typical);
    c->facts.background_cores = background_cores(&c->background);
    f = findings(c, typical);
    c->ask->report = lab_report_json(&f);
    c->ask->outcome = c->ask->report == NULL ? LAB_ODD : LAB_DONE;
    for (int mode = 0; mode < LAB_MODE_COUNT; mode++)
        json_decref(typical[mode].root);
}

static double usable_cores(void)
{
    struct machine_facts facts;

    machine_facts(&facts);
    return facts.quota > 0 ? fmin(facts.quota, facts.affinity) : facts.affinity;
}

static void forget(struct course *c)
{
    for (int mode = 0; mode < LAB_MODE_COUNT; mode++) {
        for (unsigned i = 0; i < LAB_REPEAT_MAX; i++)
            (void)blob_drop(c->answers[mode][i]);
    }
    free(c);
}

static void serve(struct lab *l, struct lab_ask *ask)
{
    struct course *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        ask->outcome = LAB_ODD;
    } else {
        c->lab = l;
        c->ask = ask;
        c->spec = ask->spec;
        if (!c->spec.has_seed)
            c->spec.seed = 1 + (uint32_t)(id_random() % LAB_SEED_MAX);
        c->facts.cores = usable_cores();
        if (run_all(c))
            report(c);
        forget(c);
    }
    lab_give_back(l);
    ask->done(ask);
}

static void *live(void *arg)
{
    struct lab *l = arg;

    while (!l->is_quitting) {
        struct mail_list letters = STAILQ_HEAD_INITIALIZER(letters);
        struct mail *letter;
        (void)mailbox_take(&l->mailbox, &letters, 1, CLOCK_NEVER);
        letter = STAILQ_FIRST(&letters);
        if (letter == &l->quit)
            l->is_quitting = true;
        else if (letter != NULL)
            serve(l, CONTAINER_OF(letter, struct lab_ask, letter));
    }
    return NULL;
}

int lab_start(struct lab **ret, struct sched *sched, struct err *err)
{
    struct lab *l = calloc(1, sizeof(*l));
    int rc;

    CHECK(l != NULL);
    l->sched = sched;
    mailbox_init(&l->mailbox);
    rc = thread_start(&l->thread, "lab", live, l);
    if (rc < 0) {
        mailbox_release(&l->mailbox);
        free(l);
        return err_set(err, rc, "The thread of the lab cannot be started: %s.", strerror(-rc));
    }
    *ret = l;
    return 0;
}

bool lab_reserve(struct lab *l)
{
    return !atomic_exchange(&l->is_busy, true);
}

void lab_run(struct lab *l, struct lab_ask *a)
{
    mailbox_post(&l->mailbox, &a->letter);
}

void lab_give_back(struct lab *l)
{
    atomic_store(&l->is_busy, false);
}

struct lab *lab_stop(struct lab *l)
{
    if (l == NULL)
        return NULL;
    mailbox_post(&l->mailbox, &l->quit);
    thread_join(&l->thread);
    mailbox_release(&l->mailbox);
    free(l);
    return NULL;
}
