/*
 * The engines are twins: whatever is written, in whatever order, both say the same and keep the same. Long random
 * sequences, the same for both; the clock, the ids and the limits are such that everything happens often.
 */
#include "jobs/store/engine.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "drive.h"

#define SECOND UINT64_C(1000000)

enum {
    TRANSACTIONS = 1500,
    BATCH_MAX = 8,
    IDS_MAX = TRANSACTIONS * BATCH_MAX,
    LEASES_MAX = 48,
    KEYS = 25,
    STATE_KEYS = 12,
    ROWS_MAX = 5,
    HUGE_BYTES = STORE_FILE_BYTES_MIN + 1,
};

static const struct store_limits limits = {
    .queued_max = 12,
    .queued_bytes_max = 2 * HUGE_BYTES,
    .results_bytes_max = 200000,
    .result_keep_us = 60 * SECOND,
    .records_max = 60,
    .record_keep_us = 120 * SECOND,
};

static const uint64_t seeds[] = {1, 20261121, 0xfeed};

/* ---- what is drawn ---- */

struct world {
    struct drive twins[2];
    uint64_t seed;
    unsigned transaction;
    struct id ids[IDS_MAX]; /* of all jobs that were ever there */
    unsigned id_count;
    uint64_t seq; /* of the newest */
    struct {
        struct record record;
        bool is_set;
    } leases[LEASES_MAX];
    uint64_t version;
};

/* What must have come at least once in all sequences together, or they test less than they should. */
static struct {
    enum store_kind kind;
    int rc;
    unsigned count;
} outcomes[] = {
    {STORE_SUBMIT, 0, 0},       {STORE_SUBMIT, 1, 0},       {STORE_SUBMIT, -EEXIST, 0},
    {STORE_SUBMIT, -EBUSY, 0},  {STORE_SUBMIT, -EFBIG, 0},  {STORE_SUBMIT, -EDQUOT, 0},
    {STORE_CLAIM, 0, 0},        {STORE_END, 0, 0},          {STORE_END, -ESTALE, 0},
    {STORE_CANCEL, 0, 0},       {STORE_CANCEL, -ENOENT, 0}, {STORE_CANCEL, -EALREADY, 0},
    {STORE_RETRY, 0, 0},        {STORE_RETRY, -ENOENT, 0},  {STORE_RETRY, -EALREADY, 0},
    {STORE_RETRY, -ENODATA, 0}, {STORE_RETRY, -EBUSY, 0},   {STORE_RETRY, -EFBIG, 0},
    {STORE_FORGET, 0, 0},       {STORE_FORGET, -ENOENT, 0}, {STORE_FORGET, -EBUSY, 0},
    {STORE_SWEEP, 0, 0},        {STORE_STATE, 0, 0},
};

static char filler[HUGE_BYTES + 1];

static uint64_t draw(struct world *w, uint64_t below)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return (w->seed >> 11) % below;
}

static bool draw_chance(struct world *w, unsigned one_in)
{
    return draw(w, one_in) == 0;
}

/* Mostly small, sometimes on either side of a limit. */
static size_t draw_bytes(struct world *w)
{
    const size_t rare[] = {0,
                           STORE_PAYLOAD_SMALL_MAX - 2,
                           STORE_PAYLOAD_SMALL_MAX,
                           STORE_PARAMS_KEPT_MAX,
                           STORE_PARAMS_KEPT_MAX + 1,
                           50000};

    if (draw_chance(w, 150))
        return HUGE_BYTES;
    return draw_chance(w, 4) ? rare[draw(w, ARRAY_SIZE(rare))] : draw(w, 300);
}

static const char *text_of(size_t bytes)
{
    return filler + HUGE_BYTES - MIN(bytes, (size_t)HUGE_BYTES);
}

struct row {
    char key[16];
    const char *value;
    uint64_t version;
};

struct rows {
    struct store_state state;
    struct row rows[ROWS_MAX];
    size_t count, next;
};

struct op {
    union {
        struct store_write write;
        struct store_submit submit;
        struct store_claim claim;
        struct store_end end;
        struct store_change change;
        struct store_sweep sweep;
        struct rows rows;
    } of[2];
    int rc[2];
    char key[16];
    struct record claimed[2][STORE_CLAIM_MAX];
};
static struct op ops[BATCH_MAX];

static void draw_submit(struct world *w, struct op *op)
{
    static const char *const kernels[] = {"sum", "pi", "echo"}, *const clients[] = {"a", "b", "c"};
    struct store_submit *s = &op->of[0].submit;
    bool has_input = draw_chance(w, 2);

    *s = drive_submission(&w->twins[0], text_of(draw_bytes(w) % HUGE_BYTES));
    (void)snprintf(s->record.kernel, sizeof(s->record.kernel), "%s", kernels[draw(w, 3)]);
    (void)snprintf(s->record.client, sizeof(s->record.client), "%s", clients[draw(w, 3)]);
    s->record.priority = (unsigned)draw(w, RECORD_PRIORITY_COUNT);
    s->record.deadline_us = draw_chance(w, 4) ? w->twins[0].now_us + draw(w, 20 * SECOND) + 1 : 0;
    s->input_kind = has_input ? PRONG_INPUT_RAW : PRONG_INPUT_NONE;
    s->input_bytes = has_input ? draw_bytes(w) : 0;
    s->input = has_input ? text_of(s->input_bytes) : NULL;
    s->fingerprint = draw(w, 2);
    (void)snprintf(op->key, sizeof(op->key), "key %u", (unsigned)draw(w, KEYS));
    s->key = draw_chance(w, 3) ? op->key : NULL;
}

static void draw_claim(struct world *w, struct op *op)
{
    op->of[0].claim = (struct store_claim) {
        .write.kind = STORE_CLAIM,
        .want = draw_chance(w, 10) ? STORE_CLAIM_MAX + 1 : (unsigned)draw(w, 4),
    };
}

/* Of a lease, and sometimes of one that is over. */
static void draw_end(struct world *w, struct op *op)
{
    static const enum record_state states[] = {RECORD_SUCCEEDED, RECORD_SUCCEEDED, RECORD_FAILED,
                                               RECORD_DEAD,      RECORD_CANCELLED, RECORD_QUEUED,
                                               RECORD_QUEUED};
    size_t place = draw(w, LEASES_MAX);
    struct store_end *e = &op->of[0].end;

    *e = drive_ending(&w->twins[0], &w->leases[place].record, states[draw(w, ARRAY_SIZE(states))]);
    if (!w->leases[place].is_set)
        e->id = id_new();
    e->counts = !draw_chance(w, 4);
    e->attempt.end.wait_status = (int)draw(w, 20);
    e->attempt.end.was_oom = draw_chance(w, 5);
    e->receipt.wait_ns = draw(w, UINT64_C(1) << 50);
    if (e->state == RECORD_QUEUED)
        e->run_at_us = draw_chance(w, 3) ? 0 : w->twins[0].now_us + draw(w, 5 * SECOND);
    if (e->state == RECORD_SUCCEEDED) {
        e->result_bytes = draw_bytes(w);
        e->result = text_of(e->result_bytes);
    }
}

static struct id draw_id(struct world *w)
{
    uint64_t back = draw_chance(w, 5) ? draw(w, IDS_MAX) : draw(w, 80);

    return back < w->id_count ? w->ids[w->id_count - 1 - back] : id_new();
}

static void draw_change(struct world *w, struct op *op, enum store_kind kind)
{
    op->of[0].change = (struct store_change) {.write.kind = kind, .id = draw_id(w)};
}

static bool next_row(struct store_state *state, bool rewind, const char **ret_key,
                     const char **ret_value, uint64_t *ret_version)
{
    struct rows *r = CONTAINER_OF(state, struct rows, state);

    if (rewind)
        r->next = 0;
    if (r->next == r->count)
        return false;
    *ret_key = r->rows[r->next].key;
    *ret_value = r->rows[r->next].value;
    *ret_version = r->rows[r->next++].version;
    return true;
}

static void draw_state(struct world *w, struct op *op)
{
    struct rows *r = &op->of[0].rows;

    *r = (struct rows) {
        .state = {.write.kind = STORE_STATE, .next = next_row},
        .count = draw(w, ROWS_MAX + 1),
    };
    for (size_t i = 0; i < r->count; i++) {
        struct row *row = &r->rows[i];
        (void)snprintf(row->key, sizeof(row->key), "k\"ä %u", (unsigned)draw(w, STATE_KEYS));
        row->value = draw_chance(w, 4) ? NULL : text_of(draw(w, 2000));
        row->version = ++w->version;
    }
    r->state.version = w->version;
}

static void draw_op(struct world *w, struct op *op)
{
    static const enum store_kind kinds[] = {STORE_SUBMIT, STORE_SUBMIT, STORE_SUBMIT, STORE_SUBMIT,
                                            STORE_CLAIM,  STORE_CLAIM,  STORE_END,    STORE_END,
                                            STORE_END,    STORE_END,    STORE_END,    STORE_CANCEL,
                                            STORE_RETRY,  STORE_FORGET, STORE_SWEEP,  STORE_STATE};
    enum store_kind kind = kinds[draw(w, ARRAY_SIZE(kinds))];

    if (kind == STORE_SUBMIT)
        draw_submit(w, op);
    else if (kind == STORE_CLAIM)
        draw_claim(w, op);
    else if (kind == STORE_END)
        draw_end(w, op);
    else if (kind == STORE_SWEEP)
        op->of[0].sweep = (struct store_sweep) {.write.kind = STORE_SWEEP};
    else if (kind == STORE_STATE)
        draw_state(w, op);
    else
        draw_change(w, op, kind);
    op->of[0].write.now_us = w->twins[0].now_us;
    op->of[1] = op->of[0];
    for (int i = 0; i < 2 && kind == STORE_CLAIM; i++)
        op->of[i].claim.records = op->claimed[i];
}

/* ---- what must be the same ---- */

static void must(const struct world *w, bool holds, const char *what)
{
    if (!holds)
        fail_msg("transaction %u: they differ in %s", w->transaction, what);
}

static void must_equal(const struct world *w, uint64_t a, uint64_t b, const char *what)
{
    if (a != b)
        fail_msg("transaction %u: %s is %lld and %lld", w->transaction, what, (long long)a,
                 (long long)b);
}

static void must_be_same(const struct world *w, const struct record *a, const struct record *b)
{
    const char *field = drive_difference(a, b);

    if (field != NULL)
        fail_msg("transaction %u: they differ in %s of job %s (state %d)", w->transaction, field,
                 a->id.text, a->state);
}

static void compare_claims(const struct world *w, const struct store_claim *a,
                           const struct store_claim *b)
{
    must_equal(w, a->count, b->count, "how many were claimed");
    must_equal(w, a->late_count, b->late_count, "how many were late");
    must_equal(w, a->next_us, b->next_us, "when the next is due");
    for (unsigned i = 0; i < a->count; i++)
        must_be_same(w, &a->records[i], &b->records[i]);
    for (unsigned i = 0; i < a->late_count; i++)
        must(w, strcmp(a->late[i].text, b->late[i].text) == 0, "which were late");
}

static void compare_outcomes(const struct world *w, const struct op *op)
{
    const struct store_change *changes[] = {&op->of[0].change, &op->of[1].change};
    enum store_kind kind = op->of[0].write.kind;
    char what[32];

    (void)snprintf(what, sizeof(what), "rc of kind %d", kind);
    must_equal(w, (uint64_t)op->rc[0], (uint64_t)op->rc[1], what);
    if (kind == STORE_SUBMIT && op->rc[0] >= 0)
        must_be_same(w, &op->of[0].submit.record, &op->of[1].submit.record);
    if (kind == STORE_CLAIM)
        compare_claims(w, &op->of[0].claim, &op->of[1].claim);
    if (kind == STORE_END && op->rc[0] == 0)
        must_equal(w, op->of[0].end.seq, op->of[1].end.seq, "seq of the end");
    if (kind == STORE_SWEEP)
        must_equal(w, op->of[0].sweep.removed, op->of[1].sweep.removed, "what was swept");
    if ((kind == STORE_CANCEL || kind == STORE_RETRY || kind == STORE_FORGET) &&
        op->rc[0] != -ENOENT) {
        must_be_same(w, &changes[0]->record, &changes[1]->record);
        must_equal(w, changes[0]->was_running, changes[1]->was_running, "was_running");
    }
}

static void compare_counts(const struct world *w)
{
    struct store_counts counts[2];

    for (int i = 0; i < 2; i++)
        w->twins[i].engine->count(w->twins[i].e, &counts[i]);
    for (int p = 0; p < RECORD_PRIORITY_COUNT; p++)
        must_equal(w, counts[0].queued[p], counts[1].queued[p], "count of queued");
    must_equal(w, counts[0].running, counts[1].running, "count of running");
    must_equal(w, counts[0].ended, counts[1].ended, "count of ended");
    must_equal(w, counts[0].queued_bytes, counts[1].queued_bytes, "bytes queued");
    must_equal(w, counts[0].results_bytes, counts[1].results_bytes, "bytes of results");
    must_equal(w, counts[0].inputs_bytes, counts[1].inputs_bytes, "bytes of inputs");
}

static void compare_lists(struct world *w)
{
    static const char *const kernels[] = {NULL, NULL, "sum", "pi", "none"};
    static struct record pages[2][100];
    const struct store_filter filter = {
        .state = (int)draw(w, RECORD_STATE_COUNT + 1) - 1,
        .kernel = kernels[draw(w, ARRAY_SIZE(kernels))],
        .before = draw_chance(w, 2) ? 0 : draw(w, w->seq + 2),
    };
    size_t max = draw(w, ARRAY_SIZE(pages[0]));
    int counts[2];

    for (int i = 0; i < 2; i++)
        counts[i] = w->twins[i].engine->list(w->twins[i].e, &filter, max, pages[i]);
    must_equal(w, (uint64_t)counts[0], (uint64_t)counts[1], "length of a page");
    for (int i = 0; i < counts[0]; i++)
        must_be_same(w, &pages[0][i], &pages[1][i]);
}

static void compare_attempts(const struct world *w, uint64_t seq)
{
    struct record_attempt *attempts[2];
    int counts[2];

    for (int i = 0; i < 2; i++)
        counts[i] = w->twins[i].engine->attempts(w->twins[i].e, seq, &attempts[i]);
    must_equal(w, (uint64_t)counts[0], (uint64_t)counts[1], "how many attempts");
    for (int i = 0; i < counts[0]; i++) {
        const struct record_attempt *a = &attempts[0][i], *b = &attempts[1][i];
        must_equal(w, a->number, b->number, "number of an attempt");
        must_equal(w, a->started_us, b->started_us, "start of an attempt");
        must_equal(w, a->finished_us, b->finished_us, "end of an attempt");
        must_equal(w, a->end.outcome, b->end.outcome, "outcome of an attempt");
        must_equal(w, (uint64_t)a->end.wait_status, (uint64_t)b->end.wait_status, "wait status");
        must_equal(w, a->end.was_oom, b->end.was_oom, "was_oom");
        must(w, strcmp(a->end.text, b->end.text) == 0, "text of an attempt");
    }
    free(attempts[0]);
    free(attempts[1]);
}

static void compare_bytes(const struct world *w, const void *a, const void *b, size_t bytes,
                          const char *what)
{
    must(w, bytes == 0 || memcmp(a, b, bytes) == 0, what);
}

static void compare_payloads(const struct world *w, uint64_t seq)
{
    struct payload payloads[2] = {{.params = NULL}, {.params = NULL}};
    char *params[2] = {NULL, NULL};
    int rcs[2], params_rcs[2];

    for (int i = 0; i < 2; i++) {
        rcs[i] = w->twins[i].engine->payload(w->twins[i].e, seq, &payloads[i]);
        params_rcs[i] = w->twins[i].engine->params(w->twins[i].e, seq, &params[i]);
    }
    must_equal(w, (uint64_t)rcs[0], (uint64_t)rcs[1], "rc of a payload");
    must_equal(w, (uint64_t)params_rcs[0], (uint64_t)params_rcs[1], "rc of parameters");
    must(w, params_rcs[0] < 0 || strcmp(params[0], params[1]) == 0, "parameters");
    if (rcs[0] == 0) {
        must(w, strcmp(payloads[0].params, payloads[1].params) == 0, "parameters of a payload");
        must_equal(w, payloads[0].input_kind, payloads[1].input_kind, "kind of an input");
        must_equal(w, payloads[0].input_bytes, payloads[1].input_bytes, "bytes of an input");
        must_equal(w, payloads[0].input == NULL, payloads[1].input == NULL, "having an input");
        compare_bytes(w, payloads[0].input, payloads[1].input, payloads[0].input_bytes, "an input");
    }
    for (int i = 0; i < 2; i++) {
        payload_release(&payloads[i]);
        free(params[i]);
    }
}

static void *bytes_of(const struct store_result *r)
{
    void *data;

    if (r->fd < 0)
        return r->data;
    data = malloc(r->bytes);
    CHECK(data != NULL && fd_read_from_start(r->fd, data, r->bytes) == (ssize_t)r->bytes);
    (void)close(r->fd);
    return data;
}

static void compare_results(const struct world *w, uint64_t seq)
{
    struct store_result results[2];
    void *data[2];
    int rcs[2];

    for (int i = 0; i < 2; i++)
        rcs[i] = w->twins[i].engine->result(w->twins[i].e, seq, &results[i]);
    must_equal(w, (uint64_t)rcs[0], (uint64_t)rcs[1], "rc of a result");
    if (rcs[0] < 0)
        return;
    must_equal(w, results[0].bytes, results[1].bytes, "bytes of a result");
    for (int i = 0; i < 2; i++)
        data[i] = bytes_of(&results[i]);
    compare_bytes(w, data[0], data[1], results[0].bytes, "a result");
    free(data[0]);
    free(data[1]);
}

static void compare_job(const struct world *w, const struct id *id)
{
    struct record records[2];
    uint64_t positions[2];
    int rcs[2];

    for (int i = 0; i < 2; i++)
        rcs[i] = w->twins[i].engine->find(w->twins[i].e, id->text, &records[i]);
    must_equal(w, (uint64_t)rcs[0], (uint64_t)rcs[1], "whether there is a job");
    if (rcs[0] < 0)
        return;
    must_be_same(w, &records[0], &records[1]);
    compare_attempts(w, records[0].seq);
    compare_payloads(w, records[0].seq);
    compare_results(w, records[0].seq);
    if (records[0].state != RECORD_QUEUED)
        return;
    for (int i = 0; i < 2; i++)
        must_equal(
            w, 0, (uint64_t)w->twins[i].engine->position(w->twins[i].e, &records[i], &positions[i]),
            "rc of a position");
    must_equal(w, positions[0], positions[1], "a position");
}

struct telling {
    const struct world *world;
    unsigned keys;
};

static int compare_key(void *arg, const char *key, const char *value, uint64_t version)
{
    struct telling *t = arg;
    const struct drive *other = &t->world->twins[0];
    CLEANUP_FREE char *other_value = NULL;
    uint64_t other_version = 0;

    must_equal(t->world, 0,
               (uint64_t)other->engine->find_state(other->e, key, &other_value, &other_version),
               "whether there is a key");
    must_equal(t->world, version, other_version, "version of a key");
    must(t->world, strcmp(value, other_value) == 0, "value of a key");
    t->keys++;
    return 0;
}

static int count_key(void *arg, const char *key UNUSED, const char *value UNUSED,
                     uint64_t version UNUSED)
{
    ++*(unsigned *)arg;
    return 0;
}

static void compare_state(const struct world *w)
{
    struct telling t = {.world = w};
    uint64_t versions[2];
    unsigned keys = 0;

    assert_int_equal(w->twins[0].engine->each_state(w->twins[0].e, count_key, &keys, &versions[0]),
                     0);
    assert_int_equal(w->twins[1].engine->each_state(w->twins[1].e, compare_key, &t, &versions[1]),
                     0);
    must_equal(w, keys, t.keys, "how many keys there are");
    must_equal(w, versions[0], versions[1], "newest version");
}

/* ---- the sequence ---- */

static void keep_in_mind(struct world *w, const struct op *op)
{
    enum store_kind kind = op->of[0].write.kind;
    const struct store_claim *claim = &op->of[0].claim;

    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        outcomes[i].count += outcomes[i].kind == kind && outcomes[i].rc == op->rc[0];
    if (kind == STORE_SUBMIT && op->rc[0] == 0) {
        w->ids[w->id_count++] = op->of[0].submit.record.id;
        w->seq = op->of[0].submit.record.seq;
    }
    for (unsigned i = 0; kind == STORE_CLAIM && i < claim->count; i++) {
        size_t place = draw(w, LEASES_MAX);
        w->leases[place].record = claim->records[i];
        w->leases[place].is_set = true;
    }
}

/* Nothing here spoils a transaction. */
static bool is_expected(const struct op *op)
{
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        if (outcomes[i].kind == op->of[0].write.kind && outcomes[i].rc == op->rc[0])
            return true;
    }
    return false;
}

static void run_transaction(struct world *w)
{
    size_t count = 1 + draw(w, BATCH_MAX);
    bool is_kept = !draw_chance(w, 12);
    uint64_t version = w->version;

    for (size_t i = 0; i < count; i++)
        draw_op(w, &ops[i]);
    for (int t = 0; t < 2; t++) {
        const struct drive *d = &w->twins[t];
        assert_int_equal(d->engine->begin(d->e), 0);
        for (size_t i = 0; i < count; i++)
            ops[i].rc[t] = d->engine->apply(d->e, &ops[i].of[t].write);
        if (is_kept)
            assert_int_equal(d->engine->commit(d->e), 0);
        else
            d->engine->rollback(d->e);
    }
    for (size_t i = 0; i < count; i++) {
        compare_outcomes(w, &ops[i]);
        must_equal(w, true, is_expected(&ops[i]), "being an outcome that store.h names");
        if (is_kept)
            keep_in_mind(w, &ops[i]);
    }
    if (!is_kept)
        w->version = version;
}

static void compare_all(struct world *w)
{
    struct id id;

    compare_counts(w);
    compare_lists(w);
    compare_state(w);
    for (int i = 0; i < 4; i++) {
        id = draw_id(w);
        compare_job(w, &id);
    }
}

static int unlink_one(const char *path, const struct stat *status UNUSED, int kind UNUSED,
                      struct FTW *place UNUSED)
{
    return remove(path);
}

static void open_twins(struct world *w, const char *folder)
{
    char name[128], files[128];
    const struct store_config memory = {.engine = "memory", .limits = limits};
    const struct store_config sqlite = {.engine = name, .folder = files, .limits = limits};
    struct err err;

    (void)snprintf(name, sizeof(name), "sqlite:%s/prong.db", folder);
    (void)snprintf(files, sizeof(files), "%s/files", folder);
    w->twins[0] = (struct drive) {.engine = &engine_memory};
    w->twins[1] = (struct drive) {.engine = &engine_sqlite};
    assert_int_equal(engine_memory.open(&w->twins[0].e, &memory, &err), 0);
    assert_int_equal(engine_sqlite.open(&w->twins[1].e, &sqlite, &err), 0);
}

static void run_sequence(uint64_t seed)
{
    static struct world w;
    char folder[] = "/tmp/prong-twins-XXXXXX";

    print_message("seed %llu\n", (unsigned long long)seed);
    w = (struct world) {.seed = seed};
    assert_non_null(mkdtemp(folder));
    open_twins(&w, folder);
    w.twins[0].now_us = 1700000000 * SECOND;
    for (w.transaction = 0; w.transaction < TRANSACTIONS; w.transaction++) {
        w.twins[0].now_us += draw(&w, 2 * SECOND);
        run_transaction(&w);
        compare_all(&w);
    }
    for (unsigned i = 0; i < w.id_count; i++)
        compare_job(&w, &w.ids[i]);
    for (int i = 0; i < 2; i++)
        w.twins[i].engine->close(w.twins[i].e);
    (void)nftw(folder, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void they_say_and_keep_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < HUGE_BYTES; i++)
        filler[i] = (char)('a' + (i * i + i / 7) % 26);
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
        run_sequence(seeds[i]);
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        if (outcomes[i].count == 0)
            fail_msg("kind %d never came to rc %d", outcomes[i].kind, outcomes[i].rc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_say_and_keep_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
