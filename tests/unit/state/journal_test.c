#include "state/journal.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "thread/thread.h"

enum { KEYS = 8, THREADS = 8, ADDS = 300, PENDING = 99 };

static const struct kv_condition always = {KV_ALWAYS, 0};
static const struct kv_limits limits = {.keys_max = 5000, .bytes_max = 1 << 20};

/* What is kept: the rows of all flushes that were settled with 0. */
struct kept {
    struct {
        char key[16], text[32];
        uint64_t version;
    } rows[KEYS];
    uint64_t version;
    int wanted;     /* calls */
    int restore_rc; /* what restore fails with */
    struct kv *kv;
    struct kv_journal journal;
};

struct told {
    struct kv_ack ack;
    int rc;
};

static void tell(struct kv_ack *ack, int rc)
{
    struct told *told = CONTAINER_OF(ack, struct told, ack);

    assert_int_equal(told->rc, PENDING);
    told->rc = rc;
}

static struct told fresh(void)
{
    return (struct told) {.ack.done = tell, .rc = PENDING};
}

static void count_wanted(void *arg)
{
    struct kept *k = arg;

    k->wanted++;
}

static int row_of(const struct kept *k, const char *key)
{
    for (int i = 0; i < KEYS; i++) {
        if (strcmp(k->rows[i].key, key) == 0)
            return i;
    }
    return -1;
}

static int restore(void *arg, const char *key, char **ret_text, uint64_t *ret_version)
{
    const struct kept *k = arg;
    int i = row_of(k, key);

    if (k->restore_rc < 0)
        return k->restore_rc;
    if (i < 0)
        return -ENOENT;
    *ret_text = strdup(k->rows[i].text);
    *ret_version = k->rows[i].version;
    return 0;
}

/* The rows of a flush, which are kept if `rc` is 0. How many. */
static int settle(struct kept *k, struct kv_flush *f, int rc)
{
    const char *key, *text;
    uint64_t version;
    int count = 0;

    for (bool more = kv_flush_next(f, true, &key, &text, &version); more;
         more = kv_flush_next(f, false, &key, &text, &version), count++) {
        int i = row_of(k, key);
        if (rc < 0)
            continue;
        if (i < 0)
            i = row_of(k, "");
        assert_true(i >= 0);
        (void)snprintf(k->rows[i].key, sizeof(k->rows[i].key), "%s", text == NULL ? "" : key);
        (void)snprintf(k->rows[i].text, sizeof(k->rows[i].text), "%s", text == NULL ? "" : text);
        k->rows[i].version = version;
    }
    if (rc == 0)
        k->version = kv_flush_version(f);
    kv_flush_settle(k->kv, f, rc);
    return count;
}

static int flush(struct kept *k, int rc)
{
    return settle(k, kv_flush_take(k->kv), rc);
}

static int set_up(void **state)
{
    struct kept *k = calloc(1, sizeof(*k));

    k->kv = kv_new(limits);
    k->journal = (struct kv_journal) {.arg = k, .wanted = count_wanted, .restore = restore};
    kv_journal_begin(k->kv, &k->journal, 0);
    assert_int_equal(k->wanted, 1);
    assert_int_equal(flush(k, 0), 0);
    k->wanted = 0;
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    struct kept *k = *state;

    (void)kv_free(k->kv);
    free(k);
    return 0;
}

static int put(struct kept *k, const char *key, const char *text, struct told *told)
{
    uint64_t version;

    *told = fresh();
    return kv_put(k->kv, key, text, always, &told->ack, &version);
}

static int add(struct kept *k, const char *key, struct told *told)
{
    uint64_t version;
    int64_t value;

    *told = fresh();
    return kv_add(k->kv, key, 1, always, &told->ack, &value, &version);
}

static uint64_t assert_value(struct kept *k, const char *key, const char *text)
{
    struct kv_value value;

    if (text == NULL) {
        assert_int_equal(kv_get(k->kv, key, &value), -ENOENT);
        return 0;
    }
    assert_int_equal(kv_get(k->kv, key, &value), 0);
    assert_string_equal(value.text, text);
    free(value.text);
    return value.version;
}

static void changes_of_one_key_are_one_row(void **state)
{
    struct kept *k = *state;
    struct told told[64];

    for (int i = 0; i < 64; i++)
        assert_true(add(k, "n", &told[i]) >= 0);
    assert_int_equal(k->wanted, 1);
    for (int i = 0; i < 64; i++)
        assert_int_equal(told[i].rc, PENDING);
    assert_int_equal(flush(k, 0), 1);
    for (int i = 0; i < 64; i++)
        assert_int_equal(told[i].rc, 0);
    assert_string_equal(k->rows[row_of(k, "n")].text, "64");
    assert_int_equal(k->rows[row_of(k, "n")].version, k->version);
    assert_int_equal(k->wanted, 1);
}

static void what_comes_during_a_flush_shares_the_next(void **state)
{
    struct kept *k = *state;
    struct told first, second, third;
    struct kv_flush *f;

    assert_int_equal(add(k, "n", &first), 1);
    f = kv_flush_take(k->kv);
    assert_int_equal(add(k, "n", &second), 0);
    assert_int_equal(put(k, "a", "true", &third), 1);
    assert_int_equal(k->wanted, 1);
    assert_int_equal(settle(k, f, 0), 1);
    assert_int_equal(first.rc, 0);
    assert_int_equal(second.rc, PENDING);
    assert_string_equal(k->rows[row_of(k, "n")].text, "1");
    assert_int_equal(k->wanted, 2);
    assert_int_equal(flush(k, 0), 2);
    assert_int_equal(second.rc, 0);
    assert_int_equal(third.rc, 0);
    assert_string_equal(k->rows[row_of(k, "n")].text, "2");
}

static void a_flush_can_be_read_again(void **state)
{
    struct kept *k = *state;
    struct told told[2];
    struct kv_flush *f;
    const char *key, *text;
    uint64_t version;

    assert_int_equal(put(k, "a", "1", &told[0]), 1);
    assert_int_equal(put(k, "b", "2", &told[1]), 1);
    f = kv_flush_take(k->kv);
    assert_true(kv_flush_next(f, true, &key, &text, &version));
    assert_string_equal(key, "a");
    assert_true(kv_flush_next(f, false, &key, &text, &version));
    assert_false(kv_flush_next(f, false, &key, &text, &version));
    assert_int_equal(settle(k, f, 0), 2);
}

/* The row has the text that was taken, though the map has another by then. */
static void a_flush_keeps_its_texts(void **state)
{
    struct kept *k = *state;
    struct told told[2];
    struct kv_flush *f;

    assert_int_equal(put(k, "a", "\"old\"", &told[0]), 1);
    f = kv_flush_take(k->kv);
    assert_int_equal(put(k, "a", "\"new\"", &told[1]), 0);
    assert_int_equal(settle(k, f, 0), 1);
    assert_string_equal(k->rows[row_of(k, "a")].text, "\"old\"");
    assert_int_equal(flush(k, 0), 1);
    assert_string_equal(k->rows[row_of(k, "a")].text, "\"new\"");
}

static void a_deleted_key_is_a_row_without_text(void **state)
{
    struct kept *k = *state;
    struct told told = fresh(), again = fresh();
    uint64_t before;

    assert_int_equal(kv_put(k->kv, "a", "1", always, &told.ack, &before), 1);
    assert_int_equal(flush(k, 0), 1);
    assert_int_equal(kv_delete(k->kv, "a", always, &again.ack), 0);
    assert_int_equal(again.rc, PENDING);
    assert_int_equal(flush(k, 0), 1);
    assert_int_equal(again.rc, 0);
    assert_int_equal(row_of(k, "a"), -1);
    assert_true(k->version > before);
}

static void what_is_refused_at_once_is_not_flushed(void **state)
{
    const struct kv_condition present = {KV_IF_PRESENT, 0};
    struct kept *k = *state;
    struct told told = fresh();
    uint64_t version;
    int64_t value;

    assert_int_equal(kv_put(k->kv, "a", "1", present, &told.ack, &version), -ESTALE);
    assert_int_equal(kv_delete(k->kv, "a", always, &told.ack), -ENOENT);
    assert_int_equal(kv_add(k->kv, "a", INT64_MAX, always, &told.ack, &value, &version), -ERANGE);
    assert_int_equal(k->wanted, 0);
    assert_int_equal(told.rc, PENDING);
}

static void a_failed_flush_is_taken_back(void **state)
{
    struct kept *k = *state;
    struct told told[6];
    struct kv_flush *f;
    uint64_t kept, seen, version;

    assert_int_equal(put(k, "n", "7", &told[0]), 1);
    assert_int_equal(put(k, "gone", "1", &told[1]), 1);
    assert_int_equal(flush(k, 0), 2);
    kept = assert_value(k, "n", "7");
    assert_int_equal(add(k, "n", &told[0]), 0);
    assert_int_equal(put(k, "new", "1", &told[1]), 1);
    told[2] = fresh();
    assert_int_equal(kv_delete(k->kv, "gone", always, &told[2].ack), 0);
    f = kv_flush_take(k->kv);
    assert_int_equal(add(k, "n", &told[3]), 0);
    assert_int_equal(put(k, "newer", "1", &told[4]), 1);
    seen = assert_value(k, "newer", "1");
    assert_value(k, "n", "9");
    assert_int_equal(settle(k, f, -ENOSPC), 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(told[i].rc, -ENOSPC);
    assert_int_equal(assert_value(k, "n", "7"), kept);
    assert_value(k, "gone", "1");
    assert_value(k, "new", NULL);
    assert_value(k, "newer", NULL);
    assert_int_equal(k->wanted, 2);

    told[5] = fresh();
    assert_int_equal(kv_put(k->kv, "n", "8", always, &told[5].ack, &version), 0);
    assert_true(version > seen);
    assert_int_equal(flush(k, 0), 1);
    assert_int_equal(told[5].rc, 0);
}

/* The bytes of what was taken back do not count. */
static void taking_back_gives_the_room_back(void **state)
{
    struct kv *small = kv_new((struct kv_limits) {.keys_max = 1, .bytes_max = 10});
    struct kept *k = *state, other = {.kv = small, .journal = k->journal};
    struct told told[2];

    other.journal.arg = &other;
    kv_journal_begin(small, &other.journal, 0);
    assert_int_equal(flush(&other, 0), 0);
    assert_int_equal(put(&other, "a", "123456789", &told[0]), 1);
    assert_int_equal(flush(&other, -EIO), 1);
    assert_int_equal(put(&other, "b", "123456789", &told[0]), 1);
    assert_int_equal(put(&other, "b", "1234567890", &told[1]), -ENOSPC);
    assert_int_equal(flush(&other, 0), 1);
    (void)kv_free(small);
}

static void when_nothing_can_be_read_back_nothing_is_changed_any_more(void **state)
{
    struct kept *k = *state;
    struct told told[2];

    assert_int_equal(put(k, "a", "1", &told[0]), 1);
    k->restore_rc = -EIO;
    assert_int_equal(flush(k, -ENOSPC), 1);
    assert_int_equal(told[0].rc, -ENOSPC);
    assert_int_equal(put(k, "a", "2", &told[1]), -ESHUTDOWN);
    assert_int_equal(add(k, "n", &told[1]), -ESHUTDOWN);
    assert_int_equal(kv_delete(k->kv, "a", always, &told[1].ack), -ESHUTDOWN);
    assert_int_equal(told[1].rc, PENDING);
    assert_int_equal(k->wanted, 1);
}

static void after_a_broken_store_all_is_refused_and_read(void **state)
{
    struct kept *k = *state;
    struct told told;

    assert_int_equal(put(k, "a", "1", &told), 1);
    assert_int_equal(flush(k, 0), 1);
    assert_int_equal(put(k, "a", "2", &told), 0);
    assert_int_equal(flush(k, -ESHUTDOWN), 1);
    assert_int_equal(told.rc, -ESHUTDOWN);
    assert_value(k, "a", "1");
    assert_int_equal(put(k, "a", "3", &told), -ESHUTDOWN);
}

static void a_new_run_gives_no_version_again(void **state)
{
    struct kept *k = *state, next = {.journal = k->journal, .kv = kv_new(limits)};
    struct told told;
    uint64_t kept, seen, version;

    assert_int_equal(put(k, "a", "1", &told), 1);
    assert_int_equal(flush(k, 0), 1);
    kept = assert_value(k, "a", "1");
    /* Seen, and never kept: this run ends here. */
    assert_int_equal(put(k, "a", "2", &told), 0);
    seen = assert_value(k, "a", "2");

    next.journal.arg = &next;
    assert_int_equal(kv_load(next.kv, "a", "1", kept), 0);
    kv_journal_begin(next.kv, &next.journal, k->version);
    assert_int_equal(next.wanted, 1);
    assert_int_equal(assert_value(&next, "a", "1"), kept);
    /* Not before its own versions are kept, so that the run after it knows of them. */
    assert_int_equal(put(&next, "a", "3", &told), -EAGAIN);
    assert_int_equal(flush(&next, 0), 0);
    assert_true(next.version > seen);
    assert_int_equal(next.wanted, 1);
    assert_int_equal(kv_put(next.kv, "a", "3", always, NULL, &version), 0);
    assert_true(version > next.version);
    assert_int_equal(flush(&next, 0), 1);
    (void)kv_free(next.kv);
    assert_int_equal(flush(k, 0), 1);
}

static void versions_run_ahead_only_so_far(void **state)
{
    struct kept *k = *state;
    struct told told;
    uint64_t version, newest = 0;
    int64_t value;
    int rc = 0;

    for (int i = 0; i <= KV_VERSIONS_AHEAD && rc >= 0; i++) {
        rc = kv_add(k->kv, "n", 1, always, NULL, &value, &version);
        newest = rc >= 0 ? version : newest;
    }
    assert_int_equal(rc, -EAGAIN);
    assert_int_equal(newest - k->version, KV_VERSIONS_AHEAD);
    assert_int_equal(flush(k, -EIO), 1);
    assert_value(k, "n", NULL);
    /* A flush of nothing but the version ends it. */
    assert_int_equal(add(k, "n", &told), -EAGAIN);
    assert_int_equal(k->wanted, 2);
    assert_int_equal(flush(k, 0), 0);
    assert_int_equal(add(k, "n", &told), 1);
    assert_int_equal(flush(k, 0), 1);
    assert_true(k->version > newest);
}

static void what_was_kept_is_loaded_whatever_the_limits(void **state)
{
    struct kv *small = kv_new((struct kv_limits) {.keys_max = 1, .bytes_max = 10});
    uint64_t version;

    (void)state;
    assert_int_equal(kv_load(small, "a", "\"123456789\"", 3), 0);
    assert_int_equal(kv_load(small, "b", "\"123456789\"", 4), 0);
    assert_int_equal(kv_load(small, "", "1", 5), -EINVAL);
    assert_int_equal(kv_put(small, "a", "\"1234567890\"", always, NULL, &version), -ENOSPC);
    assert_int_equal(kv_put(small, "a", "\"12345\"", always, NULL, &version), 0);
    assert_int_equal(kv_put(small, "c", "1", always, NULL, &version), -ENOSPC);
    assert_int_equal(kv_delete(small, "b", always, NULL), 0);
    assert_int_equal(kv_put(small, "a", "\"123456\"", always, NULL, &version), 0);
    (void)kv_free(small);
}

/* ---- many threads, and flushes that fail now and then ---- */

struct crowd {
    struct kv *kv;
    struct kv_journal journal;
    sem_t wanted;
    _Atomic bool over;
    char kept[32]; /* of "n"; the flusher's */
    uint64_t version;
    _Atomic int acknowledged, failed;
};

static void post_wanted(void *arg)
{
    struct crowd *c = arg;

    assert_int_equal(sem_post(&c->wanted), 0);
}

static int restore_one(void *arg, const char *key, char **ret_text, uint64_t *ret_version)
{
    const struct crowd *c = arg;

    (void)key;
    if (c->kept[0] == '\0')
        return -ENOENT;
    *ret_text = strdup(c->kept);
    *ret_version = c->version;
    return 0;
}

static void *flush_all(void *arg)
{
    struct crowd *c = arg;

    for (int round = 0;; round++) {
        const char *key, *text;
        uint64_t version;
        struct kv_flush *f;
        bool fails = round % 3 == 2;

        while (sem_wait(&c->wanted) < 0) {
        }
        if (atomic_load(&c->over))
            return NULL;
        f = kv_flush_take(c->kv);
        if (kv_flush_next(f, true, &key, &text, &version) && !fails) {
            (void)snprintf(c->kept, sizeof(c->kept), "%s", text);
            c->version = version;
        }
        kv_flush_settle(c->kv, f, fails ? -EIO : 0);
    }
}

struct waiter {
    struct kv_ack ack;
    sem_t done;
    int rc;
};

static void wake(struct kv_ack *ack, int rc)
{
    struct waiter *w = CONTAINER_OF(ack, struct waiter, ack);

    w->rc = rc;
    (void)sem_post(&w->done);
}

static void *add_and_wait(void *arg)
{
    struct crowd *c = arg;
    struct waiter w = {.ack.done = wake};

    (void)sem_init(&w.done, 0, 0);
    for (int i = 0; i < ADDS; i++) {
        uint64_t version;
        int64_t value;
        int rc = kv_add(c->kv, "n", 1, always, &w.ack, &value, &version);
        if (rc >= 0) {
            while (sem_wait(&w.done) < 0) {
            }
            rc = w.rc;
        }
        atomic_fetch_add(rc == 0 ? &c->acknowledged : &c->failed, 1);
    }
    (void)sem_destroy(&w.done);
    return NULL;
}

static void what_is_acknowledged_is_what_is_there(void **state)
{
    struct crowd c = {.kv = kv_new(limits)};
    struct thread flusher, threads[THREADS];
    struct kv_value value;
    char expected[32];

    (void)state;
    c.journal = (struct kv_journal) {.arg = &c, .wanted = post_wanted, .restore = restore_one};
    assert_int_equal(sem_init(&c.wanted, 0, 0), 0);
    kv_journal_begin(c.kv, &c.journal, 0);
    assert_int_equal(thread_start(&flusher, "flusher", flush_all, &c), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "adder", add_and_wait, &c), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    atomic_store(&c.over, true);
    assert_int_equal(sem_post(&c.wanted), 0);
    thread_join(&flusher);

    assert_int_equal(c.acknowledged + c.failed, THREADS * ADDS);
    assert_true(c.acknowledged > 0 && c.failed > 0);
    (void)snprintf(expected, sizeof(expected), "%d", c.acknowledged);
    assert_int_equal(kv_get(c.kv, "n", &value), 0);
    assert_string_equal(value.text, expected);
    assert_string_equal(c.kept, expected);
    free(value.text);
    (void)kv_free(c.kv);
    (void)sem_destroy(&c.wanted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_of_one_key_are_one_row),
        TEST(what_comes_during_a_flush_shares_the_next),
        TEST(a_flush_can_be_read_again),
        TEST(a_flush_keeps_its_texts),
        TEST(a_deleted_key_is_a_row_without_text),
        TEST(what_is_refused_at_once_is_not_flushed),
        TEST(a_failed_flush_is_taken_back),
        TEST(taking_back_gives_the_room_back),
        TEST(when_nothing_can_be_read_back_nothing_is_changed_any_more),
        TEST(after_a_broken_store_all_is_refused_and_read),
        TEST(a_new_run_gives_no_version_again),
        TEST(versions_run_ahead_only_so_far),
        cmocka_unit_test(what_was_kept_is_loaded_whatever_the_limits),
        cmocka_unit_test(what_is_acknowledged_is_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
