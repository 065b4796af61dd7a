#include "thread/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "thread/thread.h"

enum { POSTERS = 4, LETTERS = 5000, TURNS = 2000 };

struct letter {
    struct mail mail;
    unsigned poster, number;
};

static int set_up(void **state)
{
    static struct mailbox m;

    mailbox_init(&m);
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    mailbox_release(*state);
    return 0;
}

static struct letter *take_first(struct mail_list *list)
{
    struct mail *mail = STAILQ_FIRST(list);

    CHECK(mail != NULL);
    STAILQ_REMOVE_HEAD(list, link);
    return CONTAINER_OF(mail, struct letter, mail);
}

static void letters_come_in_the_order_of_posting(void **state)
{
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    struct letter letters[3] = {{.number = 0}, {.number = 1}, {.number = 2}};

    for (unsigned i = 0; i < 3; i++)
        mailbox_post(*state, &letters[i].mail);
    assert_int_equal(mailbox_take(*state, &list, 10, CLOCK_NEVER), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(take_first(&list)->number, i);
    assert_true(STAILQ_EMPTY(&list));
}

static void at_most_max_are_taken_and_put_behind_what_is_there(void **state)
{
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    struct letter letters[3] = {{.number = 0}, {.number = 1}, {.number = 2}};

    for (unsigned i = 0; i < 3; i++)
        mailbox_post(*state, &letters[i].mail);
    assert_int_equal(mailbox_take(*state, &list, 2, CLOCK_NEVER), 2);
    assert_int_equal(mailbox_take(*state, &list, 2, CLOCK_NEVER), 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(take_first(&list)->number, i);
}

static void nothing_comes_when_the_deadline_has_passed(void **state)
{
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    uint64_t deadline_ns = clock_now_ns() + CLOCK_NS_PER_MS;

    assert_int_equal(mailbox_take(*state, &list, 1, 0), 0);
    assert_int_equal(mailbox_take(*state, &list, 1, deadline_ns), 0);
    assert_true(clock_now_ns() >= deadline_ns);
    assert_true(STAILQ_EMPTY(&list));
}

static void mail_that_is_there_comes_in_spite_of_the_deadline(void **state)
{
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    struct letter letter = {.number = 7};

    mailbox_post(*state, &letter.mail);
    assert_int_equal(mailbox_take(*state, &list, 1, 0), 1);
    assert_int_equal(take_first(&list)->number, 7);
}

static void a_lock_of_any_other_rank_may_be_held(void **state)
{
    const enum lock_rank ranks[] = {LOCK_PARK, LOCK_SCHED, LOCK_STORE, LOCK_STATE};
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    struct letter letter;

    for (size_t i = 0; i < ARRAY_SIZE(ranks); i++) {
        struct lock lock;
        lock_init(&lock, ranks[i]);
        lock_take(&lock);
        mailbox_post(*state, &letter.mail);
        lock_drop(&lock);
        lock_release(&lock);
        assert_int_equal(mailbox_take(*state, &list, 1, 0), 1);
        assert_ptr_equal(take_first(&list), &letter);
    }
}

struct poster {
    struct thread thread;
    struct mailbox *mailbox;
    struct letter letters[LETTERS];
};

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (unsigned i = 0; i < LETTERS; i++)
        mailbox_post(p->mailbox, &p->letters[i].mail);
    return NULL;
}

static void each_poster_is_heard_in_its_own_order(void **state)
{
    static struct poster posters[POSTERS];
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    unsigned next[POSTERS] = {0};

    for (unsigned p = 0; p < POSTERS; p++) {
        posters[p].mailbox = *state;
        for (unsigned i = 0; i < LETTERS; i++)
            posters[p].letters[i] = (struct letter) {.poster = p, .number = i};
        assert_int_equal(thread_start(&posters[p].thread, "poster", post_all, &posters[p]), 0);
    }
    for (size_t left = POSTERS * LETTERS; left > 0;) {
        size_t count = mailbox_take(*state, &list, 16, CLOCK_NEVER);
        assert_in_range(count, 1, 16);
        for (left -= count; count > 0; count--) {
            struct letter *letter = take_first(&list);
            assert_int_equal(letter->number, next[letter->poster]++);
        }
        assert_true(STAILQ_EMPTY(&list));
    }
    for (unsigned p = 0; p < POSTERS; p++)
        thread_join(&posters[p].thread);
}

/* One letter goes to and fro: both sides fall asleep in each turn, so that one lost waking would hang. */
struct players {
    struct mailbox there, back;
};

static void *send_back(void *arg)
{
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    struct players *p = arg;

    for (int i = 0; i < TURNS; i++) {
        /* Every other time with a deadline, which must not come. */
        uint64_t deadline_ns = i % 2 == 0 ? CLOCK_NEVER : clock_now_ns() + 100 * CLOCK_NS_PER_S;
        CHECK(mailbox_take(&p->there, &list, 1, deadline_ns) == 1);
        mailbox_post(&p->back, &take_first(&list)->mail);
    }
    return NULL;
}

static void a_sleeper_is_always_woken(void **state)
{
    struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
    struct letter letter, *taken = &letter;
    struct players players;
    struct thread thread;

    (void)state;
    mailbox_init(&players.there);
    mailbox_init(&players.back);
    assert_int_equal(thread_start(&thread, "player", send_back, &players), 0);
    for (int i = 0; i < TURNS; i++) {
        mailbox_post(&players.there, &taken->mail);
        assert_int_equal(mailbox_take(&players.back, &list, 1, CLOCK_NEVER), 1);
        taken = take_first(&list);
        assert_ptr_equal(taken, &letter);
    }
    thread_join(&thread);
    mailbox_release(&players.there);
    mailbox_release(&players.back);
}

struct errand {
    struct mailbox *m;
    struct letter letter;
};

static void *post_one(void *arg)
{
    struct errand *errand = arg;

    mailbox_post(errand->m, &errand->letter.mail);
    return NULL;
}

/* With the sanitizers this fails when the poster still touches what has been taken apart. */
static void who_has_the_last_letter_may_take_it_apart(void **state)
{
    (void)state;
    for (int i = 0; i < TURNS; i++) {
        struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
        struct errand errand = {.m = malloc(sizeof(*errand.m))};
        struct thread poster;

        assert_non_null(errand.m);
        mailbox_init(errand.m);
        assert_int_equal(thread_start(&poster, "poster", post_one, &errand), 0);
        assert_int_equal(mailbox_take(errand.m, &list, 1, CLOCK_NEVER), 1);
        mailbox_release(errand.m);
        free(errand.m);
        thread_join(&poster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(letters_come_in_the_order_of_posting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_most_max_are_taken_and_put_behind_what_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_comes_when_the_deadline_has_passed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(mail_that_is_there_comes_in_spite_of_the_deadline, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_lock_of_any_other_rank_may_be_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_poster_is_heard_in_its_own_order, set_up, tear_down),
        cmocka_unit_test(a_sleeper_is_always_woken),
        cmocka_unit_test(who_has_the_last_letter_may_take_it_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
