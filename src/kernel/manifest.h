/*
 * F2, behind the wall. A manifest, `name.kernel` in the kernels' directory: which program offers
 * kernels, what it may have of the machine, and, when it does not tell itself, what its kernel is.
 *
 *     [kernel]       command | exec | library, copies, name version summary example media_type flags input
 *     [param NAME]   type help minimum maximum default choices max_bytes max_count
 *     [limits]       memory cpu start
 *     [sandbox]      network threads read
 *     [environment]  NAME = value
 *
 * Every mistake is refused with one sentence that names the file, the line, what is wrong and what to
 * write instead. Uses base, ipc, the ABI, inih and jansson; starts nothing. Only the zygote reads
 * manifests, before its first fork; workers may look at what it has read.
 */
#ifndef KERNEL_MANIFEST_H
#define KERNEL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/arena.h"
#include "kernel/declared.h"

struct buf;
struct err;

enum {
    MANIFEST_BYTES_MAX = 65536,  /* of the file */
    MANIFEST_WORDS_MAX = 64,     /* of a command line */
    MANIFEST_READ_MAX = 32,      /* files and folders that may be read besides the usual */
    MANIFEST_VARIABLES_MAX = 64, /* of [environment] */
    MANIFEST_COPIES_MAX = 512,
    MANIFEST_CPU_S_MAX = 365 * 86400,
    MANIFEST_START_S_MAX = 600,
    MANIFEST_START_S = 30, /* when it is not said */
};

#define MANIFEST_MEMORY_MIN (16ULL << 20)
#define MANIFEST_MEMORY_MAX (1ULL << 46)

enum manifest_kind {
    MANIFEST_LIMITS =
        0,            /* none of the three: only [limits] of the shared object of the same name */
    MANIFEST_COMMAND, /* lives on, speaks frames on descriptor 3 */
    MANIFEST_EXEC,    /* one run for one request, standard input to standard output */
    MANIFEST_LIBRARY, /* a shared object in a process of its own */
};

struct manifest_limits {
    /* Of address space; 0: as the server's --worker-memory. With MANIFEST_LIMITS: what one task may
     * allocate; 0: no limit but the worker's. */
    uint64_t memory_bytes;
    uint32_t cpu_s;   /* of a copy's life, of one task with MANIFEST_LIMITS; 0: no limit */
    uint32_t start_s; /* from its start to READY */
    bool network;
    bool threads;                            /* and child processes */
    const char *read[MANIFEST_READ_MAX + 1]; /* absolute paths, NULL at the end */
    uint32_t read_count;
};

struct manifest {
    const char *file; /* its own name, for sentences: "fib.kernel" */
    const char *name; /* the same without the ending */
    enum manifest_kind kind;
    /* COMMAND, EXEC: the words, with NULL at the end. The first is what was written; `program` is where
     * it was found, absolute. Words of EXEC may hold {parameter}, see manifest_fill. */
    const char *argv[MANIFEST_WORDS_MAX + 1];
    uint32_t argc;
    const char *program;       /* LIBRARY: the shared object */
    uint32_t copies;           /* at once, at most; 0: one for each worker that wants one */
    struct declared *declared; /* owned. NULL: it describes itself. EXEC always has one */
    struct manifest_limits limits;
    const char *environment[MANIFEST_VARIABLES_MAX + 1]; /* "NAME=value", NULL at the end */
    struct arena arena;                                  /* all texts */
};

/* Reads `dir`/`file`. Free with manifest_free. `dir` must be absolute. The file, and what it names
 * below `dir`, must be root's or ours and writable by nobody else: -EPERM. -EINVAL for a mistake in it,
 * -ENOENT and the like when it cannot be read. Always with a sentence. */
int manifest_read(const char *dir, const char *file, struct manifest **ret, struct err *err);

/* What "command = python3 -m prong FILE" would be, with all defaults, for a file that has no manifest. */
int manifest_of_script(const char *dir, const char *file, struct manifest **ret, struct err *err);

/* Whether a Python file uses the SDK: one of its first lines imports prong. */
bool manifest_is_script(const char *dir, const char *file);

struct manifest *manifest_free(struct manifest *m);

/* Splits a command line into words, as `manifest_read` does: blanks separate, "double quotes" keep them
 * together, \" and \\ are a quote and a backslash within quotes; there is no shell. They are put into
 * `a`, with NULL behind the last. How many; -EINVAL with a sentence: too many, none, a quote left open. */
int manifest_words(const char *line, struct arena *a, const char *ret[MANIFEST_WORDS_MAX + 1],
                   struct err *err);

/* Appends to `out` a word of EXEC with each {parameter} replaced by what `put` appends for it, by its
 * index; {{ and }} are braces. What `put` returns below 0 ends it; -EINVAL with a sentence: no such
 * parameter, or a brace alone; -ENOMEM when `out` is full. */
typedef int manifest_put(void *arg, uint32_t index, struct buf *out);
int manifest_fill(const char *word, const struct prong_kernel *k, manifest_put *put, void *arg,
                  struct buf *out, struct err *err);

#endif
