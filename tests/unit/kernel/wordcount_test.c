#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

#define UNIT_BYTES 32768

static void check_text(const char *text, const char *expected)
{
    struct mock m;

    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, text, strlen(text));
    mock_check_answer(&m, expected);
    mock_release(&m);
}

static void counts_words_lines_and_bytes(void **state)
{
    (void)state;
    check_text("The cat, the hat.\nThe end", "{\"words\":6,\"lines\":1,\"bytes\":25,\"top\":"
                                             "[[\"the\",3],[\"cat\",1],[\"end\",1],[\"hat\",1]]}");
    check_text("", "{\"words\":0,\"lines\":0,\"bytes\":0,\"top\":[]}");
    check_text(" \n\n ", "{\"words\":0,\"lines\":2,\"bytes\":4,\"top\":[]}");
}

static void knows_what_a_word_is(void **state)
{
    (void)state;
    check_text("don't 'quoted' o''o rock'n'roll '",
               "{\"words\":5,\"lines\":0,\"bytes\":33,\"top\":"
               "[[\"o\",2],[\"don't\",1],[\"quoted\",1],[\"rock'n'roll\",1]]}");
    check_text("na\xc3\xafve 42 x_y", "{\"words\":4,\"lines\":0,\"bytes\":13,\"top\":"
                                      "[[\"42\",1],[\"na\xc3\xafve\",1],[\"x\",1],[\"y\",1]]}");
}

static void lists_ten_by_count_then_word(void **state)
{
    (void)state;
    check_text("m l k j i h g f e d c b a z z",
               "{\"words\":15,\"lines\":0,\"bytes\":29,\"top\":"
               "[[\"z\",2],[\"a\",1],[\"b\",1],[\"c\",1],[\"d\",1],[\"e\",1],"
               "[\"f\",1],[\"g\",1],[\"h\",1],[\"i\",1]]}");
}

static void takes_the_first_64_bytes_of_long_words(void **state)
{
    char text[200], expected[200], word[65];

    (void)state;
    memset(word, 'w', 64);
    word[64] = '\0';
    (void)snprintf(text, sizeof(text), "%sx %sy", word, word);
    (void)snprintf(expected, sizeof(expected),
                   "{\"words\":2,\"lines\":0,\"bytes\":131,\"top\":[[\"%s\",2]]}", word);
    check_text(text, expected);
}

/* A word lies across each seam between two units, with an apostrophe on every side of one. */
static void words_across_seams_count_once(void **state)
{
    static char text[4 * UNIT_BYTES];
    char expected[200];

    (void)state;
    for (int shift = -6; shift <= 2; shift++) {
        memset(text, ' ', sizeof(text));
        for (int unit = 1; unit < 4; unit++)
            memcpy(text + unit * UNIT_BYTES + shift, "don't", 5);
        text[sizeof(text) - 1] = '\0';
        (void)snprintf(expected, sizeof(expected),
                       "{\"words\":3,\"lines\":0,\"bytes\":131071,\"top\":[[\"don't\",3]]}");
        check_text(text, expected);
    }
}

static void one_endless_word_is_one_word(void **state)
{
    static char text[8 * UNIT_BYTES];
    struct mock m;

    (void)state;
    memset(text, 'a', sizeof(text));
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, text, sizeof(text));
    struct mock_bytes answer = mock_run(&m);

    assert_non_null(strstr(answer.data, "{\"words\":1,"));
    free(answer.data);
    mock_check_splits(&m, 20);
    mock_release(&m);
}

/* So many different words that the table grows several times. */
static void splits_agree_on_a_long_text(void **state)
{
    const size_t room = 1500000;
    char *text = malloc(room);
    size_t size = 0;
    struct mock m;

    (void)state;
    srand(3);
    while (size < room - 40) {
        int n = rand() % 4 == 0 ? rand() % 50000 : rand() % 300;

        size += (size_t)snprintf(text + size, 40, "%s%x%s", n % 7 ? "w" : "Long'word\xc3\xa9", n,
                                 n % 11 ? " " : "\n");
    }
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, text, size);
    mock_check_splits(&m, 20);
    mock_release(&m);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_words_lines_and_bytes),
        cmocka_unit_test(knows_what_a_word_is),
        cmocka_unit_test(lists_ten_by_count_then_word),
        cmocka_unit_test(takes_the_first_64_bytes_of_long_words),
        cmocka_unit_test(words_across_seams_count_once),
        cmocka_unit_test(one_endless_word_is_one_word),
        cmocka_unit_test(splits_agree_on_a_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
