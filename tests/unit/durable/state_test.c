#include "durable/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "state/journal.h"

/* A store of this test's own in place of the real one: it holds one write at a time, and ends it as it is told to. */
enum { ROWS = 8 };

struct store {
    struct {
        char key[16], value[32];
        uint64_t version;
    } rows[ROWS];
    int count;
    uint64_t version;
    struct store_write *waiting;
    int post_rc, find_rc, each_rc;
    int commits;
    bool ends_at_once;
    int end_rc;
};

static struct store store;
static const struct kv_condition always = {KV_ALWAYS, 0};

static void put_row(struct store *s, const char *key, const char *value, uint64_t version)
{
    int i = 0;

    while (i < s->count && strcmp(s->rows[i].key, key) != 0)
        i++;
    if (value == NULL) {
        if (i < s->count)
            s->rows[i] = s->rows[--s->count];
        return;
    }
    assert_true(i < ROWS);
    s->count = MAX(s->count, i + 1);
    (void)snprintf(s->rows[i].key, sizeof(s->rows[i].key), "%s", key);
    (void)snprintf(s->rows[i].value, sizeof(s->rows[i].value), "%s", value);
    s->rows[i].version = version;
}

/* What the store's thread does, on this one. Asks for all rows twice, as after a batch that failed. How many. */
static int end_write(int rc)
{
    struct store_state *w = CONTAINER_OF(store.waiting, struct store_state, write);
    const char *key, *value;
    uint64_t version;
    int rows = 0, again = 0;

    assert_non_null(store.waiting);
    store.waiting = NULL;
    for (bool more = w->next(w, true, &key, &value, &version); more;
         more = w->next(w, false, &key, &value, &version))
        rows++;
    for (bool more = w->next(w, true, &key, &value, &version); more;
         more = w->next(w, false, &key, &value, &version), again++) {
        if (rc == 0)
            put_row(&store, key, value, version);
    }
    assert_int_equal(rows, again);
    if (rc == 0)
        store.version = w->version;
    store.commits += rc == 0;
    w->write.rc = rc;
    w->write.done(&w->write);
    return rows;
}

int store_post(struct store *s, struct store_write *w)
{
    assert_int_equal(w->kind, STORE_STATE);
    if (s->post_rc < 0)
        return s->post_rc;
    assert_null(s->waiting);
    s->waiting = w;
    if (s->ends_at_once)
        (void)end_write(s->end_rc);
    return 0;
}

int store_each_state(struct store *s,
                     int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                     void *arg, uint64_t *ret_version)
{
    int rc = s->each_rc;

    for (int i = 0; i < s->count && rc == 0; i++)
        rc = each(arg, s->rows[i].key, s->rows[i].value, s->rows[i].version);
    *ret_version = s->version;
    return rc;
}

int store_find_state(struct store *s, const char *key, char **ret_value, uint64_t *ret_version)
{
    if (s->find_rc < 0)
        return s->find_rc;
    for (int i = 0; i < s->count; i++) {
        if (strcmp(s->rows[i].key, key) == 0) {
            *ret_value = strdup(s->rows[i].value);
            *ret_version = s->rows[i].version;
            return 0;
        }
    }
    return -ENOENT;
}

struct run {
    struct kv *kv;
    struct durable_state *state;
};

/* A server's start with what the store has. */
static struct run begin(void)
{
    struct run r = {.kv = kv_new((struct kv_limits) {.keys_max = 100, .bytes_max = 1 << 20})};
    struct err err = {""};

    store.ends_at_once = true;
    assert_int_equal(durable_state_start(&r.state, r.kv, &store, &err), 0);
    store.ends_at_once = false;
    return r;
}

static void end(struct run *r)
{
    r->state = durable_state_stop(r->state);
    r->kv = kv_free(r->kv);
}

static int set_up(void **state)
{
    (void)state;
    store = (struct store) {.count = 0};
    return 0;
}

struct told {
    struct kv_ack ack;
    int count, rc;
};

static void tell(struct kv_ack *ack, int rc)
{
    struct told *told = CONTAINER_OF(ack, struct told, ack);

    told->count++;
    told->rc = rc;
}

static int put(struct run *r, const char *key, const char *text, struct told *told)
{
    uint64_t version;

    *told = (struct told) {.ack.done = tell};
    return kv_put(r->kv, key, text, always, &told->ack, &version);
}

static uint64_t assert_value(struct run *r, const char *key, const char *text)
{
    struct kv_value value;

    assert_int_equal(kv_get(r->kv, key, &value), 0);
    assert_string_equal(value.text, text);
    free(value.text);
    return value.version;
}

static void a_change_is_acknowledged_when_the_store_has_it(void **state)
{
    struct run r = begin();
    struct told told[2];

    (void)state;
    assert_int_equal(put(&r, "a", "1", &told[0]), 1);
    assert_int_equal(put(&r, "b", "2", &told[1]), 1);
    assert_int_equal(told[0].count + told[1].count, 0);
    assert_int_equal(end_write(0), 2);
    assert_int_equal(told[0].count, 1);
    assert_int_equal(told[1].count, 1);
    assert_null(store.waiting);
    assert_int_equal(store.commits, 2);
    end(&r);
}

static void the_next_run_has_all_that_was_acknowledged(void **state)
{
    struct run r = begin();
    struct told told, other;
    uint64_t version, newest;

    (void)state;
    assert_int_equal(put(&r, "a", "[1]", &told), 1);
    assert_int_equal(put(&r, "b", "2", &other), 1);
    assert_int_equal(end_write(0), 2);
    assert_int_equal(kv_delete(r.kv, "b", always, NULL), 0);
    assert_int_equal(end_write(0), 1);
    version = assert_value(&r, "a", "[1]");
    newest = store.version;
    end(&r);

    r = begin();
    assert_int_equal(assert_value(&r, "a", "[1]"), version);
    assert_int_equal(kv_get(r.kv, "b", &(struct kv_value) {.text = NULL}), -ENOENT);
    assert_int_equal(put(&r, "b", "3", &told), 1);
    assert_int_equal(end_write(0), 1);
    assert_true(assert_value(&r, "b", "3") > newest);
    end(&r);
}

static void what_the_store_refuses_is_taken_back(void **state)
{
    struct run r = begin();
    struct told told[3];

    (void)state;
    assert_int_equal(put(&r, "a", "1", &told[0]), 1);
    assert_int_equal(end_write(0), 1);
    assert_int_equal(put(&r, "a", "2", &told[1]), 0);
    assert_int_equal(end_write(-ENOSPC), 1);
    assert_int_equal(told[1].rc, -ENOSPC);
    assert_value(&r, "a", "1");
    assert_int_equal(put(&r, "a", "3", &told[2]), 0);
    assert_int_equal(end_write(0), 1);
    assert_int_equal(told[2].rc, 0);
    assert_string_equal(store.rows[0].value, "3");
    end(&r);
}

static void what_the_store_does_not_take_is_taken_back(void **state)
{
    struct run r = begin();
    struct told told[3];

    (void)state;
    assert_int_equal(put(&r, "a", "1", &told[0]), 1);
    assert_int_equal(end_write(0), 1);
    store.post_rc = -ESHUTDOWN;
    assert_int_equal(put(&r, "a", "2", &told[1]), 0);
    assert_int_equal(told[1].count, 1);
    assert_int_equal(told[1].rc, -ESHUTDOWN);
    assert_value(&r, "a", "1");
    assert_int_equal(put(&r, "a", "3", &told[2]), -ESHUTDOWN);
    assert_int_equal(told[2].count, 0);
    end(&r);
}

static void a_store_that_cannot_be_read_back_ends_all_changes(void **state)
{
    struct run r = begin();
    struct told told;

    (void)state;
    assert_int_equal(put(&r, "a", "1", &told), 1);
    store.find_rc = -EIO;
    assert_int_equal(end_write(-EIO), 1);
    assert_int_equal(told.rc, -EIO);
    assert_int_equal(put(&r, "b", "1", &told), -ESHUTDOWN);
    end(&r);
}

static void a_store_that_cannot_be_read_stops_the_start(void **state)
{
    struct kv *kv = kv_new((struct kv_limits) {.keys_max = 1, .bytes_max = 1000});
    struct durable_state *s = NULL;
    struct err err = {""};

    (void)state;
    store.each_rc = -EIO;
    assert_int_equal(durable_state_start(&s, kv, &store, &err), -EIO);
    assert_non_null(strstr(err.text, "cannot be read"));
    assert_null(s);
    (void)kv_free(kv);

    kv = kv_new((struct kv_limits) {.keys_max = 1, .bytes_max = 1000});
    store = (struct store) {.count = 1, .rows = {{.key = "bad\nkey", .value = "1"}}};
    assert_int_equal(durable_state_start(&s, kv, &store, &err), -EINVAL);
    assert_non_null(strstr(err.text, "bad\nkey"));
    (void)kv_free(kv);
}

/* It can still be read, and changed again once the disk is well. */
static void a_full_disk_does_not_stop_the_start(void **state)
{
    struct run r;
    struct told told;

    (void)state;
    store = (struct store) {.count = 1, .rows = {{"a", "1", 1}}, .version = 1, .end_rc = -ENOSPC};
    r = begin();
    assert_value(&r, "a", "1");
    assert_int_equal(put(&r, "a", "2", &told), -EAGAIN);
    assert_int_equal(end_write(0), 0);
    assert_int_equal(put(&r, "a", "2", &told), 0);
    assert_int_equal(end_write(0), 1);
    assert_int_equal(told.rc, 0);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_change_is_acknowledged_when_the_store_has_it, set_up),
        cmocka_unit_test_setup(the_next_run_has_all_that_was_acknowledged, set_up),
        cmocka_unit_test_setup(what_the_store_refuses_is_taken_back, set_up),
        cmocka_unit_test_setup(what_the_store_does_not_take_is_taken_back, set_up),
        cmocka_unit_test_setup(a_store_that_cannot_be_read_back_ends_all_changes, set_up),
        cmocka_unit_test_setup(a_store_that_cannot_be_read_stops_the_start, set_up),
        cmocka_unit_test_setup(a_full_disk_does_not_stop_the_start, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
