#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/internal.h"

unsigned pool_current(const struct pool *p)
{
    return p->current->lane;
}

int pool_old(const struct pool *p)
{
    return p->old == NULL ? -1 : (int)p->old->lane;
}

uint64_t pool_number(const struct pool *p, unsigned lane)
{
    return p->lanes[lane].number;
}

int pool_kernel_index(const struct pool *p, unsigned lane, const struct kernel *k)
{
    return catalog_set_find(&p->lanes[lane].kernels, k);
}

bool pool_has_changed(const struct pool *p)
{
    return p->current->has_changed;
}

const struct catalog_change *pool_change(const struct pool *p)
{
    return &p->change;
}

/* ---- the next one ---- */

static unsigned free_lane(const struct pool *p)
{
    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        if (p->lanes[lane].number == 0)
            return lane;
    }
    CHECK(false);
    return 0;
}

int pool_next_start(struct pool *p, struct err *err)
{
    unsigned lane;
    int rc;

    if (p->next != NULL)
        return err_set(err, -EBUSY, "The kernels are being loaded already.");
    if (p->old != NULL)
        return err_set(err, -EBUSY,
                       "The kernels were loaded anew, and what began before that still runs.");
    lane = free_lane(p);
    generation_init(p, lane);
    if (p->lanes[lane].slots == NULL)
        return err_set(err, -ENOMEM, "There is no memory for another set of workers.");
    rc = launch_start(p, &p->lanes[lane], err);
    if (rc < 0) {
        generation_release(&p->lanes[lane]);
        return rc;
    }
    p->next = &p->lanes[lane];
    p->next->number = ++p->last_number;
    p->next_err.text[0] = '\0';
    return 0;
}

static void end(struct pool *p, struct generation *g)
{
    launch_leave(p, g);
    generation_release(g);
}

void pool_next_end(struct pool *p, const char *why)
{
    if (p->next != NULL)
        renew_failed(p, why);
}

void renew_failed(struct pool *p, const char *why)
{
    (void)snprintf(p->next_err.text, sizeof(p->next_err.text), "%s", why);
    end(p, p->next);
    p->next = NULL;
}

int pool_next_look(struct pool *p, struct err *err)
{
    if (p->next == NULL)
        return err_set(err, -EINVAL, "%s", p->next_err.text);
    return p->next->state == ZYGOTE_UP &&
           pool_live(p, p->next->lane, POOL_ORDINARY) == p->config.workers[POOL_ORDINARY];
}

/* ---- in force ---- */

int pool_switch(struct pool *p, struct err *err)
{
    struct generation *g = p->next;
    struct err why;
    int rc;

    CHECK(g != NULL && p->old == NULL);
    rc = catalog_judge(p->catalog, &g->draft, &why);
    if (rc == 0)
        rc = catalog_install(p->catalog, &g->draft, &g->kernels, &p->change, &why);
    if (rc < 0) {
        renew_failed(p, why.text);
        return err_set(err, rc, "%s", why.text);
    }
    g->deadline_ns = CLOCK_NEVER;
    p->old = p->current;
    p->current = g;
    p->next = NULL;
    /* One that is on its way up again would load other kernels than it had. */
    if (p->old->state != ZYGOTE_UP)
        renew_old_down(p);
    return 0;
}

/* The one that serves, or is to serve, came up again: what it has is what there is. */
static void renew_current(struct pool *p, struct generation *g)
{
    struct err err;

    if (catalog_install(p->catalog, &g->draft, &g->kernels, &p->change, &err) == 0)
        return;
    log_error("no kernel is served: %s", err.text);
    p->change.count = 0;
}

void renew_ready(struct pool *p, struct generation *g)
{
    struct err err;

    if (g->state != ZYGOTE_STARTING)
        return;
    if (g == p->next && catalog_judge(p->catalog, &g->draft, &err) < 0) {
        renew_failed(p, err.text);
        return;
    }
    /* Of two zygotes, the look before the first had loaded and the one after the second has: no change escapes these. */
    g->has_changed = g->print != 0 && folder_print(p->config.kernels) != g->print;
    g->print = g->looked;
    g->state = ZYGOTE_UP;
    g->ready_ns = clock_now_ns();
    g->deadline_ns = CLOCK_NEVER;
    if (g == p->current)
        renew_current(p, g);
    else
        g->deadline_ns = g->ready_ns + POOL_HANDSHAKE_S * CLOCK_NS_PER_S; /* for its workers */
    slots_fill(p, g, g->ready_ns);
}

/* ---- the one before ---- */

bool pool_old_is_wanted(const struct pool *p)
{
    return p->old != NULL && p->old->state == ZYGOTE_UP && catalog_set_is_wanted(&p->old->kernels);
}

void pool_old_end(struct pool *p)
{
    end(p, p->old);
    p->old = NULL;
}

/* Its tasks are the scheduler's to end: until it says pool_old_end, the lane stays. */
void renew_old_down(struct pool *p)
{
    launch_leave(p, p->old);
    p->old->deadline_ns = CLOCK_NEVER;
}
