/*
 * F4, behind the wall. The child that listens to a program which is being tried. Uses program, kernel,
 * worker/sandbox and base.
 */
#ifndef ZYGOTE_JUDGE_H
#define ZYGOTE_JUDGE_H

#include <sys/types.h>

#include "ipc/description.h"
#include "kernel/describe.h"
#include "kernel/program.h"
#include "program/frame.h"
#include "program/lend.h"

enum { JUDGE_DATA_MAX = 2 << 20 };

enum judge_outcome {
    JUDGE_SILENT = 0, /* the judge did not come to it */
    JUDGE_REFUSED,    /* `sentence` says why */
    JUDGE_ENDED, /* the program did, before it was ready; `sentence` is as of words_last_sentence */
    JUDGE_READY,
};

/* In memory that is shared with one judge. */
struct judge_report {
    uint32_t outcome;
    uint32_t count; /* of kernels: their descriptions lie in `data`, one behind the other */
    uint32_t bytes[DESCRIBE_KERNELS_MAX];
    char sentence[DESCRIPTION_TEXT_MAX];
    char data[JUDGE_DATA_MAX];
};

struct judge {
    const struct program *program;
    const int *fds; /* enum lend_fd, of the program */
    pid_t zygote;
    size_t result_bytes_max; /* to say in HELLO */
    struct judge_report *report;
};

/* Says HELLO, waits for READY, writes the report, says QUIET and ends the process. `judge` is a struct
 * judge; for spawn_child. */
void judge_run(void *judge);

#endif
