#include "ipc/description.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "ipc/wire.h"

enum { LIMIT, SCALE, TITLE, METHOD, XS, DOC };

static const char *const methods[] = {"fast", "exact", NULL};

static int map_nothing(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static int fold_nothing(struct prong_ctx *c, struct prong_buf left, struct prong_buf right)
{
    (void)c, (void)left, (void)right;
    return 0;
}

/* A sound kernel with a parameter of each type; a test spoils one thing in it. */
static struct prong_param params[PRONG_PARAMS_MAX + 1];
static struct prong_kernel kernel;

static int set_up(void **state)
{
    const struct prong_param all[] = {
        [LIMIT] = PRONG_PARAM_INT("limit", -5, 100, 7, "how far"),
        [SCALE] = PRONG_PARAM_REAL("scale", -1.5, 2.5, 0.5, "how much"),
        [TITLE] = PRONG_PARAM_TEXT("title", 10, "0123456789", "what to call it"),
        [METHOD] = PRONG_PARAM_CHOICE("method", methods, "exact", "in which way"),
        [XS] = PRONG_PARAM_VALUES("xs", 1000, "the numbers"),
        [DOC] = PRONG_PARAM_JSON("doc", 4096, "whatever it is"),
    };

    (void)state;
    memset(params, 0, sizeof(params));
    memcpy(params, all, sizeof(all));
    kernel = (struct prong_kernel) {
        .size = sizeof(kernel),
        .abi_major = PRONG_ABI_MAJOR,
        .abi_minor = PRONG_ABI_MINOR,
        .flags = PRONG_PURE | PRONG_ASSOCIATIVE,
        .name = "test-kernel",
        .version = "1.2",
        .summary = "Does nothing.",
        .example = "limit=3",
        .media_type = "application/json",
        .takes_raw = 1,
        .params = params,
        .param_count = 6,
        .map = map_nothing,
        .combine = fold_nothing,
    };
    return 0;
}

static void assert_refused(void)
{
    struct err err = {.text = ""};

    assert_int_equal(description_check(&kernel, &err), -EINVAL);
    assert_true(strlen(err.text) > 10);
    assert_int_equal(err.text[strlen(err.text) - 1], '.');
}

static void a_sound_kernel_is_accepted(void **state)
{
    struct err err = {.text = "untouched"};

    (void)state;
    assert_int_equal(description_check(&kernel, &err), 0);
    assert_string_equal(err.text, "untouched");
}

static void another_abi_is_refused(void **state)
{
    (void)state;
    kernel.abi_major++;
    assert_refused();
    kernel.abi_major--;
    kernel.abi_minor++;
    assert_refused();
    kernel.abi_minor--;
    kernel.size = offsetof(struct prong_kernel, selftest) - 1;
    assert_refused();
    kernel.size++;
    assert_int_equal(description_check(&kernel, NULL), 0);
}

static void a_bad_name_is_refused(void **state)
{
    char longest[PRONG_NAME_MAX + 2];
    const char *const bad[] = {NULL, "", "Upper", "a/b", "a b", longest};

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        kernel.name = bad[i];
        assert_refused();
    }
    kernel.name = longest + 1;
    assert_int_equal(description_check(&kernel, NULL), 0);
}

static void a_kernel_needs_version_and_map(void **state)
{
    (void)state;
    kernel.version = NULL;
    assert_refused();
    kernel.version = "1";
    kernel.map = NULL;
    assert_refused();
}

static void too_many_parameters_are_refused(void **state)
{
    (void)state;
    for (uint32_t i = 6; i <= PRONG_PARAMS_MAX; i++)
        params[i] = params[LIMIT];
    kernel.param_count = PRONG_PARAMS_MAX;
    assert_int_equal(description_check(&kernel, NULL), 0);
    kernel.param_count++;
    assert_refused();
}

static void parameters_that_are_not_there_are_refused(void **state)
{
    (void)state;
    kernel.params = NULL;
    assert_refused();
    kernel.param_count = 0;
    assert_int_equal(description_check(&kernel, NULL), 0);
}

static void a_parameter_of_another_size_or_type_is_refused(void **state)
{
    (void)state;
    params[LIMIT].size--;
    assert_refused();
    params[LIMIT].size++;
    params[LIMIT].type = (enum prong_type)0;
    assert_refused();
    params[LIMIT].type = (enum prong_type)(PRONG_JSON + 1);
    assert_refused();
    params[LIMIT].type = PRONG_INT;
    params[LIMIT].name = "no name";
    assert_refused();
}

static void an_integer_default_is_within_its_bounds(void **state)
{
    (void)state;
    params[LIMIT].int_default = 101;
    assert_refused();
    params[LIMIT].int_default = -6;
    assert_refused();
    params[LIMIT].int_default = -5;
    assert_int_equal(description_check(&kernel, NULL), 0);
}

static void real_bounds_are_finite_and_hold_the_default(void **state)
{
    (void)state;
    params[SCALE].real_default = NAN;
    assert_refused();
    params[SCALE].real_default = 2.6;
    assert_refused();
    params[SCALE].real_default = 2.5;
    assert_int_equal(description_check(&kernel, NULL), 0);
    params[SCALE].real_max = INFINITY;
    assert_refused();
    params[SCALE].real_max = 2.5;
    params[SCALE].real_min = NAN;
    assert_refused();
}

static void a_text_default_fits(void **state)
{
    (void)state;
    params[TITLE].count_max = 9;
    assert_refused();
    params[TITLE].text_default = NULL;
    assert_int_equal(description_check(&kernel, NULL), 0);
}

static void a_choice_has_words_and_its_default_is_one(void **state)
{
    const char *const none[] = {NULL};
    const char *many[PRONG_CHOICES_MAX + 2] = {0};

    (void)state;
    params[METHOD].text_default = "slow";
    assert_refused();
    params[METHOD].text_default = NULL;
    assert_refused();
    params[METHOD].text_default = "a";
    params[METHOD].choices = none;
    assert_refused();
    params[METHOD].choices = NULL;
    assert_refused();
    params[METHOD].choices = many;
    for (size_t i = 0; i < PRONG_CHOICES_MAX; i++)
        many[i] = "a";
    assert_int_equal(description_check(&kernel, NULL), 0);
    many[PRONG_CHOICES_MAX] = "a";
    assert_refused();
}

static void values_must_be_some(void **state)
{
    (void)state;
    params[XS].count_max = 0;
    assert_refused();
}

static void what_is_required_needs_no_default(void **state)
{
    (void)state;
    params[LIMIT].int_default = 101;
    params[LIMIT].required = 1;
    params[METHOD].text_default = NULL;
    params[METHOD].required = 1;
    assert_int_equal(description_check(&kernel, NULL), 0);
    params[LIMIT].int_min = 101;
    assert_refused();
}

static void json_has_a_bound_and_a_default_or_is_required(void **state)
{
    (void)state;
    params[DOC].required = 0;
    assert_refused();
    params[DOC].text_default = "[]";
    assert_int_equal(description_check(&kernel, NULL), 0);
    params[DOC].count_max = 1;
    assert_refused();
    params[DOC].count_max = 0;
    params[DOC].required = 1;
    assert_refused();
}

static struct buf encoded(const char *broken)
{
    struct buf b;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    assert_int_equal(description_encode(&b, &kernel, broken), 0);
    return b;
}

static struct description *decoded(const struct buf *b)
{
    struct description *d = NULL;

    assert_int_equal(description_decode(b->data, b->size, &d), 0);
    return d;
}

static void a_kernel_is_decoded_as_it_was(void **state)
{
    struct buf b = encoded("It failed.");
    struct description *d = decoded(&b);

    (void)state;
    buf_release(&b);
    assert_string_equal(d->name, "test-kernel");
    assert_string_equal(d->version, "1.2");
    assert_string_equal(d->summary, "Does nothing.");
    assert_string_equal(d->example, "limit=3");
    assert_string_equal(d->media_type, "application/json");
    assert_string_equal(d->broken, "It failed.");
    assert_int_equal(d->flags, PRONG_PURE | PRONG_ASSOCIATIVE);
    assert_true(d->takes_raw && d->has_combine);
    assert_false(d->has_plan || d->has_finish);
    assert_false(d->has_batch);
    assert_int_equal(d->param_count, 6);
    free(d);
}

static void parameters_are_decoded_as_they_were(void **state)
{
    struct buf b = encoded(NULL);
    struct description *d = decoded(&b);
    const struct description_param *p = d->params;

    (void)state;
    buf_release(&b);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(p[i].type, params[i].type);
        assert_string_equal(p[i].name, params[i].name);
        assert_string_equal(p[i].help, params[i].help);
        assert_int_equal(p[i].count_max, params[i].count_max);
        assert_int_equal(p[i].required, i == XS || i == DOC);
    }
    assert_int_equal(p[LIMIT].int_min, -5);
    assert_int_equal(p[LIMIT].int_max, 100);
    assert_int_equal(p[LIMIT].int_default, 7);
    assert_true(p[SCALE].real_min == -1.5 && p[SCALE].real_max == 2.5);
    assert_true(p[SCALE].real_default == 0.5);
    assert_string_equal(p[TITLE].text_default, "0123456789");
    assert_int_equal(p[METHOD].choice_count, 2);
    assert_string_equal(p[METHOD].choices[0], "fast");
    assert_string_equal(p[METHOD].choices[1], "exact");
    assert_string_equal(p[METHOD].text_default, "exact");
    free(d);
}

static void what_is_absent_is_empty(void **state)
{
    struct description *d;
    struct buf b;

    (void)state;
    kernel.summary = kernel.example = kernel.media_type = NULL;
    params[LIMIT].help = NULL;
    b = encoded(NULL);
    d = decoded(&b);
    assert_string_equal(d->summary, "");
    assert_string_equal(d->example, "");
    assert_string_equal(d->media_type, "application/octet-stream");
    assert_string_equal(d->broken, "");
    assert_string_equal(d->params[LIMIT].help, "");
    buf_release(&b);
    free(d);
}

static int batch_nothing(struct prong_ctx *const *calls, uint32_t count)
{
    (void)calls, (void)count;
    return 0;
}

static void what_is_required_and_batched_is_told(void **state)
{
    struct description *d;
    struct buf b;

    (void)state;
    params[TITLE].required = 1;
    kernel.batch = batch_nothing;
    b = encoded(NULL);
    d = decoded(&b);
    assert_true(d->params[TITLE].required);
    assert_false(d->params[LIMIT].required);
    assert_true(d->has_batch);
    buf_release(&b);
    free(d);
}

/* ---- kernels of ABI 1.0 ---- */

/* As kernel.h had it. */
struct param_1_0 {
    uint32_t size;
    enum prong_type type;
    const char *name, *help;
    int64_t int_min, int_max, int_default;
    double real_min, real_max, real_default;
    uint64_t count_max;
    const char *text_default;
    const char *const *choices;
};

/* Behind each there is something else, that must not be taken for its `required`. */
static struct param_1_0 old_params[] = {
    {.size = sizeof(struct param_1_0), .type = PRONG_INT, .name = "n", .int_max = 9},
    {.size = sizeof(struct param_1_0), .type = PRONG_TEXT, .name = "t", .count_max = 3},
    {.size = sizeof(struct param_1_0), .type = PRONG_VALUES, .name = "v", .count_max = 3},
};

static void make_kernel_old(void)
{
    kernel.abi_minor = 0;
    kernel.size = offsetof(struct prong_kernel, batch);
    kernel.params = (const void *)old_params;
    kernel.param_count = ARRAY_SIZE(old_params);
}

static void an_older_kernel_is_read_by_its_own_size(void **state)
{
    struct description *d;
    struct buf b;

    (void)state;
    make_kernel_old();
    assert_int_equal(sizeof(struct param_1_0), offsetof(struct prong_param, required));
    assert_int_equal(description_check(&kernel, NULL), 0);
    b = encoded(NULL);
    d = decoded(&b);
    assert_int_equal(d->param_count, 3);
    assert_string_equal(d->params[0].name, "n");
    assert_int_equal(d->params[0].int_max, 9);
    assert_string_equal(d->params[1].name, "t");
    assert_string_equal(d->params[2].name, "v");
    assert_false(d->params[0].required || d->params[1].required);
    assert_true(d->params[2].required);
    buf_release(&b);
    free(d);
}

static void parameters_of_unlike_sizes_are_refused(void **state)
{
    (void)state;
    make_kernel_old();
    old_params[1].size = sizeof(struct prong_param);
    assert_refused();
    old_params[1].size = sizeof(struct param_1_0);
    assert_int_equal(description_check(&kernel, NULL), 0);
}

static void a_full_buffer_tells(void **state)
{
    struct buf whole = encoded(NULL), b;

    (void)state;
    buf_init(&b, whole.size - 1);
    assert_int_equal(description_encode(&b, &kernel, NULL), -ENOMEM);
    buf_release(&b);
    buf_release(&whole);
}

/* Decodes a copy that ends where its memory ends. What is accepted must be sound to walk over. */
static int decode_copy(const char *data, size_t bytes)
{
    char *copy = malloc(bytes > 0 ? bytes : 1);
    struct description *d = NULL;
    size_t sum = 0;
    int rc;

    assert_non_null(copy);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    rc = description_decode(copy, bytes, &d);
    free(copy);
    assert_true(rc == 0 || (rc == -EPROTO && d == NULL));
    if (rc < 0)
        return rc;
    sum = strlen(d->name) + strlen(d->version) + strlen(d->summary) + strlen(d->example) +
          strlen(d->media_type) + strlen(d->broken);
    assert_true(d->param_count <= PRONG_PARAMS_MAX);
    for (uint32_t i = 0; i < d->param_count; i++) {
        const struct description_param *p = &d->params[i];
        sum += strlen(p->name) + strlen(p->help) + strlen(p->text_default);
        assert_true(strlen(p->name) > 0 && p->choice_count <= PRONG_CHOICES_MAX);
        assert_true(p->type != PRONG_CHOICE || p->choice_count > 0);
        for (uint32_t c = 0; c < p->choice_count; c++)
            sum += strlen(p->choices[c]);
    }
    assert_true(sum <= bytes);
    free(d);
    return 0;
}

static void every_truncation_is_refused(void **state)
{
    struct buf b = encoded(NULL);

    (void)state;
    for (size_t n = 0; n < b.size; n++)
        assert_int_equal(decode_copy(b.data, n), -EPROTO);
    assert_int_equal(decode_copy(b.data, b.size), 0);
    buf_release(&b);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    struct buf b = encoded(NULL);

    (void)state;
    (void)buf_add(&b, "", 1);
    assert_int_equal(decode_copy(b.data, b.size), -EPROTO);
    buf_release(&b);
}

static void any_flipped_bit_is_safe(void **state)
{
    struct buf b = encoded(NULL);

    (void)state;
    for (size_t bit = 0; bit < b.size * 8; bit++) {
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
        (void)decode_copy(b.data, b.size);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ (1 << bit % 8));
    }
    assert_int_equal(decode_copy(b.data, b.size), 0);
    buf_release(&b);
}

static void random_damage_is_safe(void **state)
{
    struct buf b = encoded("why");
    char damaged[4096];

    (void)state;
    assert_true(b.size < sizeof(damaged));
    srand(9);
    for (int i = 0; i < 50000; i++) {
        size_t n = rand() % 4 == 0 ? (size_t)rand() % (b.size + 1) : b.size;
        memcpy(damaged, b.data, b.size);
        for (int hits = rand() % 6; hits > 0; hits--)
            damaged[(size_t)rand() % b.size] = (char)rand();
        (void)decode_copy(damaged, n);
    }
    buf_release(&b);
}

static void nothing_is_no_description(void **state)
{
    struct description *d = NULL;

    (void)state;
    assert_int_equal(description_decode(NULL, 0, &d), -EPROTO);
    assert_null(d);
}

static void more_than_the_maximum_is_refused(void **state)
{
    static char data[DESCRIPTION_BYTES_MAX + 1];
    struct description *d = NULL;

    (void)state;
    assert_int_equal(description_decode(data, sizeof(data), &d), -EPROTO);
}

static void a_text_above_the_maximum_is_refused(void **state)
{
    static char help[DESCRIPTION_TEXT_MAX + 2];
    struct buf b;

    (void)state;
    memset(help, 'h', DESCRIPTION_TEXT_MAX);
    params[LIMIT].help = help;
    b = encoded(NULL);
    assert_int_equal(decode_copy(b.data, b.size), 0);
    buf_release(&b);
    help[DESCRIPTION_TEXT_MAX] = 'h';
    b = encoded(NULL);
    assert_int_equal(decode_copy(b.data, b.size), -EPROTO);
    buf_release(&b);
}

static void more_parameters_or_words_than_the_maximum_are_refused(void **state)
{
    const char *many[PRONG_CHOICES_MAX + 2] = {0};
    struct buf b;

    (void)state;
    for (size_t i = 0; i <= PRONG_CHOICES_MAX; i++)
        many[i] = "a";
    params[METHOD].choices = many;
    b = encoded(NULL);
    assert_int_equal(decode_copy(b.data, b.size), -EPROTO);
    buf_release(&b);
    params[METHOD].choices = methods;
    for (uint32_t i = 6; i <= PRONG_PARAMS_MAX; i++)
        params[i] = params[LIMIT];
    kernel.param_count = PRONG_PARAMS_MAX + 1;
    b = encoded(NULL);
    assert_int_equal(decode_copy(b.data, b.size), -EPROTO);
    buf_release(&b);
}

static void a_parameter_without_a_proper_name_is_refused(void **state)
{
    struct buf b;

    (void)state;
    params[LIMIT].name = "<script>";
    b = encoded(NULL);
    assert_int_equal(decode_copy(b.data, b.size), -EPROTO);
    buf_release(&b);
}

static void a_choice_without_words_is_refused(void **state)
{
    struct buf b;

    (void)state;
    params[METHOD].choices = NULL;
    b = encoded(NULL);
    assert_int_equal(decode_copy(b.data, b.size), -EPROTO);
    buf_release(&b);
}

#define DESCRIPTION_TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESCRIPTION_TEST(a_sound_kernel_is_accepted),
        DESCRIPTION_TEST(another_abi_is_refused),
        DESCRIPTION_TEST(a_bad_name_is_refused),
        DESCRIPTION_TEST(a_kernel_needs_version_and_map),
        DESCRIPTION_TEST(too_many_parameters_are_refused),
        DESCRIPTION_TEST(parameters_that_are_not_there_are_refused),
        DESCRIPTION_TEST(a_parameter_of_another_size_or_type_is_refused),
        DESCRIPTION_TEST(an_integer_default_is_within_its_bounds),
        DESCRIPTION_TEST(real_bounds_are_finite_and_hold_the_default),
        DESCRIPTION_TEST(a_text_default_fits),
        DESCRIPTION_TEST(a_choice_has_words_and_its_default_is_one),
        DESCRIPTION_TEST(values_must_be_some),
        DESCRIPTION_TEST(what_is_required_needs_no_default),
        DESCRIPTION_TEST(json_has_a_bound_and_a_default_or_is_required),
        DESCRIPTION_TEST(a_kernel_is_decoded_as_it_was),
        DESCRIPTION_TEST(parameters_are_decoded_as_they_were),
        DESCRIPTION_TEST(what_is_absent_is_empty),
        DESCRIPTION_TEST(what_is_required_and_batched_is_told),
        DESCRIPTION_TEST(an_older_kernel_is_read_by_its_own_size),
        DESCRIPTION_TEST(parameters_of_unlike_sizes_are_refused),
        DESCRIPTION_TEST(a_full_buffer_tells),
        DESCRIPTION_TEST(every_truncation_is_refused),
        DESCRIPTION_TEST(bytes_behind_the_end_are_refused),
        DESCRIPTION_TEST(any_flipped_bit_is_safe),
        DESCRIPTION_TEST(random_damage_is_safe),
        DESCRIPTION_TEST(nothing_is_no_description),
        DESCRIPTION_TEST(more_than_the_maximum_is_refused),
        DESCRIPTION_TEST(a_text_above_the_maximum_is_refused),
        DESCRIPTION_TEST(more_parameters_or_words_than_the_maximum_are_refused),
        DESCRIPTION_TEST(a_parameter_without_a_proper_name_is_refused),
        DESCRIPTION_TEST(a_choice_without_words_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
