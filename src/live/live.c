#include "live/live.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "jobs/json.h"
#include "live/cpu.h"
#include "live/meter.h"
#include "live/print.h"
#include "live/streams.h"
#include "thread/lock.h"
#include "thread/thread.h"

#define LOOK_EVERY_NS (CLOCK_NS_PER_S / LIVE_LOOKS_PER_S)

/* What was seen at the looks of one second. */
struct looks {
    unsigned count;
    double queued[QUEUE_CLASS_COUNT], running, busy, rss;
};

struct live {
    struct live_config config;
    struct thread thread;
    bool has_thread;
    int wake_fd; /* by those below, and by the alarm of the metrics */
    uint64_t wall_ns, started_ns;
    struct hash_key hash_key;

    struct lock lock; /* of these */
    struct history history;
    struct cpu_table cpu;
    struct listeners joining;
    bool is_asleep; /* since the last second of the history nothing has happened */
    bool is_draining, is_stopping;

    _Atomic unsigned listener_count;
    _Atomic bool has_rung;

    /* what follows is the thread's */
    struct listeners listeners;
    struct sched_status *status;
    struct looks looks;
    struct meter meter;
    uint64_t metered_ns;
    uint64_t looked_ns, told_ns; /* the last look; the last "status" */
    uint64_t print, told_print;
    bool is_quiet; /* by the last look, and the alarm is armed */
};

/* Unix time, but for jumps of the clock since the start. */
static uint64_t second_of(const struct live *l, uint64_t now_ns)
{
    return (l->wall_ns + (now_ns - l->started_ns)) / CLOCK_NS_PER_S;
}

/* When that second begins, monotonic. */
static uint64_t begin_of(const struct live *l, uint64_t second)
{
    return l->started_ns + (second * CLOCK_NS_PER_S - l->wall_ns);
}

static void wake(struct live *l)
{
    uint64_t one = 1;

    (void)!write(l->wake_fd, &one, sizeof(one));
}

/* By any thread that counts something, under any lock. */
static void ring(void *arg)
{
    struct live *l = arg;

    atomic_store(&l->has_rung, true);
    wake(l);
}

/* ---- telling ---- */

static void tell_status(struct live *l, struct listeners *whom)
{
    CLEANUP_FREE char *text = STAILQ_EMPTY(whom) ? NULL : l->config.status(l->config.owner);

    if (text != NULL)
        streams_post(whom, "status", text);
}

static void tell_all_status(struct live *l, uint64_t now_ns)
{
    l->told_ns = now_ns;
    l->told_print = l->print;
    tell_status(l, &l->listeners);
}

static json_t *number(double value)
{
    return isnan(value) ? json_null() : json_real(round(value * 1000) / 1000);
}

static void tell_sample(struct live *l, const struct history_point *point)
{
    json_t *json = json_pack("{s:I}", "t", (json_int_t)point->t);
    CLEANUP_FREE char *text = NULL;

    for (int c = 0; c < HISTORY_COLUMN_COUNT && json != NULL; c++)
        (void)json_object_set_new(json, history_column_names[c], number(point->values[c]));
    text = json == NULL ? NULL : json_write(json, NULL);
    json_decref(json);
    if (text != NULL)
        streams_post(&l->listeners, "sample", text);
}

static void let_go(struct live *l, unsigned count)
{
    if (count == 0)
        return;
    atomic_fetch_sub(&l->listener_count, count);
    metrics_add(METRIC_EVENT_STREAMS, 0, -(uint64_t)count);
}

/* The first event of each is a status; whoever came at the same time shares it. */
static void welcome(struct live *l)
{
    struct listeners joining = STAILQ_HEAD_INITIALIZER(joining);
    bool is_draining;

    lock_take(&l->lock);
    STAILQ_CONCAT(&joining, &l->joining);
    is_draining = l->is_draining;
    lock_drop(&l->lock);
    tell_status(l, &joining);
    STAILQ_CONCAT(&l->listeners, &joining);
    if (is_draining)
        let_go(l, streams_end(&l->listeners));
}

/* ---- looking ---- */

static void note(struct looks *looks, const struct sched_status *st)
{
    looks->count++;
    looks->running += (double)st->running;
    looks->rss = 0;
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        looks->queued[c] += (double)st->queued[c];
    for (size_t i = 0; i < st->worker_count; i++) {
        looks->busy += st->workers[i].is_busy;
        looks->rss += (double)st->workers[i].worker.rss_bytes;
    }
}

static bool is_at_rest(const struct sched_status *st)
{
    size_t waiting = 0;

    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        waiting += st->queued[c];
    return st->running == 0 && st->inflight == 0 && waiting == 0 && st->reload == SCHED_RELOAD_NONE;
}

/* Armed before it looks: what comes after that rings. Quiet is only what has not rung since the look before. */
static void look(struct live *l, uint64_t now_ns)
{
    bool has_rung = atomic_exchange(&l->has_rung, false) || l->looked_ns == 0;

    metrics_arm();
    sched_status(l->config.sched, l->status);
    l->looked_ns = now_ns;
    l->print = print_status(l->hash_key, l->status, l->config.store);
    l->is_quiet = !has_rung && is_at_rest(l->status);
    note(&l->looks, l->status);
    if (l->print != l->told_print ||
        (l->status->running > 0 && now_ns - l->told_ns >= CLOCK_NS_PER_S))
        tell_all_status(l, now_ns);
}

/* ---- the second ---- */

static void fill_means(const struct looks *looks, struct history_second *ret)
{
    double count = looks->count;

    ret->values[HISTORY_QUEUE_HIGH] = looks->queued[QUEUE_HIGH] / count;
    ret->values[HISTORY_QUEUE_NORMAL] = looks->queued[QUEUE_NORMAL] / count;
    ret->values[HISTORY_QUEUE_LOW] = looks->queued[QUEUE_LOW] / count;
    ret->values[HISTORY_RUNNING] = looks->running / count;
    ret->values[HISTORY_BUSY] = looks->busy / count;
    ret->values[HISTORY_RSS] = looks->rss;
}

static void measure(struct live *l, uint64_t now_ns, struct history_second *ret)
{
    struct meter meter;

    meter_read(&meter);
    meter_difference(&l->meter, &meter, (double)(now_ns - l->metered_ns) / (double)CLOCK_NS_PER_S,
                     ret);
    l->meter = meter;
    l->metered_ns = now_ns;
    fill_means(&l->looks, ret);
    l->looks = (struct looks) {.count = 0};
}

static bool is_nothing(const struct history_second *second)
{
    return second->values[HISTORY_REQUESTS] <= 0 && second->values[HISTORY_RUNS] <= 0 &&
           second->values[HISTORY_BUSY] <= 0;
}

/* All seconds that have ended since the last one; more than one only when this thread was held up. */
static void end_seconds(struct live *l, uint64_t now_ns, uint64_t last)
{
    struct history_second second;
    struct history_point point;
    uint64_t first;

    measure(l, now_ns, &second);
    lock_take(&l->lock);
    second.values[HISTORY_CPU] = cpu_look(&l->cpu, l->status, now_ns);
    for (first = l->history.last + 1; first <= last; first++)
        history_add(&l->history, first, &second);
    l->is_asleep = l->is_quiet && STAILQ_EMPTY(&l->listeners) && is_nothing(&second);
    if (l->is_asleep)
        cpu_rest(&l->cpu);
    lock_drop(&l->lock);
    history_point_of(last, &second, &point);
    tell_sample(l, &point);
}

static void catch_up(struct live *l, uint64_t now_ns)
{
    CHECK(lock_is_held(&l->lock));
    if (l->is_asleep)
        history_add_rest(&l->history, second_of(l, now_ns) - 1);
}

/* What has been counted was counted since then. */
static void wake_up(struct live *l, uint64_t now_ns)
{
    LOCKED(&l->lock);
    if (!l->is_asleep)
        return;
    catch_up(l, now_ns);
    l->is_asleep = false;
    l->metered_ns = begin_of(l, second_of(l, now_ns));
    l->cpu.looked_ns = l->metered_ns;
}

/* ---- the thread ---- */

static bool turn(struct live *l)
{
    uint64_t now_ns = clock_now_ns(), last = second_of(l, now_ns) - 1;
    bool is_over;

    wake_up(l, now_ns);
    let_go(l, streams_sweep(&l->listeners));
    welcome(l);
    if (now_ns - l->looked_ns >= LOOK_EVERY_NS)
        look(l, now_ns);
    if (last > l->history.last) {
        if (l->looks.count == 0)
            look(l, now_ns);
        end_seconds(l, now_ns, last);
    }
    lock_take(&l->lock);
    is_over = l->is_stopping;
    lock_drop(&l->lock);
    return !is_over;
}

static uint64_t next_turn_ns(const struct live *l)
{
    uint64_t look_ns = l->looked_ns + LOOK_EVERY_NS;

    if (l->is_asleep)
        return CLOCK_NEVER;
    if (l->is_quiet && !atomic_load(&l->has_rung))
        look_ns = CLOCK_NEVER;
    return MIN(look_ns, begin_of(l, l->history.last + 2));
}

static void *run(void *arg)
{
    struct live *l = arg;
    struct pollfd woken = {.fd = l->wake_fd, .events = POLLIN};
    uint64_t ignored;

    do {
        if (poll(&woken, 1, clock_poll_ms(clock_now_ns(), next_turn_ns(l))) > 0)
            (void)!read(l->wake_fd, &ignored, sizeof(ignored));
    } while (turn(l));
    return NULL;
}

/* ---- from any thread ---- */

bool live_enter(struct live *l)
{
    if (atomic_fetch_add(&l->listener_count, 1) < l->config.streams_max) {
        metrics_add(METRIC_EVENT_STREAMS, 0, 1);
        return true;
    }
    atomic_fetch_sub(&l->listener_count, 1);
    return false;
}

void live_leave(struct live *l)
{
    let_go(l, 1);
}

void live_join(struct live *l, struct stream *s)
{
    struct listener *listener = malloc(sizeof(*listener));

    if (listener == NULL) {
        stream_end(s, NULL, 0, NULL, 0);
        live_leave(l);
        return;
    }
    listener->stream = s;
    lock_take(&l->lock);
    STAILQ_INSERT_TAIL(&l->joining, listener, link);
    lock_drop(&l->lock);
    wake(l);
}

size_t live_history(struct live *l, enum history_span span,
                    struct history_point ret[HISTORY_POINTS_MAX])
{
    LOCKED(&l->lock);
    catch_up(l, clock_now_ns());
    return history_read(&l->history, span, ret);
}

void live_cpu(struct live *l, int pid, struct live_cpu *ret)
{
    uint64_t total_ns;

    ret->total_s =
        cpu_total_ns(pid, &total_ns) < 0 ? NAN : (double)total_ns / (double)CLOCK_NS_PER_S;
    LOCKED(&l->lock);
    ret->cores = cpu_cores_of(&l->cpu, pid);
}

/* ---- start and end ---- */

/* From here on a second is the difference to the one before. */
static void begin(struct live *l)
{
    l->wall_ns = clock_wall_ns();
    l->started_ns = l->metered_ns = clock_now_ns();
    history_init(&l->history, second_of(l, l->started_ns) - 1);
    meter_read(&l->meter);
    sched_status(l->config.sched, l->status);
    (void)cpu_look(&l->cpu, l->status, l->started_ns);
}

int live_start(struct live **ret, const struct live_config *config, struct err *err)
{
    struct live *l = calloc(1, sizeof(*l));
    int rc;

    if (l != NULL)
        l->status = calloc(1, sizeof(*l->status));
    if (l == NULL || l->status == NULL) {
        free(l);
        return err_set(err, -ENOMEM, "There is no memory to follow what happens.");
    }
    *ret = l; /* live_free's, whatever follows */
    l->config = *config;
    STAILQ_INIT(&l->joining);
    STAILQ_INIT(&l->listeners);
    lock_init(&l->lock, LOCK_LIMITS);
    l->hash_key = hash_key_new();
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0)
        return err_set(err, -errno, "There is no event to wake a thread by.");
    begin(l);
    metrics_set_alarm(ring, l);
    rc = thread_start(&l->thread, "live", run, l);
    l->has_thread = rc == 0;
    return rc == 0 ? 0 : err_set(err, rc, "The thread that follows what happens cannot start.");
}

static void tell_flag(struct live *l, bool *flag)
{
    lock_take(&l->lock);
    *flag = true;
    lock_drop(&l->lock);
    wake(l);
}

void live_drain(struct live *l)
{
    tell_flag(l, &l->is_draining);
}

void live_stop(struct live *l)
{
    if (l == NULL || !l->has_thread)
        return;
    tell_flag(l, &l->is_stopping);
    thread_join(&l->thread);
    l->has_thread = false;
    CHECK(STAILQ_EMPTY(&l->listeners) && STAILQ_EMPTY(&l->joining));
}

struct live *live_free(struct live *l)
{
    if (l == NULL)
        return NULL;
    metrics_set_alarm(NULL, NULL);
    check_close_fd(&l->wake_fd);
    lock_release(&l->lock);
    free(l->status);
    free(l);
    return NULL;
}
