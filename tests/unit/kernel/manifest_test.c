#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "kernel/manifest.h"
#include "kernel/settings.h"

static char dir[64];
static struct err err;

static void put_file(const char *name, const char *text, size_t bytes, mode_t mode)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)unlink(path);
    fd = open(path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, bytes), bytes);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static int read_bytes(const char *text, size_t bytes, struct manifest **ret)
{
    put_file("fib.kernel", text, bytes, 0644);
    err.text[0] = '\0';
    return manifest_read(dir, "fib.kernel", ret, &err);
}

static struct manifest *accepted(const char *text)
{
    struct manifest *m = NULL;

    if (read_bytes(text, strlen(text), &m) < 0)
        fail_msg("%s", err.text);
    return m;
}

/* The sentence has all of `part`. */
static void refused(const char *text, const char *part)
{
    struct manifest *m = NULL;

    assert_int_equal(read_bytes(text, strlen(text), &m), -EINVAL);
    assert_null(m);
    if (strstr(err.text, part) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, part);
    assert_int_equal(strncmp(err.text, "fib.kernel", 10), 0);
    assert_int_equal(err.text[strlen(err.text) - 1], '.');
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/prong-manifest-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    put_file("fib.py", "import prong\n", 13, 0644);
    put_file("fib.sh", "#!/bin/sh\n", 10, 0755);
    put_file("ray.so", "ELF", 3, 0644);
    return 0;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"fib.py", "fib.sh", "ray.so", "fib.so", "fib.kernel"};
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

/* ---- what is right ---- */

static void a_command_may_say_no_more(void **state)
{
    struct manifest *m = accepted("[kernel]\ncommand = python3 fib.py\n");

    (void)state;
    assert_string_equal(m->file, "fib.kernel");
    assert_string_equal(m->name, "fib");
    assert_int_equal(m->kind, MANIFEST_COMMAND);
    assert_int_equal(m->argc, 2);
    assert_string_equal(m->argv[0], "python3");
    assert_string_equal(m->argv[1], "fib.py");
    assert_null(m->argv[2]);
    assert_int_equal(m->program[0], '/');
    assert_non_null(strstr(m->program, "/python3"));
    assert_null(m->declared);
    assert_null(m->environment[0]);
    assert_int_equal(m->copies, 0);
    assert_int_equal(m->limits.start_s, MANIFEST_START_S);
    assert_int_equal(m->limits.memory_bytes, 0);
    assert_false(m->limits.network || m->limits.threads);
    assert_null(manifest_free(m));
}

static const char whole[] =
    "; a comment\n"
    "[kernel]\n"
    "exec = ./fib.sh \"two words\" {size}x{{{scale}}}   ; not a word\n"
    "copies = 3\n"
    "name = fibonacci\n"
    "version = 2\n"
    "summary = Adds, and adds again.\n"
    "example = size=30\n"
    "media_type = text/plain\n"
    "flags = pure idempotent\n"
    "input = raw\n"
    "\n"
    "[param size]\ntype = integer\nhelp = how far\nminimum = 0\nmaximum = 90\ndefault = 30\n"
    "[param scale]\ntype = number\nmaximum = 1e3\n"
    "[param title]\ntype = string\nmax_bytes = 1K\ndefault =\n"
    "[param way]\ntype = choice\nchoices = up down \"to and fro\"\ndefault = to and fro\n"
    "[param xs]\ntype = values\nmax_count = 10\n"
    "[param doc]\ntype = json\ndefault = {\"a\": [1]}\n"
    "[limits]\nmemory = 512M\ncpu = 60\nstart = 5\n"
    "[sandbox]\nnetwork = yes\nthreads = no\nread = /etc /usr/share\n"
    "[environment]\nNAME = a value = b\nEMPTY =\n";

static void everything_is_taken(void **state)
{
    struct manifest *m = accepted(whole);
    const struct prong_kernel *k = &m->declared->kernel;

    (void)state;
    assert_int_equal(m->kind, MANIFEST_EXEC);
    assert_int_equal(m->argc, 3);
    assert_string_equal(m->argv[1], "two words");
    assert_int_equal(m->copies, 3);
    assert_string_equal(k->name, "fibonacci");
    assert_string_equal(k->version, "2");
    assert_string_equal(k->summary, "Adds, and adds again.");
    assert_string_equal(k->media_type, "text/plain");
    assert_int_equal(k->flags, PRONG_PURE | PRONG_IDEMPOTENT);
    assert_true(k->takes_raw);
    assert_true(m->limits.memory_bytes == 512ULL << 20);
    assert_int_equal(m->limits.cpu_s, 60);
    assert_int_equal(m->limits.start_s, 5);
    assert_true(m->limits.network);
    assert_int_equal(m->limits.read_count, 2);
    assert_string_equal(m->limits.read[1], "/usr/share");
    assert_null(m->limits.read[2]);
    assert_string_equal(m->environment[0], "NAME=a value = b");
    assert_string_equal(m->environment[1], "EMPTY=");
    assert_null(m->environment[2]);
    assert_null(manifest_free(m));
}

static void parameters_are_taken_in_order(void **state)
{
    struct manifest *m = accepted(whole);
    const struct prong_kernel *k = &m->declared->kernel;

    (void)state;
    assert_int_equal(k->param_count, 6);
    assert_string_equal(k->params[0].name, "size");
    assert_string_equal(k->params[0].help, "how far");
    assert_int_equal(k->params[0].int_max, 90);
    assert_int_equal(k->params[0].int_default, 30);
    assert_int_equal(k->params[0].required, 0);
    assert_true(k->params[1].real_max == 1e3 && k->params[1].real_min < -1e300);
    assert_int_equal(k->params[1].required, 1);
    assert_int_equal(k->params[2].count_max, 1024);
    assert_string_equal(k->params[2].text_default, "");
    assert_int_equal(k->params[3].type, PRONG_CHOICE);
    assert_string_equal(k->params[3].choices[2], "to and fro");
    assert_null(k->params[3].choices[3]);
    assert_string_equal(k->params[3].text_default, "to and fro");
    assert_int_equal(k->params[4].count_max, 10);
    assert_int_equal(k->params[5].type, PRONG_JSON);
    assert_string_equal(k->params[5].text_default, "{\"a\": [1]}");
    assert_null(manifest_free(m));
}

static void a_library_has_a_process_of_its_own(void **state)
{
    struct manifest *m = accepted("[kernel]\nlibrary = ray.so\n");

    (void)state;
    assert_int_equal(m->kind, MANIFEST_LIBRARY);
    assert_int_equal(m->argc, 0);
    assert_non_null(strstr(m->program, "/ray.so"));
    assert_null(manifest_free(m));
    refused("[kernel]\nlibrary = ray.so\nname = x\n", "line 3: a library says itself");
    refused("[kernel]\nlibrary = gone.so\n", "line 2: there is no file gone.so");
}

static void a_shared_object_may_have_limits(void **state)
{
    struct manifest *m;

    (void)state;
    refused("[limits]\nmemory = 64M\n", "neither command nor exec nor library");
    put_file("fib.so", "ELF", 3, 0644);
    m = accepted("[limits]\nmemory = 64M\ncpu = 2\n");
    assert_int_equal(m->kind, MANIFEST_LIMITS);
    assert_int_equal(m->limits.memory_bytes, 64 << 20);
    assert_null(manifest_free(m));
    refused("[limits]\ncpu = 2\n[sandbox]\nnetwork = yes\n",
            "line 4: for fib.so only memory and cpu");
    refused("[param n]\ntype = integer\n", "only memory and cpu");
}

/* ---- what is wrong ---- */

#define COMMAND "[kernel]\ncommand = python3 fib.py\n"

static void mistakes_of_form_are_told_by_line(void **state)
{
    (void)state;
    refused("command = x\n", "line 1: command stands before the first section");
    refused(COMMAND "just words\n", "line 3: this is neither [section] nor key = value");
    refused(COMMAND "[limits\n", "line 3: this begins like a section");
    refused(COMMAND "[limits] memory = 1G\n", "line 3: this begins like a section");
    refused(COMMAND "[]\n", "line 3: this begins like a section");
    refused(COMMAND "[kernel]\n", "line 3: section [kernel] was there already, in line 1");
    refused(COMMAND "copies = 1\ncopies = 2\n",
            "line 4: copies is set twice in [kernel], first in line 3");
    refused(COMMAND "[param n]\ntype = json\n[param n]\ntype = json\n",
            "section [param n] was there already");
    refused(COMMAND "= 3\n", "line 3: write key = value");
    refused(COMMAND "[colours]\n", "line 3: there is no section [colours]");
    refused(COMMAND "colour = red\n",
            "line 3: there is no key colour in [kernel]; it has command,");
    refused(COMMAND "[limits]\nmem = 1G\n",
            "line 4: there is no key mem in [limits]; it has memory, cpu, start");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    struct manifest *m = NULL;

    (void)state;
    assert_int_equal(read_bytes("[kernel]\nname = \0\n", 18, &m), -EINVAL);
    assert_int_equal(read_bytes("[kernel]\nname = \xff\n", 18, &m), -EINVAL);
    assert_non_null(strstr(err.text, "not UTF-8"));
}

static void what_is_too_much_is_refused(void **state)
{
    enum { BYTES = MANIFEST_BYTES_MAX + 1 };
    char *text = malloc(BYTES);
    struct manifest *m = NULL;
    size_t n = 0;

    (void)state;
    memset(text, '\n', BYTES);
    assert_int_equal(read_bytes(text, BYTES, &m), -EINVAL);
    memset(text, 'x', SETTINGS_LINE_MAX + 1);
    assert_int_equal(read_bytes(text, SETTINGS_LINE_MAX + 2, &m), -EINVAL);
    assert_non_null(strstr(err.text, "line 1: the line is longer"));
    for (int i = 0; i <= SETTINGS_SECTIONS_MAX; i++)
        n += (size_t)snprintf(text + n, BYTES - n, "[s%d]\n", i);
    assert_int_equal(read_bytes(text, n, &m), -EINVAL);
    assert_non_null(strstr(err.text, "more than 64 sections"));
    n = (size_t)snprintf(text, BYTES, "[environment]\n");
    for (int i = 0; i <= MANIFEST_VARIABLES_MAX; i++)
        n += (size_t)snprintf(text + n, BYTES - n, "V%d = 1\n", i);
    assert_int_equal(read_bytes(text, n, &m), -EINVAL);
    assert_non_null(strstr(err.text, "more than 64 variables"));
    n = (size_t)snprintf(text, BYTES, "[environment]\n");
    for (int i = 0; i <= SETTINGS_MAX; i++)
        n += (size_t)snprintf(text + n, BYTES - n, "V%d = 1\n", i);
    assert_int_equal(read_bytes(text, n, &m), -EINVAL);
    assert_non_null(strstr(err.text, "more than 512 settings"));
    n = (size_t)snprintf(text, BYTES, COMMAND);
    for (int i = 0; i <= (int)PRONG_PARAMS_MAX; i++)
        n += (size_t)snprintf(text + n, BYTES - n, "[param p%d]\ntype = json\n", i);
    assert_int_equal(read_bytes(text, n, &m), -EINVAL);
    assert_non_null(strstr(err.text, "more than 32 parameters"));
    free(text);
}

static void what_is_run_must_be_there(void **state)
{
    (void)state;
    refused("[limits]\nmemory = 1G\n", "neither command nor exec nor library");
    refused("", "neither command nor exec nor library");
    refused(COMMAND "exec = cat\n", "line 3: exec beside another of command, exec and library");
    refused("[kernel]\ncommand = no-such-program-anywhere\n",
            "line 2: there is no file no-such-program-anywhere beside the manifest, nor in "
            "/usr/local/bin");
    refused("[kernel]\ncommand = ./gone.py\n",
            "line 2: there is no file ./gone.py beside the manifest.");
    refused("[kernel]\ncommand = fib.py\n",
            "fib.py is not executable; run chmod +x on it, or name what runs it");
    refused("[kernel]\ncommand =\n", "line 2: command: there are no words.");
    refused("[kernel]\ncommand = python3 \"fib.py\n", "a \" is not closed");
    refused("[kernel]\nexec = cat {n}\n", "line 2: exec: {n} is no parameter; add [param n]");
    refused("[kernel]\nexec = cat }\n", "write {{ or }}");
    refused("[kernel]\nexec = {n}\n[param n]\ntype = string\n", "there is no file {n}");
    refused("[kernel]\nexec = cat {v}\n[param v]\ntype = values\n",
            "line 2: a parameter of type values");
}

static void values_have_their_form(void **state)
{
    (void)state;
    refused(COMMAND "copies = -1\n", "copies must be a whole number from 0 to 512; got -1");
    refused(COMMAND "copies = 513\n", "copies must be");
    refused(COMMAND "name = Fib\n", "name must be 1 to 63 of a-z");
    refused(COMMAND "media_type = json\n", "like application/json; got json");
    refused(COMMAND "flags = pure clean\n", "there is no flag clean; write some of pure,");
    refused(COMMAND "input = values\n", "input must be raw or none");
    refused(COMMAND "version =\n", "version is empty");
    refused(COMMAND "[limits]\nmemory = lots\n", "line 4: memory must be bytes from 16M to 64T");
    refused(COMMAND "[limits]\nmemory = 1K\n", "memory must be");
    refused(COMMAND "[limits]\nmemory = 99999999G\n", "memory must be");
    refused(COMMAND "[limits]\nstart = 0\n", "start must be a whole number from 1 to 600");
    refused(COMMAND "[limits]\ncpu = 1.5\n", "cpu must be");
    refused(COMMAND "[sandbox]\nnetwork = maybe\n", "network must be yes or no; got maybe");
    refused(COMMAND "[sandbox]\nread = etc\n", "absolute paths; got etc");
    refused(COMMAND "[sandbox]\nread = /no/such/folder\n", "/no/such/folder cannot be read");
    refused(COMMAND "[environment]\n1X = 2\n", "1X is no name of a variable");
}

static void parameters_have_their_form(void **state)
{
    (void)state;
    refused(COMMAND "[param n]\nhelp = x\n",
            "line 3: the parameter has no type; write type = integer");
    refused(COMMAND "[param n]\n", "line 3: the parameter has no type");
    refused(COMMAND "[param n]\ntype = int\n", "line 4: there is no type int; write integer,");
    refused(COMMAND "[param N]\ntype = json\n", "line 3: [param N]: a parameter's name");
    refused(COMMAND "[param n]\ntype = json\nmin = 3\n", "there is no key min in [param]");
    refused(COMMAND "[param n]\ntype = string\nminimum = 3\n",
            "line 5: a parameter of type string has no minimum");
    refused(COMMAND "[param n]\ntype = values\ndefault = 3\n", "has no default");
    refused(COMMAND "[param n]\ntype = integer\nminimum = 1.5\n",
            "minimum must be an integer of 64 bits; got 1.5");
    refused(COMMAND "[param n]\ntype = number\nmaximum = many\n", "maximum must be a number");
    refused(COMMAND "[param n]\ntype = integer\ndefault = 5\nmaximum = 4\n",
            "line 5: default = 5: minimum, default and maximum are not in this order");
    refused(COMMAND "[param n]\ntype = number\nminimum = 5\nmaximum = 4\n",
            "line 6: maximum = 4: minimum");
    refused(COMMAND "[param n]\ntype = string\nmax_bytes = 3\ndefault = long\n",
            "line 6: default is longer than 3 bytes");
    refused(COMMAND "[param n]\ntype = string\nmax_bytes = 0\n",
            "max_bytes must be from 1 to 8388608");
    refused(COMMAND "[param n]\ntype = values\nmax_count = 1G\n", "max_count must be");
    refused(COMMAND "[param n]\ntype = choice\n", "a choice needs its words");
    refused(COMMAND "[param n]\ntype = choice\nchoices = a a\n", "a is among the choices twice");
    refused(COMMAND "[param n]\ntype = choice\nchoices = a b\ndefault = c\n",
            "line 6: default = c is none of the choices");
    refused(COMMAND "[param n]\ntype = json\ndefault = {a}\n", "default must be JSON; got {a}");
}

/* ---- who may write what runs ---- */

static void what_others_can_write_is_refused(void **state)
{
    struct manifest *m = NULL;

    (void)state;
    put_file("fib.kernel", COMMAND, strlen(COMMAND), 0666);
    assert_int_equal(manifest_read(dir, "fib.kernel", &m, &err), -EPERM);
    assert_non_null(strstr(err.text, "chmod go-w"));
    put_file("fib.py", "", 0, 0664);
    assert_int_equal(read_bytes(COMMAND, strlen(COMMAND), &m), -EPERM);
    assert_non_null(strstr(err.text, "line 2: "));
    assert_non_null(strstr(err.text, "fib.py can be written by others"));
    put_file("fib.py", "import prong\n", 13, 0644);
    put_file("fib.sh", "", 0, 0777);
    assert_int_equal(read_bytes("[kernel]\nexec = ./fib.sh\n", 25, &m), -EPERM);
    put_file("fib.sh", "#!/bin/sh\n", 10, 0755);
    assert_int_equal(manifest_read(dir, "gone.kernel", &m, &err), -ENOENT);
    assert_int_equal(manifest_read("/", "tmp", &m, &err), -EPERM);
    assert_null(m);
}

/* ---- scripts ---- */

static void is_script(const char *text, bool expected)
{
    put_file("fib.py", text, strlen(text), 0644);
    if (manifest_is_script(dir, "fib.py") != expected)
        fail_msg("'%s' is taken the other way", text);
}

static void scripts_that_use_the_sdk_are_known(void **state)
{
    struct manifest *m = NULL;

    (void)state;
    is_script("#!/usr/bin/python3\n\"\"\"Adds.\"\"\"\nimport prong\n", true);
    is_script("import prong", true);
    is_script("from prong import kernel\n", true);
    is_script("from prong.numbers import kernel\r\n", true);
    is_script("import prongs\n", false);
    is_script("# import prong\n", false);
    is_script("", false);
    assert_false(manifest_is_script(dir, "gone.py"));
    put_file("fib.py", "import prong\n", 13, 0644);
    assert_int_equal(manifest_of_script(dir, "fib.py", &m, &err), 0);
    assert_int_equal(m->kind, MANIFEST_COMMAND);
    assert_string_equal(m->name, "fib");
    assert_string_equal(m->argv[1], "-m");
    assert_string_equal(m->argv[2], "prong");
    assert_string_equal(m->argv[3], "fib.py");
    assert_null(manifest_free(m));
    put_file("fib.py", "import prong\n", 13, 0666);
    assert_int_equal(manifest_of_script(dir, "fib.py", &m, &err), -EPERM);
    put_file("fib.py", "import prong\n", 13, 0644);
}

/* ---- words ---- */

static void splits(const char *line, const char *joined)
{
    const char *words[MANIFEST_WORDS_MAX + 1];
    struct arena a = {0};
    char got[256] = "";
    int count = manifest_words(line, &a, words, &err);
    size_t n = 0;

    assert_true(count > 0);
    assert_null(words[count]);
    for (int i = 0; i < count; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s", i == 0 ? "" : "|", words[i]);
    assert_string_equal(got, joined);
    arena_release(&a);
}

static void lines_are_split_without_a_shell(void **state)
{
    char many[3 * MANIFEST_WORDS_MAX + 8];
    const char *words[MANIFEST_WORDS_MAX + 1];
    struct arena a = {0};

    (void)state;
    splits("a", "a");
    splits("  a\t b  ", "a|b");
    splits("a \"b c\" d", "a|b c|d");
    splits("a\"b c\"d", "ab cd");
    splits("\"\" x", "|x");
    splits("\"a \\\"b\\\" \\\\ \\n\"", "a \"b\" \\ \\n");
    splits("$HOME `x` 'a b' > y | z", "$HOME|`x`|'a|b'|>|y|||z");
    assert_int_equal(manifest_words(" ", &a, words, &err), -EINVAL);
    assert_int_equal(manifest_words("\"", &a, words, &err), -EINVAL);
    for (size_t i = 0; i < sizeof(many) - 1; i += 2)
        memcpy(many + i, "a ", 2);
    many[2 * MANIFEST_WORDS_MAX - 1] = '\0';
    assert_int_equal(manifest_words(many, &a, words, &err), MANIFEST_WORDS_MAX);
    many[2 * MANIFEST_WORDS_MAX - 1] = ' ';
    many[2 * MANIFEST_WORDS_MAX + 1] = '\0';
    assert_int_equal(manifest_words(many, &a, words, &err), -EINVAL);
    arena_release(&a);
}

static int put_index(void *arg, uint32_t index, struct buf *out)
{
    (void)arg;
    return index == 1 ? -ERANGE : buf_printf(out, "<%u>", index);
}

static void fills(const struct prong_kernel *k, const char *word, int rc, const char *expected)
{
    struct buf b;

    buf_init(&b, 40);
    assert_int_equal(manifest_fill(word, k, put_index, NULL, &b, &err), rc);
    if (rc == 0) {
        (void)buf_add(&b, "", 1);
        assert_string_equal(b.data, expected);
    }
    buf_release(&b);
}

static void words_are_filled(void **state)
{
    struct declared *d = declared_new();
    const struct prong_kernel *k = &d->kernel;

    (void)state;
    assert_non_null(declared_add(d, "width", PRONG_INT));
    assert_non_null(declared_add(d, "bad", PRONG_INT));
    assert_non_null(declared_add(d, "w", PRONG_INT));
    fills(k, "plain", 0, "plain");
    fills(k, "{width}x{w}!", 0, "<0>x<2>!");
    fills(k, "{{{w}}}", 0, "{<2>}");
    fills(k, "{{w}}", 0, "{w}");
    fills(k, "{bad}", -ERANGE, NULL);
    fills(k, "{wid}", -EINVAL, NULL);
    fills(k, "{w", -EINVAL, NULL);
    fills(k, "w}", -EINVAL, NULL);
    fills(k, "{}", -EINVAL, NULL);
    fills(k, "0123456789012345678901234567890123456789!", -ENOMEM, NULL);
    assert_null(declared_free(d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_may_say_no_more),
        cmocka_unit_test(everything_is_taken),
        cmocka_unit_test(parameters_are_taken_in_order),
        cmocka_unit_test(a_library_has_a_process_of_its_own),
        cmocka_unit_test(mistakes_of_form_are_told_by_line),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(what_is_run_must_be_there),
        cmocka_unit_test(values_have_their_form),
        cmocka_unit_test(parameters_have_their_form),
        cmocka_unit_test(what_others_can_write_is_refused),
        cmocka_unit_test(scripts_that_use_the_sdk_are_known),
        cmocka_unit_test(lines_are_split_without_a_shell),
        cmocka_unit_test(words_are_filled),
        cmocka_unit_test(a_shared_object_may_have_limits),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
