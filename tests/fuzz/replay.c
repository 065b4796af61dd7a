/* Runs a harness once over each file of a folder: what a fuzzer once found stays found, under every build. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "harness.h"

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay(const char *folder, const char *name)
{
    char path[512];
    CLEANUP_FREE uint8_t *data = malloc(REPLAY_BYTES_MAX);
    FILE *file;
    size_t bytes;

    CHECK(data != NULL);
    CHECK(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path));
    file = fopen(path, "rb");
    CHECK(file != NULL);
    bytes = fread(data, 1, REPLAY_BYTES_MAX, file);
    CHECK(feof(file) && fclose(file) == 0);
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, bytes);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : FUZZ_CORPUS;
    struct dirent **names;
    int n = scandir(folder, &names, is_input, alphasort);

    CHECK(n > 0);
    CHECK(LLVMFuzzerInitialize(&argc, &argv) == 0);
    for (int i = 0; i < n; i++) {
        replay(folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return 0;
}
