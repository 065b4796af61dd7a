#include <errno.h>

#include "base/buf.h"
#include "sched/internal.h"

/*
 * Chunks that could not be computed, of kernels to which an answer without them is worth having. Who keeps a job to try it
 * again wants all of it.
 */

enum { HOLES_SHOWN = 16 };

bool partial_go_on(struct sched *s, struct run *run, const struct task *t)
{
    if (t->op != PROTO_OP_MAP || !run->may_lack)
        return false;
    if (plan_give_up(&run->plan, t->lo, t->hi) < 0) {
        run_fail(s, run, "The server has no memory left to go on without a part.");
        return true;
    }
    if (plan_is_hopeless(&run->plan))
        return false;
    answer_go_on(s, run);
    return true;
}

/* "100-199, 400-499", the last unit included. malloc'd; NULL when out of memory. */
static char *describe(const struct ranges *holes)
{
    struct buf b;

    buf_init(&b, 4096);
    for (size_t i = 0; i < MIN(holes->count, (size_t)HOLES_SHOWN); i++)
        (void)buf_printf(&b, "%s%llu-%llu", i == 0 ? "" : ", ",
                         (unsigned long long)holes->all[i].lo,
                         (unsigned long long)(holes->all[i].hi - 1));
    if (holes->count > HOLES_SHOWN)
        (void)buf_add_text(&b, ", ...");
    return buf_take(&b);
}

int partial_note(struct run *run)
{
    if (!run->has_plan || run->plan.holes.count == 0)
        return 0;
    run->receipt.missing = (uint32_t)MIN(run->plan.holes_given, (uint64_t)UINT32_MAX);
    run->shared.missing = describe(&run->plan.holes);
    return run->shared.missing == NULL ? -ENOMEM : 0;
}
