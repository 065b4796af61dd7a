/*
 * F4b. The lab: runs an experiment in several ways, each several times, and says what came of it. What is measured runs in
 * the kernel lab, a program in the sandbox; here is only who asks for one run after the other, and counts.
 *
 * One thread of its own, "lab", which runs one lab at a time and otherwise sleeps. It talks to the scheduler like anybody
 * else. May use sched, jobs, state, thread, base; knows nothing of HTTP: who asked is told through the functions in
 * struct lab_ask, which that thread calls.
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "lab/advice.h"
#include "sched/sched.h"
#include "thread/mailbox.h"

struct lab;

enum lab_outcome {
    LAB_DONE,      /* `report` */
    LAB_JOB_ENDED, /* a run did not come to its end: `job` tells how */
    LAB_NO_KERNEL, /* the kernel lab is not served */
    LAB_TOO_LONG,  /* it would take longer than it may: `text` */
    LAB_NO_PYTHON, /* it was asked for Python alone, and there is none: `text` */
    LAB_ODD,       /* the kernel's answer makes no sense, or there is no memory */
};

/* One run that has ended; repeat 0 is the warm-up. */
struct lab_news {
    enum lab_mode mode;
    unsigned repeat;
    double wall_s, cpu_s;
    unsigned done, total; /* runs, with the warm-ups */
};

/* Who asks. The lab's from lab_run until `done`. */
struct lab_ask {
    struct lab_spec spec;
    uint64_t client;
    uint64_t deadline_ns; /* of all of it, monotonic */
    uint64_t limit_ns;    /* how long that is, to be told */
    int socket;           /* watched for a hang-up; -1: none */
    char trace_id[33];
    bool (*is_gone)(struct lab_ask *a); /* asked now and then; NULL: nobody can say */
    void (*planned)(struct lab_ask *a, json_t *plan);
    void (*ran)(struct lab_ask *a, const struct lab_news *news);
    void (*done)(struct lab_ask *a);
    void *owner;

    enum lab_outcome outcome;
    json_t *report;  /* LAB_DONE: all but the machine; the asker's */
    struct job *job; /* LAB_JOB_ENDED: the asker's */
    char text[320];  /* a sentence, or "" */

    struct mail letter;
};

/* Starts the thread. 0 or negative errno, with a sentence. */
int lab_start(struct lab **ret, struct sched *sched, struct err *err);

/* Whether no other one is under way: then the place is the caller's, who either runs one or gives it back. Any thread. */
bool lab_reserve(struct lab *l);
void lab_run(struct lab *l, struct lab_ask *a);
void lab_give_back(struct lab *l);

/* Once nobody asks any more: after sched_stop, which ends what runs, and when all who asked have been told. Waits for the
 * thread. NULL is fine; returns NULL. */
struct lab *lab_stop(struct lab *l);

#endif
