#include "lab/advice.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* From here on something is faster, and up to there it is not: what lies between is not worth a word. */
static const double gains_from = 1.25, gains_nothing_to = 1.1;
static const double busy_from = 0.3;    /* cores that others used */
static const double short_to_s = 0.005; /* what is not worth sharing out */

struct advising {
    const struct lab_spec *spec;
    const struct lab_figures *all;
    const struct lab_facts *facts;
    struct lab_advice *ret;
};

static bool ran(const struct advising *a, enum lab_mode mode)
{
    return a->all[mode].count > 0;
}

static double gain(const struct advising *a, enum lab_mode mode)
{
    return lab_speedup(a->spec->experiment, mode, a->all);
}

static double median(const struct advising *a, enum lab_mode mode)
{
    return lab_median(a->all[mode].wall_s, a->all[mode].count);
}

PRINTF_LIKE(2, 3) static void head(struct advising *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(a->ret->headline, sizeof(a->ret->headline), format, args);
    va_end(args);
}

/* One more sentence. */
PRINTF_LIKE(2, 3) static void say(struct advising *a, const char *format, ...)
{
    char *text = a->ret->text;
    size_t n = strlen(text), capacity = sizeof(a->ret->text);
    va_list args;

    if (n > 0 && n + 2 < capacity)
        text[n++] = ' ';
    va_start(args, format);
    (void)vsnprintf(text + n, capacity - n, format, args);
    va_end(args);
}

static const char *name_count(unsigned count)
{
    static const char *const names[] = {"no", "One", "Two", "Three", "Four"};
    static _Thread_local char digits[12];

    if (count < ARRAY_SIZE(names))
        return names[count];
    (void)snprintf(digits, sizeof(digits), "%u", count);
    return digits;
}

/* ---- cpu ---- */

/* What there was to gain at all. */
static void say_of_the_machine(struct advising *a)
{
    if (a->spec->workers > 1 && a->facts->cores < 1.5)
        say(a,
            "This server may use %.2g of a core's time, or one core alone: here nothing that "
            "computes gets faster by being shared out.",
            a->facts->cores);
    else if (a->facts->background_cores > busy_from)
        say(a,
            "Others used %.1f of the machine's cores meanwhile, so these figures tell of them too: "
            "run "
            "it again when it is quieter.",
            a->facts->background_cores);
}

static void say_of_the_size(struct advising *a)
{
    double alone = ran(a, LAB_SEQUENTIAL) ? median(a, LAB_SEQUENTIAL) : 0;

    if (alone > 0 && alone < short_to_s)
        say(a,
            "One thread is done with it in %.2g ms, about as long as others take to start: ask "
            "for a larger n.",
            alone * 1e3);
}

static void say_of_the_lock(struct advising *a)
{
    double under_lock = gain(a, LAB_GIL), free_threads = gain(a, LAB_THREADS);

    if (!ran(a, LAB_GIL) || under_lock <= 0)
        return;
    if (under_lock > gains_nothing_to) {
        say(a,
            "Threads under one lock were %.2f× as fast, which a lock around all work cannot do: "
            "the machine was too busy to tell. Run it again.",
            under_lock);
        return;
    }
    say(a,
        "One lock held around the work buys nothing: threads that share it were %.2f× as fast "
        "as one, since only who holds it computes.",
        under_lock);
    if (ran(a, LAB_THREADS) && free_threads > gains_from)
        say(a,
            "The same threads without it were %.2f× as fast, so it is the lock that stands in "
            "the way and not the threads.",
            free_threads);
}

static void say_of_python(struct advising *a)
{
    double threads = gain(a, LAB_PY_THREADS), processes = gain(a, LAB_PY_PROCESSES);

    if (threads > 0 && processes > 0)
        say(a, "Python's own program: threads %.2f×, processes %.2f×.", threads, processes);
    else if (threads > 0)
        say(a, "Python's own program: threads %.2f×.", threads);
    else if (processes > 0)
        say(a, "Python's own program: processes %.2f×.", processes);
    if (threads > 0 && !a->facts->python_has_lock)
        say(a, "This Python has no global lock.");
}

static void say_of_languages(struct advising *a)
{
    if (ran(a, LAB_PY_SEQUENTIAL) && ran(a, LAB_SEQUENTIAL))
        say(a, "Before any sharing: the same sum took %.3g s in Python and %.3g s in C.",
            median(a, LAB_PY_SEQUENTIAL), median(a, LAB_SEQUENTIAL));
}

/* Whether processes gain anything, in whichever language they ran. */
static void advise_cpu(struct advising *a)
{
    double processes = MAX(gain(a, LAB_PROCESSES), gain(a, LAB_PY_PROCESSES));
    const char *who = name_count(a->spec->workers);

    if (a->facts->background_cores > a->facts->cores / 2)
        head(a, "The machine was too busy to tell.");
    else if (processes > gains_from)
        head(a, "This work computes: processes.");
    else if (gain(a, LAB_THREADS) > gains_from)
        head(a, "This work computes: more cores help.");
    else
        head(a, processes > 0 ? "Nothing was gained by sharing it out." : "This work computes.");
    if (ran(a, LAB_PROCESSES) && gain(a, LAB_PROCESSES) > 0)
        say(a, "%s processes were %.2f× as fast as one.", who, gain(a, LAB_PROCESSES));
    say_of_the_size(a);
    say_of_the_machine(a);
    say_of_the_lock(a);
    say_of_python(a);
    say_of_languages(a);
}

/* ---- io ---- */

static void advise_io(struct advising *a)
{
    double threads = MAX(gain(a, LAB_THREADS), gain(a, LAB_PY_THREADS));

    head(a, threads > gains_from ? "This work waits: threads." : "This work waits.");
    if (gain(a, LAB_THREADS) > 0)
        say(a,
            "%s threads were %.2f× as fast as one: while one waits, the others wait too, at the "
            "same time, and no core is needed for it.",
            name_count(a->spec->workers), gain(a, LAB_THREADS));
    if (gain(a, LAB_GIL) > 0)
        say(a, "Under one lock it is %.2f×: who waits lets go of it first.", gain(a, LAB_GIL));
    if (gain(a, LAB_PROCESSES) > 0)
        say(a, "Processes gain %.2f×, no more than threads, and each costs memory of its own.",
            gain(a, LAB_PROCESSES));
    say_of_python(a);
}

/* ---- race ---- */

/* 1,234,567 */
static const char *grouped(uint64_t value, char out[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    char *to = out;

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

static void say_of_prices(struct advising *a)
{
    double unlocked = ran(a, LAB_UNLOCKED) ? median(a, LAB_UNLOCKED) : 0;

    if (unlocked > 0 && ran(a, LAB_LOCKED))
        say(a, "The lock makes it right and %.1f× as slow.", median(a, LAB_LOCKED) / unlocked);
    if (unlocked > 0 && ran(a, LAB_ATOMIC))
        say(a, "An atomic addition makes it right and %.1f× as slow.",
            median(a, LAB_ATOMIC) / unlocked);
}

static void advise_race(struct advising *a)
{
    const struct lab_figures *f = &a->all[LAB_UNLOCKED];
    uint64_t worst = f->count > 0 ? lab_worst_result(f) : f->expected;
    char all[32], lost[32];

    if (f->count == 0) {
        head(a, "Nothing is lost behind a lock.");
    } else if (worst < f->expected) {
        head(a, "Without the lock, additions are lost.");
        say(a,
            "Of %s additions up to %s were lost (%.2g %%): two threads read the same value, and "
            "what the first writes the second writes over.",
            grouped(f->expected, all), grouped(f->expected - worst, lost),
            100.0 * (double)(f->expected - worst) / (double)f->expected);
    } else {
        head(a, "No addition was lost this time.");
        say(a, "Nothing promises that: threads that never meet on the same counter cannot disturb "
               "each other, and these did not meet. Ask for more additions or more threads.");
    }
    say_of_prices(a);
}

/* ---- crash ---- */

static void advise_crash(struct advising *a)
{
    const struct lab_figures *threads = &a->all[LAB_THREADS], *processes = &a->all[LAB_PROCESSES];

    head(a, "A crash takes the whole process.");
    if (threads->count > 0)
        say(a, "One of %llu threads followed a bad pointer: %llu answered.",
            (unsigned long long)threads->expected, (unsigned long long)threads->results[0]);
    if (processes->count > 0)
        say(a, "One of %llu processes did the same: %llu answered, and so did who waited for them.",
            (unsigned long long)processes->expected, (unsigned long long)processes->results[0]);
    say(a, "What must not fall with its neighbour belongs in a process of its own.");
}

void lab_advise(const struct lab_spec *spec, const struct lab_figures *all,
                const struct lab_facts *facts, struct lab_advice *ret)
{
    static void (*const advise[LAB_EXPERIMENT_COUNT])(struct advising *) = {
        [LAB_CPU] = advise_cpu,
        [LAB_IO] = advise_io,
        [LAB_RACE] = advise_race,
        [LAB_CRASH] = advise_crash,
    };
    struct advising a = {.spec = spec, .all = all, .facts = facts, .ret = ret};

    *ret = (struct lab_advice) {.headline = ""};
    advise[spec->experiment](&a);
}
