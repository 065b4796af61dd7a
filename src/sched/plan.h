/*
 * F4, pure: how one request's units are cut into ranges for the workers and put together again. No fd, no
 * thread, no clock; the caller holds the scheduler's lock.
 *
 * Ranges that nobody has computed yet are gaps; parts that have arrived are kept in the order of their
 * ranges. While nothing is known of what a unit takes, chunks are a quarter of a worker's share each;
 * else they take PLAN_CHUNK_NS each, and towards the end less, so that the workers end together. A
 * worker that still runs a chunk when there are no gaps left for the idle ones is asked to hand the
 * rest of it back (plan_wants_yield), and that rest becomes a gap again.
 *
 * Parts of a kernel without combine are never given to a worker until finish: they are concatenated in
 * order. Otherwise neighbouring parts are combined when PLAN_COMBINE_PARTS of them stand side by side
 * (any neighbours when the kernel is associative, else only from the very left), or fewer that are large.
 * Once all units are mapped, up to PLAN_FINISH_PARTS_MAX parts are left for finish to fold.
 *
 * A range that nobody could compute may be given up (plan_give_up): its units count as done, parts on both sides of it are
 * neighbours, and what is combined over it stands for both sides.
 */
#ifndef SCHED_PLAN_H
#define SCHED_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "sched/ranges.h"

enum {
    PLAN_FIRST_CHUNKS_PER_WORKER = 4,
    PLAN_CHUNK_NS = 30 * 1000 * 1000, /* within 20 to 50 ms */
    PLAN_CHUNK_NS_MIN = 200 * 1000,   /* below this, handing out costs more than it gains */
    PLAN_YIELD_NS_MIN = 500 * 1000,   /* a rest shorter than this is not worth handing back */
    PLAN_COMBINE_PARTS = 16,
    PLAN_COMBINE_BYTES = 4 << 20, /* … or once their bytes pass this, from two parts on, unless one
                                     of them is over two thirds of it */
    PLAN_FINISH_PARTS_MAX = 1024, /* parts given to finish, and to one combine */
    PLAN_CHUNKS_MAX = 100000,     /* chunks of one request, and what is out as the last one comes */
};

/* One part that has arrived. */
struct plan_part {
    TAILQ_ENTRY(plan_part) link;
    uint64_t lo, hi;
    void *data; /* malloc'd, owned by the part; NULL when empty */
    size_t bytes;
    bool busy; /* given out to be combined */
};
TAILQ_HEAD(plan_parts, plan_part);

/* Takes the data whether it succeeds or not. NULL when there is no memory. */
struct plan_part *plan_part_new(uint64_t lo, uint64_t hi, void *take_data, size_t bytes);
struct plan_part *plan_part_free(struct plan_part *p);

struct plan_rules {
    bool has_combine;
    bool is_associative;
    unsigned workers; /* that may run chunks at once, ≥ 1 */
    /* Prong-Chunks: this many equal chunks (±1 unit), never resized; at most PLAN_CHUNKS_MAX, and one
     * per unit. 0: free. */
    uint64_t chunks_wanted;
};

struct plan {
    struct plan_rules rules;
    uint64_t units;
    double unit_cost;
    double ns_per_cost; /* known from other requests at first, then measured here; 0: nothing */
    bool measured;      /* a chunk of this request has been measured */
    uint64_t units_out; /* given out and not yet answered */
    uint64_t units_done;
    unsigned turn_chunks;    /* left to give out in this turn of equal chunks */
    uint64_t turn_units;     /* of each */
    uint64_t chunks;         /* that have been mapped */
    struct ranges gaps;      /* that nobody computes now */
    struct ranges holes;     /* that were given up */
    uint64_t holes_given;    /* chunks that they were */
    struct plan_parts parts; /* sorted by lo */
    size_t part_count;
    size_t part_bytes;
    size_t busy_count; /* parts given out to be combined */
};

/* -ENOMEM. The plan must stay where it is until plan_release. units may be 0: then it is complete at
 * once. A unit_cost that is not a positive number counts as 1.0. */
int plan_init(struct plan *p, struct plan_rules rules, uint64_t units, double unit_cost,
              double ns_per_cost);
void plan_release(struct plan *p);

/* The next range to map, cut from the first gap. False when there is no gap. */
bool plan_next(struct plan *p, struct range *ret);

/* What a range of this many units is predicted to take; 0 when nothing is known. */
uint64_t plan_predict_ns(const struct plan *p, uint64_t units);

/* A range that was given out (or the end of one) came back without a part: its worker died, or it is
 * the rest that was handed back. -ENOMEM leaves the plan unable to complete: fail the request. */
int plan_give_back(struct plan *p, uint64_t lo, uint64_t hi);

/* A range that was given out will never be computed. -ENOMEM as above. */
int plan_give_up(struct plan *p, uint64_t lo, uint64_t hi);

/* All has been given up, so there is nothing to make an answer from. */
bool plan_is_hopeless(const struct plan *p);

/* A mapped part has arrived for a range given out, or for its beginning when the rest was handed back
 * (then plan_give_back that too). `run_ns` is how long its worker took (0: unknown). The part is the
 * plan's from now on; one of no units is freed at once. */
void plan_add_mapped(struct plan *p, struct plan_part *part, uint64_t run_ns);

/* Neighbouring parts that should be combined now: the first one and how many, marked busy; 0 when there
 * are none. Several sets may be out at once when the kernel is associative. Call until 0 after each
 * part that arrives. */
size_t plan_take_for_combine(struct plan *p, struct plan_part **ret_first);

/* They were combined: `part` covers exactly their ranges, takes their place, and they are freed. */
void plan_add_combined(struct plan *p, struct plan_part *first, size_t count,
                       struct plan_part *part);

/* The combining failed with its worker: they may be taken again. */
void plan_release_from_combine(struct plan *p, struct plan_part *first, size_t count);

/* All units are done, no part is busy, and the parts are few enough for finish. */
bool plan_is_complete(const struct plan *p);

/* Whether a worker that runs [lo, hi), of which `done` units are reported done, should be asked to hand
 * back the rest, given that `idle` workers have nothing to do. Any `done` is safe. */
bool plan_wants_yield(const struct plan *p, uint64_t lo, uint64_t hi, uint64_t done, unsigned idle);

#endif
