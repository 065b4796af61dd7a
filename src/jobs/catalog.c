#include "jobs/catalog.h"

#include <errno.h>

void catalog_init(struct catalog *c)
{
    memset(c, 0, sizeof(*c));
    lock_init(&c->lock, LOCK_CATALOG);
}

static void forget_refusals(struct catalog_refusals *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        free(r->all[i].file);
        free(r->all[i].reason);
    }
    r->count = 0;
}

void catalog_release(struct catalog *c)
{
    for (unsigned i = 0; i < c->count; i++)
        (void)kernel_drop(c->served[i]);
    for (unsigned i = 0; i < CATALOG_EDITIONS_MAX; i++)
        CHECK(c->places[i] == NULL);
    forget_refusals(&c->refused);
    lock_release(&c->lock);
    memset(c, 0, sizeof(*c));
}

/* ---- one kernel ---- */

static struct kernel *writable(const struct kernel *k)
{
    return (struct kernel *)(uintptr_t)k;
}

const struct kernel *kernel_hold(const struct kernel *k)
{
    if (k != NULL)
        atomic_fetch_add_explicit(&writable(k)->holds, 1, memory_order_relaxed);
    return k;
}

static void destroy(struct kernel *k)
{
    free(k->about);
    free(k);
}

/* The catalog holds what it serves, so nobody can find what nobody holds. */
const struct kernel *kernel_drop(const struct kernel *k)
{
    struct catalog *c;

    if (k == NULL || atomic_fetch_sub(&writable(k)->holds, 1) != 1)
        return NULL;
    c = k->catalog;
    lock_take(&c->lock);
    CHECK(c->places[k->place] == k);
    c->places[k->place] = NULL;
    lock_drop(&c->lock);
    destroy(writable(k));
    return NULL;
}

static struct kernel *look_up(const struct catalog *c, const char *name)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (strcmp(c->served[i]->about->name, name) == 0)
            return c->served[i];
    }
    return NULL;
}

const struct kernel *catalog_find(struct catalog *c, const char *name)
{
    LOCKED(&c->lock);
    return kernel_hold(look_up(c, name));
}

unsigned catalog_list(struct catalog *c, const struct kernel *ret[PROTO_KERNELS_MAX])
{
    LOCKED(&c->lock);
    for (unsigned i = 0; i < c->count; i++)
        ret[i] = kernel_hold(c->served[i]);
    return c->count;
}

uint64_t catalog_edition(struct catalog *c)
{
    LOCKED(&c->lock);
    return c->last_edition;
}

void catalog_tell_refusals(struct catalog *c,
                           void (*tell)(void *arg, const char *file, const char *reason), void *arg)
{
    LOCKED(&c->lock);

    for (unsigned i = 0; i < c->refused.count; i++)
        tell(arg, c->refused.all[i].file, c->refused.all[i].reason);
}

/* ---- drafts ---- */

static const struct description *draft_find(const struct catalog_draft *d, const char *name)
{
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        if (d->kernels[i] != NULL && strcmp(d->kernels[i]->name, name) == 0)
            return d->kernels[i];
    }
    return NULL;
}

int catalog_draft_add(struct catalog_draft *d, struct description *about, unsigned index)
{
    CHECK(index < PROTO_KERNELS_MAX);
    if (d->kernels[index] != NULL || draft_find(d, about->name) != NULL) {
        free(about);
        return -EEXIST;
    }
    d->kernels[index] = about;
    return 0;
}

int catalog_draft_refuse(struct catalog_draft *d, const char *file, const char *reason)
{
    struct catalog_refusal made = {.file = NULL};

    if (d->refused.count == PROTO_REFUSALS_MAX)
        return -ENOSPC;
    made = (struct catalog_refusal) {.file = strdup(file), .reason = strdup(reason)};
    if (made.file == NULL || made.reason == NULL) {
        free(made.file);
        free(made.reason);
        return -ENOMEM;
    }
    d->refused.all[d->refused.count++] = made;
    return 0;
}

void catalog_draft_clear(struct catalog_draft *d)
{
    forget_refusals(&d->refused);
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        free(d->kernels[i]);
        d->kernels[i] = NULL;
    }
}

static bool is_empty(const struct catalog_draft *d)
{
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        if (d->kernels[i] != NULL)
            return false;
    }
    return true;
}

static bool was_refused(const struct catalog *c, const char *file)
{
    for (unsigned i = 0; i < c->refused.count; i++) {
        if (strcmp(c->refused.all[i].file, file) == 0)
            return true;
    }
    return false;
}

/* "sum.so" for kernel sum. A file may offer kernels of other names, but by its name it is known for sure. */
static bool is_file_of(const char *file, const char *kernel)
{
    size_t n = strlen(kernel);

    return strncmp(file, kernel, n) == 0 && file[n] == '.';
}

/* The file that may have offered this kernel and is refused now; NULL: none. */
static const struct catalog_refusal *find_refusal(const struct catalog *c,
                                                  const struct catalog_draft *d, const char *kernel)
{
    const struct catalog_refusal *found = NULL;

    for (unsigned i = 0; i < d->refused.count; i++) {
        const struct catalog_refusal *refusal = &d->refused.all[i];
        if (was_refused(c, refusal->file))
            continue;
        if (is_file_of(refusal->file, kernel))
            return refusal;
        if (found == NULL)
            found = refusal;
    }
    return found;
}

static int judge_one(const struct catalog *c, const struct catalog_draft *d,
                     const struct description *now, struct err *err)
{
    const struct description *next = draft_find(d, now->name);
    const struct catalog_refusal *refusal;

    if (*now->broken != '\0' || (next != NULL && *next->broken == '\0'))
        return 0;
    if (next != NULL)
        return err_set(err, -EINVAL, "Kernel %s, which works now, is broken: %.180s", now->name,
                       next->broken);
    refusal = find_refusal(c, d, now->name);
    if (refusal == NULL)
        return 0;
    return err_set(err, -EINVAL,
                   "Kernel %s, which works now, is missing, as %.60s is refused: %.150s", now->name,
                   refusal->file, refusal->reason);
}

int catalog_judge(struct catalog *c, const struct catalog_draft *d, struct err *err)
{
    int rc = 0;
    LOCKED(&c->lock);

    if (is_empty(d))
        return err_set(err, -EINVAL, "There is no kernel to load.");
    for (unsigned i = 0; rc == 0 && i < c->count; i++)
        rc = judge_one(c, d, c->served[i]->about, err);
    return rc;
}

/* ---- putting a draft in force ---- */

/* What it takes, made before anything is changed. */
struct renewal {
    struct kernel *next[PROTO_KERNELS_MAX]; /* by the draft's index */
    bool is_new[PROTO_KERNELS_MAX];
};

static struct kernel *find_same(const struct catalog *c, const struct description *about)
{
    struct kernel *k = look_up(c, about->name);

    return k != NULL && description_is_same(k->about, about) ? k : NULL;
}

static int find_place(const struct catalog *c, unsigned *at)
{
    while (*at < CATALOG_EDITIONS_MAX && c->places[*at] != NULL)
        ++*at;
    return *at < CATALOG_EDITIONS_MAX ? (int)(*at)++ : -ENOSPC;
}

static int prepare_one(struct catalog *c, const struct description *about, struct renewal *r,
                       unsigned i, unsigned *at)
{
    struct kernel *k = find_same(c, about);
    int place;

    r->next[i] = k;
    if (k != NULL)
        return 0;
    place = find_place(c, at);
    if (place < 0)
        return place;
    k = aligned_alloc(_Alignof(struct kernel), sizeof(*k));
    if (k == NULL)
        return -ENOMEM;
    memset(k, 0, sizeof(*k));
    k->catalog = c;
    k->place = (unsigned)place;
    r->next[i] = k;
    r->is_new[i] = true;
    return 0;
}

static int prepare(struct catalog *c, const struct catalog_draft *d, struct renewal *r,
                   struct err *err)
{
    unsigned at = 0;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < PROTO_KERNELS_MAX; i++) {
        if (d->kernels[i] != NULL)
            rc = prepare_one(c, d->kernels[i], r, i, &at);
    }
    if (rc == 0)
        return 0;
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        if (r->is_new[i])
            free(r->next[i]);
    }
    if (rc == -ENOMEM)
        return err_set(err, rc, "There is no memory for the new kernels.");
    return err_set(err, rc, "Requests still use %d editions of kernels, as many as may be alive.",
                   CATALOG_EDITIONS_MAX);
}

static void note(struct catalog_change *change, const struct description *about,
                 enum catalog_fate fate)
{
    size_t i = change->count++;

    (void)snprintf(change->kernels[i].name, sizeof(change->kernels[i].name), "%s", about->name);
    (void)snprintf(change->kernels[i].broken, sizeof(change->kernels[i].broken), "%s",
                   about->broken);
    change->kernels[i].fate = fate;
}

static void note_all(const struct catalog *c, const struct catalog_draft *d,
                     const struct renewal *r, struct catalog_change *change)
{
    change->count = 0;
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        const struct description *about = d->kernels[i];
        if (about == NULL)
            continue;
        note(change, about,
             !r->is_new[i]                     ? CATALOG_SAME
             : look_up(c, about->name) != NULL ? CATALOG_CHANGED
                                               : CATALOG_ADDED);
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (draft_find(d, c->served[i]->about->name) == NULL)
            note(change, c->served[i]->about, CATALOG_REMOVED);
    }
}

/* Each is held once for the catalog and once for the set. */
static void put_in_force(struct catalog *c, struct catalog_draft *d, const struct renewal *r,
                         struct catalog_set *set)
{
    c->count = 0;
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        struct kernel *k = r->next[i];
        if (k == NULL)
            continue;
        if (r->is_new[i]) {
            k->about = take_ptr(d->kernels[i]);
            k->serial = ++c->last_serial;
            c->places[k->place] = k;
        }
        atomic_store(&k->edition, ++c->last_edition);
        c->served[c->count++] = k;
        set->kernels[i] = kernel_hold(kernel_hold(k));
        set->index[k->place] = (int16_t)i;
    }
}

int catalog_install(struct catalog *c, struct catalog_draft *d, struct catalog_set *set,
                    struct catalog_change *ret, struct err *err)
{
    struct kernel *before[PROTO_KERNELS_MAX];
    struct renewal r = {.next = {NULL}};
    unsigned count = 0;
    int rc;

    catalog_set_clear(set);
    lock_take(&c->lock);
    rc = prepare(c, d, &r, err);
    if (rc == 0) {
        count = c->count;
        memcpy(before, c->served, sizeof(before));
        note_all(c, d, &r, ret);
        put_in_force(c, d, &r, set);
        forget_refusals(&c->refused);
        c->refused = d->refused;
        d->refused.count = 0;
    }
    lock_drop(&c->lock);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < count; i++)
        (void)kernel_drop(before[i]);
    catalog_draft_clear(d);
    return 0;
}

/* ---- sets ---- */

void catalog_set_clear(struct catalog_set *set)
{
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++)
        set->kernels[i] = kernel_drop(set->kernels[i]);
}

int catalog_set_find(const struct catalog_set *set, const struct kernel *k)
{
    int index = set->index[k->place];

    return set->kernels[index] == k ? index : -ENOENT;
}

bool catalog_set_is_wanted(const struct catalog_set *set)
{
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        const struct kernel *k = set->kernels[i];
        if (k == NULL)
            continue;
        LOCKED(&k->catalog->lock);
        if (look_up(k->catalog, k->about->name) != k && atomic_load(&writable(k)->holds) > 1)
            return true;
    }
    return false;
}
