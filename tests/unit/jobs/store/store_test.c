#include "jobs/store/store.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "jobs/store/engine.h"

/* An engine that does as the letters say, and whose transactions wait while a gate is shut. */
static struct fake {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_shut, is_shut_before, is_in_commit, is_open;
    int begin_rc, commit_rc; /* of a transaction */
    int open_rc;
    unsigned in_transaction, largest, begun, commits, rollbacks, idles;
} fake;

struct letter {
    union {
        struct store_write write;
        struct store_submit submit; /* when it is one */
        struct store_claim claim;
        struct store_sweep sweep;
    };
    int apply_rc;
    int commit_rc; /* what a transaction with this in it comes to */
    unsigned commits_before;
    unsigned told, told_as, told_after_commits;
    char thread[16];
    struct letter *then; /* posted by `done` */
    struct store *store;
};
static unsigned told_count;

static int fake_open(void **ret, const struct store_config *config, struct err *err)
{
    (void)config;
    if (fake.open_rc < 0)
        return err_set(err, fake.open_rc, "the fake does not open");
    *ret = &fake;
    fake.is_open = true;
    return 0;
}

static void fake_close(void *e)
{
    assert_ptr_equal(e, &fake);
    fake.is_open = false;
}

static void wait_while(const bool *is_shut)
{
    CHECK(pthread_mutex_lock(&fake.mutex) == 0);
    while (*is_shut)
        (void)pthread_cond_wait(&fake.changed, &fake.mutex);
    (void)pthread_mutex_unlock(&fake.mutex);
}

static void set_gate(bool *gate, bool is_shut)
{
    CHECK(pthread_mutex_lock(&fake.mutex) == 0);
    *gate = is_shut;
    (void)pthread_cond_broadcast(&fake.changed);
    (void)pthread_mutex_unlock(&fake.mutex);
}

static int fake_begin(void *e)
{
    (void)e;
    wait_while(&fake.is_shut_before);
    fake.begun++;
    fake.in_transaction = 0;
    fake.commit_rc = 0;
    return fake.begin_rc;
}

static int fake_apply(void *e, struct store_write *w)
{
    struct letter *l = CONTAINER_OF(w, struct letter, write);

    (void)e;
    fake.in_transaction++;
    fake.commit_rc = MIN(fake.commit_rc, l->commit_rc);
    l->commits_before = fake.commits;
    return l->apply_rc;
}

static int fake_commit(void *e)
{
    (void)e;
    set_gate(&fake.is_in_commit, true);
    wait_while(&fake.is_shut);
    set_gate(&fake.is_in_commit, false);
    if (fake.commit_rc < 0)
        return fake.commit_rc;
    fake.commits++;
    fake.largest = MAX(fake.largest, fake.in_transaction);
    return 0;
}

static void fake_rollback(void *e)
{
    (void)e;
    fake.rollbacks++;
}

static void fake_idle(void *e)
{
    (void)e;
    CHECK(pthread_mutex_lock(&fake.mutex) == 0);
    fake.idles++;
    (void)pthread_cond_broadcast(&fake.changed);
    (void)pthread_mutex_unlock(&fake.mutex);
}

static int fake_list(void *e, const struct store_filter *filter, size_t max, struct record *ret)
{
    (void)e;
    (void)filter;
    (void)ret;
    return (int)max;
}

static const char *fake_name(void *e)
{
    (void)e;
    return "fake 1.0";
}

static const struct engine engine_fake = {
    .open = fake_open,
    .close = fake_close,
    .begin = fake_begin,
    .apply = fake_apply,
    .commit = fake_commit,
    .rollback = fake_rollback,
    .idle = fake_idle,
    .list = fake_list,
    .name = fake_name,
};

static int set_up(void **state)
{
    struct store *s;
    const struct store_config config = {.engine = "fake"};

    fake = (struct fake) {.is_shut = false};
    told_count = 0;
    (void)pthread_mutex_init(&fake.mutex, NULL);
    (void)pthread_cond_init(&fake.changed, NULL);
    if (store_open_engine(&s, &engine_fake, &config, NULL) < 0)
        return -1;
    *state = s;
    return 0;
}

static void wait_for_commit(void)
{
    (void)pthread_mutex_lock(&fake.mutex);
    while (!fake.is_in_commit)
        (void)pthread_cond_wait(&fake.changed, &fake.mutex);
    (void)pthread_mutex_unlock(&fake.mutex);
}

static void post_letter(struct letter *l)
{
    assert_int_equal(store_post(l->store, &l->write), 0);
}

static void note(struct store_write *w)
{
    struct letter *l = CONTAINER_OF(w, struct letter, write);

    l->told++;
    l->told_as = ++told_count;
    l->told_after_commits = fake.commits;
    (void)pthread_getname_np(pthread_self(), l->thread, sizeof(l->thread));
    if (l->then != NULL)
        CHECK(store_post(l->store, &l->then->write) == 0);
}

static void init_letters(struct store *s, struct letter *letters, size_t count)
{
    memset(letters, 0, count * sizeof(*letters));
    for (size_t i = 0; i < count; i++) {
        letters[i].write.kind = STORE_END;
        letters[i].write.done = note;
        letters[i].write.rc = 1234;
        letters[i].store = s;
    }
}

/* The first is being committed while the others gather; then all are let through. */
static void post_as_one_batch(struct store *s, struct letter *letters, size_t count)
{
    struct letter first;

    init_letters(s, &first, 1);
    set_gate(&fake.is_shut, true);
    post_letter(&first);
    wait_for_commit();
    for (size_t i = 0; i < count; i++)
        post_letter(&letters[i]);
    set_gate(&fake.is_shut, false);
    assert_null(store_close(s));
    assert_int_equal(first.told, 1);
    assert_int_equal(first.write.rc, 0);
    assert_false(fake.is_open);
}

static void each_is_told_once_in_order_after_its_commit_by_the_stores_thread(void **state)
{
    enum { COUNT = 3 * STORE_BATCH_MAX };
    static struct letter letters[COUNT];

    init_letters(*state, letters, COUNT);
    post_as_one_batch(*state, letters, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(letters[i].told, 1);
        assert_int_equal(letters[i].write.rc, 0);
        assert_int_equal(letters[i].told_as, i + 2);
        assert_true(letters[i].told_after_commits > letters[i].commits_before);
        assert_string_equal(letters[i].thread, "store");
    }
}

static void what_gathers_during_a_commit_shares_the_next(void **state)
{
    enum { COUNT = 2 * STORE_BATCH_MAX + 1 };
    static struct letter letters[COUNT];

    init_letters(*state, letters, COUNT);
    post_as_one_batch(*state, letters, COUNT);
    assert_int_equal(fake.commits, 1 + 3);
    assert_int_equal(fake.largest, STORE_BATCH_MAX);
    assert_int_equal(fake.rollbacks, 0);
}

static void a_refusal_leaves_its_neighbours_in_peace(void **state)
{
    const int refusals[] = {-EEXIST, -EBUSY,    -EFBIG,  -EDQUOT,
                            -ESTALE, -EALREADY, -ENOENT, -ENODATA};
    struct letter letters[2 * ARRAY_SIZE(refusals)];

    init_letters(*state, letters, ARRAY_SIZE(letters));
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        letters[2 * i].apply_rc = refusals[i];
    letters[1].apply_rc = 1;
    post_as_one_batch(*state, letters, ARRAY_SIZE(letters));
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
        assert_int_equal(letters[i].write.rc, letters[i].apply_rc);
    assert_int_equal(fake.commits, 2);
    assert_int_equal(fake.rollbacks, 0);
}

static void one_that_spoils_a_batch_fails_alone(void **state)
{
    struct letter letters[5];

    init_letters(*state, letters, 5);
    letters[2].apply_rc = -ENOSPC;
    post_as_one_batch(*state, letters, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(letters[i].write.rc, i == 2 ? -ENOSPC : 0);
        assert_int_equal(letters[i].told, 1);
        assert_int_equal(letters[i].told_as, i + 2);
    }
    assert_int_equal(fake.commits, 1 + 4);
    assert_int_equal(fake.rollbacks, 2);
    assert_int_equal(fake.largest, 1);
}

static void one_that_lets_the_commit_fail_fails_alone(void **state)
{
    struct letter letters[5];

    init_letters(*state, letters, 5);
    letters[0].commit_rc = -ENOSPC;
    letters[3].apply_rc = -ESTALE;
    post_as_one_batch(*state, letters, 5);
    assert_int_equal(letters[0].write.rc, -ENOSPC);
    assert_int_equal(letters[3].write.rc, -ESTALE);
    assert_int_equal(letters[4].write.rc, 0);
    assert_int_equal(fake.commits, 1 + 4);
    assert_int_equal(fake.rollbacks, 0);
}

static void one_alone_is_not_tried_twice(void **state)
{
    struct letter letter;

    init_letters(*state, &letter, 1);
    letter.apply_rc = -EIO;
    post_as_one_batch(*state, &letter, 1);
    assert_int_equal(letter.write.rc, -EIO);
    assert_int_equal(fake.begun, 2);
}

static void a_transaction_that_cannot_begin_fails_each(void **state)
{
    struct letter letters[2];
    struct store *s = *state;

    init_letters(s, letters, 2);
    fake.begin_rc = -EROFS;
    post_letter(&letters[0]);
    post_letter(&letters[1]);
    (void)store_close(s);
    assert_int_equal(letters[0].write.rc, -EROFS);
    assert_int_equal(letters[1].write.rc, -EROFS);
    assert_int_equal(fake.commits + fake.rollbacks, 0);
}

/* Runs `posting` and reads what it writes on standard error meanwhile. */
static size_t error_lines_of(void (*posting)(struct store *s, struct letter *letters),
                             struct store *s, struct letter *letters)
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    char line[2048];
    size_t count = 0;

    assert_non_null(file);
    assert_true(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    posting(s, letters);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, "level=error") != NULL && strstr(line, "fake 1.0") != NULL;
    (void)fclose(file);
    return count;
}

enum { BREAKING = 3 * STORE_BATCH_MAX };

static void post_and_break(struct store *s, struct letter *letters)
{
    struct letter late;

    set_gate(&fake.is_shut_before, true);
    for (size_t i = 0; i < BREAKING; i++)
        post_letter(&letters[i]);
    set_gate(&fake.is_shut_before, false);
    while (store_broken(s) == NULL)
        (void)sched_yield();
    init_letters(s, &late, 1);
    assert_int_equal(store_post(s, &late.write), -ESHUTDOWN);
    assert_int_equal(store_list(s, NULL, 5, NULL), 5);
    assert_non_null(strstr(store_broken(s), "start the server anew"));
    (void)store_close(s);
    assert_int_equal(late.told, 0);
}

/* All letters from `first` on hear of it. */
static void check_broken_from(struct store *s, struct letter *letters, size_t first)
{
    assert_int_equal(error_lines_of(post_and_break, s, letters), 1);
    for (size_t i = 0; i < BREAKING; i++) {
        if (i >= first)
            assert_int_equal(letters[i].write.rc, -ESHUTDOWN);
        assert_int_equal(letters[i].told, 1);
    }
    assert_false(fake.is_open);
}

static void a_sync_that_fails_breaks_it_for_good(void **state)
{
    static struct letter letters[BREAKING];

    init_letters(*state, letters, BREAKING);
    letters[STORE_BATCH_MAX + 1].commit_rc = -ESHUTDOWN;
    check_broken_from(*state, letters, STORE_BATCH_MAX + 1);
    assert_true(fake.commits <= 2);
}

static void a_write_that_fails_so_breaks_it_for_good(void **state)
{
    static struct letter letters[BREAKING];

    init_letters(*state, letters, BREAKING);
    letters[0].apply_rc = -ESHUTDOWN;
    check_broken_from(*state, letters, 0);
    assert_int_equal(fake.commits, 0);
    assert_int_equal(fake.begun, 1);
}

static void breaking_while_each_is_tried_alone_is_for_good_too(void **state)
{
    static struct letter letters[BREAKING];

    init_letters(*state, letters, BREAKING);
    letters[2].apply_rc = -EIO;
    letters[5].commit_rc = -ESHUTDOWN;
    check_broken_from(*state, letters, 5);
    assert_true(letters[2].write.rc == -EIO || letters[2].write.rc == -ESHUTDOWN);
}

static void only_submissions_are_refused_when_too_many_wait(void **state)
{
    static struct letter letters[STORE_PENDING_MAX + 3];
    struct store_status status;
    struct store *s = *state;

    init_letters(s, letters, ARRAY_SIZE(letters));
    set_gate(&fake.is_shut, true);
    for (size_t i = 0; i < STORE_PENDING_MAX; i++) {
        letters[i].write.kind = STORE_SUBMIT;
        post_letter(&letters[i]);
    }
    letters[STORE_PENDING_MAX].write.kind = STORE_SUBMIT;
    assert_int_equal(store_post(s, &letters[STORE_PENDING_MAX].write), -EBUSY);
    post_letter(&letters[STORE_PENDING_MAX + 1]);
    post_letter(&letters[STORE_PENDING_MAX + 2]);
    store_status(s, &status);
    assert_int_equal(status.pending, STORE_PENDING_MAX + 2);
    set_gate(&fake.is_shut, false);
    (void)store_close(s);
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
        assert_int_equal(letters[i].told, i != STORE_PENDING_MAX);
}

static void closing_waits_for_what_others_post_when_they_are_told(void **state)
{
    struct letter letters[4];
    struct store *s = *state;

    init_letters(s, letters, 4);
    for (size_t i = 0; i < 3; i++)
        letters[i].then = &letters[i + 1];
    set_gate(&fake.is_shut, true);
    post_letter(&letters[0]);
    wait_for_commit();
    set_gate(&fake.is_shut, false);
    (void)store_close(s);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(letters[i].told, 1);
    assert_int_equal(fake.commits, 4);
}

static void wait_for_idle(unsigned count)
{
    (void)pthread_mutex_lock(&fake.mutex);
    while (fake.idles < count)
        (void)pthread_cond_wait(&fake.changed, &fake.mutex);
    (void)pthread_mutex_unlock(&fake.mutex);
}

static void the_engine_hears_once_that_nothing_happens(void **state)
{
    struct letter letter;
    struct store *s = *state;

    init_letters(s, &letter, 1);
    wait_for_idle(1);
    post_letter(&letter);
    wait_for_idle(2);
    (void)store_close(s);
    assert_int_equal(fake.idles, 2);
    assert_int_equal(letter.told, 1);
}

static void wait_until_none_waits(struct store *s, struct store_status *ret)
{
    for (;;) {
        store_status(s, ret);
        if (ret->pending == 0)
            return;
        (void)sched_yield();
    }
}

static void its_status_counts(void **state)
{
    struct letter letters[3];
    struct store_status status;
    struct store *s = *state;

    init_letters(s, letters, 3);
    letters[0].apply_rc = -EIO;
    letters[1].apply_rc = -ESTALE;
    for (size_t i = 0; i < 3; i++) {
        post_letter(&letters[i]);
        wait_until_none_waits(s, &status);
    }
    assert_int_equal(status.writes, 3);
    assert_int_equal(status.failures, 1);
    assert_int_equal(status.commits, 2);
    assert_true(status.commit_ns > 0);
    assert_in_range(status.commit_max_ns, status.commit_ns / 2, status.commit_ns);
    (void)store_close(s);
}

static void a_page_is_never_longer_than_its_limit(void **state)
{
    assert_int_equal(store_list(*state, NULL, STORE_LIST_MAX + 1, NULL), STORE_LIST_MAX);
    assert_int_equal(store_list(*state, NULL, 7, NULL), 7);
    (void)store_close(*state);
}

/* By how much one such write, which ends so, moves the serial. */
static uint64_t serial_moved_by(struct store *s, const struct letter *like)
{
    static struct letter letters[16]; /* each may be told a moment after nothing waits any more */
    static unsigned used;
    struct letter *l = &letters[used++ % ARRAY_SIZE(letters)];
    struct store_status status;
    uint64_t before = store_serial(s);

    *l = *like;
    l->write.done = note;
    l->store = s;
    post_letter(l);
    wait_until_none_waits(s, &status);
    return store_serial(s) - before;
}

static void its_serial_tells_when_a_job_has_changed(void **state)
{
    const enum store_kind changes[] = {STORE_SUBMIT, STORE_END, STORE_CANCEL, STORE_RETRY,
                                       STORE_FORGET};
    struct letter l = {.apply_rc = 0};

    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        l.write.kind = changes[i];
        assert_int_equal(serial_moved_by(*state, &l), 1);
    }
    l.apply_rc = -ENOENT;
    assert_int_equal(serial_moved_by(*state, &l), 0);
    l.apply_rc = 1; /* the same was submitted before */
    l.write.kind = STORE_SUBMIT;
    assert_int_equal(serial_moved_by(*state, &l), 0);
    (void)store_close(*state);
}

static void its_serial_stays_when_nothing_was_found_to_do(void **state)
{
    struct letter l = {.write = {.kind = STORE_STATE}};

    assert_int_equal(serial_moved_by(*state, &l), 0);
    l = (struct letter) {.claim = {.write = {.kind = STORE_CLAIM}}};
    assert_int_equal(serial_moved_by(*state, &l), 0);
    l.claim.count = 1;
    assert_int_equal(serial_moved_by(*state, &l), 1);
    l = (struct letter) {.claim = {.write = {.kind = STORE_CLAIM}, .late_count = 1}};
    assert_int_equal(serial_moved_by(*state, &l), 1);
    l = (struct letter) {.sweep = {.write = {.kind = STORE_SWEEP}}};
    assert_int_equal(serial_moved_by(*state, &l), 0);
    l.sweep.removed = 1;
    assert_int_equal(serial_moved_by(*state, &l), 1);
    (void)store_close(*state);
}

static void an_engine_that_does_not_open_says_why(void **state)
{
    const struct store_config config = {.engine = "fake"};
    struct store *s = NULL;
    struct err err;

    (void)store_close(*state);
    fake.open_rc = -EUCLEAN;
    assert_int_equal(store_open_engine(&s, &engine_fake, &config, &err), -EUCLEAN);
    assert_string_equal(err.text, "the fake does not open");
    assert_null(s);
}

static void another_word_is_answered_with_those_that_there_are(void **state)
{
    const char *const words[] = {"", "postgres:x", "memory:", "sqlite", "SQLITE:x"};
    struct store *s = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const struct store_config config = {.engine = words[i]};
        struct err err = {.text = ""};
        assert_int_equal(store_open(&s, &config, &err), -EINVAL);
        assert_non_null(strstr(err.text, "sqlite:PATH"));
        assert_non_null(strstr(err.text, "memory"));
    }
    assert_null(s);
    assert_null(store_close(NULL));
}

static void memory_is_opened_by_its_name(void **state)
{
    const struct store_config config = {.engine = "memory"};
    struct store *s;

    (void)state;
    assert_int_equal(store_open(&s, &config, NULL), 0);
    assert_string_equal(store_name(s), "memory");
    assert_null(store_broken(s));
    (void)store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_is_told_once_in_order_after_its_commit_by_the_stores_thread,
                               set_up),
        cmocka_unit_test_setup(what_gathers_during_a_commit_shares_the_next, set_up),
        cmocka_unit_test_setup(a_refusal_leaves_its_neighbours_in_peace, set_up),
        cmocka_unit_test_setup(one_that_spoils_a_batch_fails_alone, set_up),
        cmocka_unit_test_setup(one_that_lets_the_commit_fail_fails_alone, set_up),
        cmocka_unit_test_setup(one_alone_is_not_tried_twice, set_up),
        cmocka_unit_test_setup(a_transaction_that_cannot_begin_fails_each, set_up),
        cmocka_unit_test_setup(a_sync_that_fails_breaks_it_for_good, set_up),
        cmocka_unit_test_setup(a_write_that_fails_so_breaks_it_for_good, set_up),
        cmocka_unit_test_setup(breaking_while_each_is_tried_alone_is_for_good_too, set_up),
        cmocka_unit_test_setup(only_submissions_are_refused_when_too_many_wait, set_up),
        cmocka_unit_test_setup(closing_waits_for_what_others_post_when_they_are_told, set_up),
        cmocka_unit_test_setup(the_engine_hears_once_that_nothing_happens, set_up),
        cmocka_unit_test_setup(its_status_counts, set_up),
        cmocka_unit_test_setup(a_page_is_never_longer_than_its_limit, set_up),
        cmocka_unit_test_setup(its_serial_tells_when_a_job_has_changed, set_up),
        cmocka_unit_test_setup(its_serial_stays_when_nothing_was_found_to_do, set_up),
        cmocka_unit_test_setup(an_engine_that_does_not_open_says_why, set_up),
        cmocka_unit_test(another_word_is_answered_with_those_that_there_are),
        cmocka_unit_test(memory_is_opened_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
