#include "experiment/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/clock.h"

/* ---- lanes ---- */

/* Each two become one, so that the whole time stays in view. */
static void halve(struct lane *lane)
{
    for (uint32_t i = 0; i < CREW_SPANS_MAX / 2; i++)
        lane->spans[i] =
            (struct crew_span) {lane->spans[2 * i].start_ns, lane->spans[2 * i + 1].end_ns};
    lane->span_count = CREW_SPANS_MAX / 2;
    lane->spans_per_entry *= 2;
    lane->spans_in_last = lane->spans_per_entry;
}

void lane_begin(struct lane *lane)
{
    lane->open_ns = clock_now_ns();
}

static void close_at(struct lane *lane, uint64_t end_ns)
{
    struct crew_span span = {lane->open_ns, end_ns};

    lane->open_ns = 0;
    if (lane->span_count > 0 && lane->spans_in_last < lane->spans_per_entry) {
        lane->spans[lane->span_count - 1].end_ns = span.end_ns;
        lane->spans_in_last++;
        return;
    }
    if (lane->span_count == CREW_SPANS_MAX)
        halve(lane);
    lane->spans[lane->span_count++] = span;
    lane->spans_in_last = 1;
}

void lane_end(struct lane *lane)
{
    close_at(lane, clock_now_ns());
}

/* ---- the crew ---- */

struct member {
    struct lane *lane;
    unsigned index;
    crew_work *work;
    void *arg;
    pthread_t thread;
};

static void *member_run(void *arg)
{
    struct member *m = arg;

    m->lane->pid = getpid();
    m->lane->tid = gettid();
    m->lane->result = m->work(m->lane, m->index, m->arg);
    m->lane->has_answered = true;
    return NULL;
}

static int run_threads(struct member *members, unsigned count)
{
    unsigned started = 0;
    int rc = 0;

    while (started < count && rc == 0) {
        rc = -pthread_create(&members[started].thread, NULL, member_run, &members[started]);
        started += rc == 0;
    }
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(members[i].thread, NULL);
    return rc;
}

static int wait_for(struct lane *lane)
{
    while (waitpid(lane->pid, &lane->wait_status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static int run_processes(struct member *members, unsigned count)
{
    unsigned started = 0;
    int rc = 0;

    while (started < count && rc == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)member_run(&members[started]);
            _exit(EXIT_SUCCESS);
        }
        rc = pid < 0 ? -errno : 0;
        if (pid > 0)
            members[started++].lane->pid = pid;
    }
    for (unsigned i = 0; i < started; i++) {
        int waited = wait_for(members[i].lane);
        rc = rc == 0 ? waited : rc;
    }
    return rc;
}

static int run_alone(struct member *members, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)member_run(&members[i]);
    return 0;
}

static uint64_t spent_ns(int who)
{
    struct rusage used;

    (void)getrusage(who, &used);
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * CLOCK_NS_PER_S +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * CLOCK_NS_PER_US;
}

int crew_prepare(struct crew *c, unsigned count)
{
    void *map = mmap(NULL, count * sizeof(*c->lanes), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    CHECK(count >= 1 && count <= CREW_MAX);
    if (map == MAP_FAILED)
        return -errno;
    *c = (struct crew) {.count = count, .lanes = map};
    for (unsigned i = 0; i < count; i++) {
        c->lanes[i].of = count;
        c->lanes[i].spans_per_entry = 1;
    }
    return 0;
}

int crew_run(struct crew *c, enum crew_kind kind, crew_work *work, void *arg)
{
    static int (*const run[])(struct member *, unsigned) = {
        [CREW_ALONE] = run_alone, [CREW_THREADS] = run_threads, [CREW_PROCESSES] = run_processes};
    struct member members[CREW_MAX];
    uint64_t before_ns;
    int rc;

    for (unsigned i = 0; i < c->count; i++)
        members[i] = (struct member) {.lane = &c->lanes[i], .index = i, .work = work, .arg = arg};
    c->kind = kind;
    before_ns = spent_ns(RUSAGE_SELF) + spent_ns(RUSAGE_CHILDREN);
    c->start_ns = clock_now_ns();
    rc = run[kind](members, c->count);
    c->wall_ns = clock_now_ns() - c->start_ns;
    c->cpu_ns = spent_ns(RUSAGE_SELF) + spent_ns(RUSAGE_CHILDREN) - before_ns;
    return rc;
}

void crew_close(struct crew *c, uint64_t end_ns)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->lanes[i].open_ns != 0)
            close_at(&c->lanes[i], end_ns);
    }
}

struct crew_share crew_share(uint64_t n, unsigned index, unsigned count)
{
    return (struct crew_share) {n / count * index + MIN((uint64_t)index, n % count),
                                n / count * (index + 1) + MIN((uint64_t)index + 1, n % count)};
}

uint64_t crew_sum(const struct crew *c)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < c->count; i++)
        sum += c->lanes[i].has_answered ? c->lanes[i].result : 0;
    return sum;
}

unsigned crew_answered(const struct crew *c)
{
    unsigned answered = 0;

    for (unsigned i = 0; i < c->count; i++)
        answered += c->lanes[i].has_answered;
    return answered;
}
