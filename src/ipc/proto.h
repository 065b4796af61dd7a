/*
 * F1, the wall: every frame that crosses between prong and prong-zygote, or between prong and a worker.
 * May use base only. Knows nothing of HTTP, of scheduling, or of what a kernel computes.
 *
 * All channels are SOCK_SEQPACKET socket pairs on one machine between two programs of one build (HELLO
 * checks that), so structs are sent in native byte order. Every frame is one message that opens with
 * `struct proto_head`; its `bytes` must be the length of the message. The receiver bounds every length
 * and index before use, and a peer that breaks the rules is killed, never resynchronised.
 *
 *   control  prong <-> zygote, fd 3 of the zygote        HELLO SANDBOX LOADING KERNEL REFUSED READY
 *                                                        FORKED EXITED / FORK KILL
 *   intake   prong  -> all workers of a kind, shared     TASK BATCH; whoever is free takes the next
 *   channel  prong <-> one worker                        ANSWER / ACK
 *
 * Besides there is memory that prong makes and seals (ipc/shm.h): one page per worker that only this
 * worker writes, one control page that workers can only read, and slabs for payloads above
 * PROTO_INLINE_MAX.
 */
#ifndef IPC_PROTO_H
#define IPC_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/id.h"

enum {
    PROTO_VERSION = 1,
    PROTO_FRAME_MAX = 65536,  /* bytes of any frame */
    PROTO_INLINE_MAX = 16384, /* bytes of payload inside a TASK; more goes through a slab */
    PROTO_ANSWER_INLINE_MAX =
        16384,                    /* bytes of a result inside an ANSWER; more is in the out slab */
    PROTO_PART_MAX = 49152,       /* bytes of one emitted part */
    PROTO_PARAMS_MAX = 9 << 20,   /* bytes of encoded parameters */
    PROTO_PARTS_MAX = 4096,       /* parts given to one COMBINE or FINISH */
    PROTO_MEDIA_MAX = 127,        /* bytes of a media type */
    PROTO_ERROR_MAX = 1024,       /* bytes of a kernel's own error sentence */
    PROTO_KERNELS_MAX = 256,      /* kernels of one zygote */
    PROTO_PROGRAMS_MAX = 64,      /* programs of one zygote, which offer some of its kernels */
    PROTO_WORKERS_MAX = 512,      /* workers of one zygote */
    PROTO_REFUSALS_MAX = 64,      /* files that one zygote tells of; more are only logged */
    PROTO_REFUSED_FILE_MAX = 255, /* bytes of such a file's name */
    PROTO_REFUSED_REASON_MAX = 1024, /* … and of the sentence */
    PROTO_INFLIGHT_MAX = 256,        /* tasks sent and not yet answered */
    PROTO_BATCH_MAX = 64,            /* tasks of one BATCH */
    PROTO_FDS_MAX = 8,               /* fds with one frame */
    PROTO_ALIGN = 64,                /* inline areas start at multiples of this */
    PROTO_ZYGOTE_FD = 3,
};

enum proto_type {
    PROTO_HELLO = 1, /* zygote -> prong, first */
    PROTO_KERNEL,    /* zygote -> prong, one per kernel; body: see ipc/description.h */
    PROTO_READY,     /* zygote -> prong: all kernels are told, FORK me */
    PROTO_FORKED,    /* zygote -> prong */
    PROTO_EXITED,    /* zygote -> prong: it has been waited for */
    PROTO_FORK,      /* prong -> zygote, with enum proto_fork_fd fds */
    PROTO_KILL,      /* prong -> zygote: signal a worker's process group */
    PROTO_TASK,      /* prong -> whichever worker takes it, with a fd per area that is in a slab */
    PROTO_ANSWER,    /* worker -> prong */
    PROTO_ACK,       /* prong -> worker: the out slab has been read and may be written again */
    PROTO_REFUSED,   /* zygote -> prong, before READY, one per file that is left out */
    PROTO_LOADING,   /* zygote -> prong, before READY: it may take a while */
    PROTO_SANDBOX,   /* zygote -> prong, after HELLO; body: why it ends, when it does */
    PROTO_BATCH, /* prong -> whichever worker takes it: small TASKs that are computed together */
};

struct proto_head {
    uint32_t type;
    uint32_t bytes; /* of the whole frame, this head included */
};

struct proto_hello {
    struct proto_head head;
    uint32_t version;
    uint32_t pid;
    char build[64]; /* NUL-terminated; equal in both programs of one build */
};

struct proto_sandbox {
    struct proto_head head;
    uint32_t wanted, active; /* masks of LAYER_…, ipc/layers.h */
    uint32_t landlock_abi;   /* of the system; 0: it has none */
    uint32_t uid;            /* that workers run as */
    /* a sentence without NUL follows, when the sandbox that was asked for is not to be had */
};

struct proto_kernel {
    struct proto_head head;
    uint32_t index; /* 0, 1, 2 …: the name of the kernel in TASK */
    uint32_t reserved;
    /* the description follows */
};

struct proto_refused {
    struct proto_head head;
    /* two texts follow, as ipc/wire.h puts them: the file's name, the reason */
};

struct proto_loading {
    struct proto_head head;
    uint64_t ns; /* READY comes within so long from now */
};

struct proto_ready {
    struct proto_head head;
    uint32_t kernel_count;
    uint32_t reserved;
};

enum proto_fork_fd {
    PROTO_FORK_CHANNEL,
    PROTO_FORK_INTAKE,
    PROTO_FORK_PAGE,
    PROTO_FORK_CONTROL,
    PROTO_FORK_OUT,
    PROTO_FORK_FD_COUNT
};

struct proto_fork {
    struct proto_head head;
    uint64_t generation;         /* never reused; names this worker from now on */
    uint64_t out_bytes;          /* size of the out slab */
    uint64_t rss_grow_bytes_max; /* the worker retires when it has grown by more than this */
    uint64_t age_ns_max;         /* … or is older */
    uint64_t tasks_max;          /* … or has run this many tasks */
    uint32_t slot;
    int32_t nice;
    int32_t home_cpu; /* the core it keeps to; -1: any */
    uint32_t reserved;
};

struct proto_forked {
    struct proto_head head;
    uint64_t generation;
    uint32_t slot;
    int32_t pid;   /* 0 when fork failed */
    int32_t error; /* errno of fork, else 0 */
    uint32_t reserved;
};

struct proto_exited {
    struct proto_head head;
    uint64_t generation;
    uint64_t cpu_ns; /* user and system, of its whole life */
    uint64_t max_rss_kb;
    uint32_t slot;
    int32_t pid;
    int32_t status; /* of wait4 */
    uint32_t reserved;
};

struct proto_kill {
    struct proto_head head;
    uint64_t generation;
    uint32_t slot;
    int32_t signal;
};

enum proto_op {
    PROTO_OP_START = 1, /* plan; then run it all, or answer PLANNED when it is worth splitting */
    PROTO_OP_MAP,       /* the part for [lo, hi) */
    PROTO_OP_COMBINE,   /* one part from neighbouring parts */
    PROTO_OP_FINISH,    /* the answer from the last parts */
};

/* Where some bytes of a task are. slab 0: inline behind the struct, areas in the order of the members, each
 * padded to PROTO_ALIGN. Else at `offset`, a multiple of PROTO_ALIGN, of that slab; the frame brings one fd
 * for each such area, in the same order, even when `bytes` is 0. */
struct proto_area {
    uint64_t slab; /* never reused */
    uint64_t slab_bytes;
    uint64_t offset;
    uint64_t bytes;
};

struct proto_task {
    struct proto_head head;
    uint64_t task;        /* never reused, not even for a retry */
    uint64_t deadline_ns; /* monotonic */
    uint64_t lo, hi;      /* MAP */
    uint64_t split_ns;    /* START: split what is predicted to take longer; UINT64_MAX: never */
    double ns_per_cost;   /* START: measured time of a unit of cost 1.0; 0: not known, so split */
    struct proto_area input;
    struct proto_area
        parts; /* COMBINE, FINISH: part_count × uint64_t sizes, then the parts; the table
                                and each part are padded to 16 */
    struct proto_area params; /* see ipc/description.h */
    uint32_t inflight;        /* index of this task in the control page */
    uint32_t kernel;
    uint32_t part_count;
    uint8_t op;
    uint8_t input_kind; /* enum prong_input */
    uint8_t wants_parts;
    uint8_t reserved[5];
    char job[ID_TEXT_BYTES + 3]; /* for log lines */
    char trace_id[33];           /* … and this, "" without one */
    uint8_t padding[11];
};

/* Behind it stand `count` whole TASK frames, each a multiple of PROTO_ALIGN long, as they would be sent alone: all START, of one
 * kernel that has `batch` and neither plan nor finish, without slabs and without a listener. Each is answered for itself. The
 * worker's page names the first of them for all. */
struct proto_batch {
    struct proto_head head;
    uint64_t task; /* of the first */
    uint32_t count;
    uint32_t reserved[11];
};

enum proto_answer_kind {
    PROTO_ANSWER_RESULT = 1, /* the part, or the answer */
    PROTO_ANSWER_PLANNED,    /* START only: units and unit_cost */
    PROTO_ANSWER_FAILED,     /* the kernel's own error; the body is its sentence */
    PROTO_ANSWER_CANCELLED,
    PROTO_ANSWER_EMITTED, /* not the last frame of its task: the body is a part for the listener */
    PROTO_ANSWER_DIED, /* not the worker, but the program that it asked: the body is a sentence */
};

struct proto_answer {
    struct proto_head head;
    uint64_t task;
    uint64_t run_ns; /* wall */
    uint64_t cpu_ns; /* user and system, by getrusage */
    uint64_t
        units; /* MAP: how many from lo on are done; PLANNED: how many there are; DIED: its wait
                  status; else what ran */
    double unit_cost; /* START */
    uint64_t result_bytes;
    uint32_t max_rss_kb;
    uint8_t kind;
    uint8_t in_slab;     /* the result is at 0 of the out slab: ACK when read */
    uint8_t media_bytes; /* the media type follows the struct; the inline result follows that */
    uint8_t was_killed;  /* DIED: by us, because it broke the protocol */
};

struct proto_ack {
    struct proto_head head;
};

/* Exit codes of a worker that are no crash. */
enum { PROTO_EXIT_RETIRED = 0, PROTO_EXIT_SETUP = 70 };

static_assert(sizeof(struct proto_head) == 8, "wire struct");
static_assert(sizeof(struct proto_hello) == 80, "wire struct");
static_assert(sizeof(struct proto_sandbox) == 24, "wire struct");
static_assert(sizeof(struct proto_kernel) == 16, "wire struct");
static_assert(sizeof(struct proto_refused) == 8, "wire struct");
static_assert(sizeof(struct proto_loading) == 16, "wire struct");
static_assert(sizeof(struct proto_ready) == 16, "wire struct");
static_assert(sizeof(struct proto_fork) == 64, "wire struct");
static_assert(sizeof(struct proto_forked) == 32, "wire struct");
static_assert(sizeof(struct proto_exited) == 48, "wire struct");
static_assert(sizeof(struct proto_kill) == 24, "wire struct");
static_assert(sizeof(struct proto_task) == 256, "inline areas behind it stay aligned");
static_assert(sizeof(struct proto_batch) == PROTO_ALIGN, "the tasks behind it stay aligned");
static_assert(offsetof(struct proto_batch, task) == offsetof(struct proto_task, task),
              "who looks for the id need not know which it is");
static_assert(sizeof(struct proto_answer) == 64, "wire struct");
static_assert(sizeof(struct proto_ack) == 8, "wire struct");
static_assert(PROTO_PART_MAX + sizeof(struct proto_answer) < PROTO_FRAME_MAX, "parts fit");
static_assert(PROTO_INLINE_MAX + sizeof(struct proto_task) < PROTO_FRAME_MAX, "tasks fit");

static inline uint64_t proto_align(uint64_t bytes, uint64_t to)
{
    return (bytes + to - 1) / to * to;
}

#endif
