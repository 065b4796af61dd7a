#include <dirent.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "pool/internal.h"

/* The same in every run: nobody gains by finding two folders that look alike. */
static const struct hash_key key = {0x6b65726e656c7320, 0x666f6c6465722121};

static uint64_t print_entry(int folder, const char *name)
{
    uint64_t parts[8] = {hash_bytes(key, name, strlen(name))};
    struct stat st;

    if (fstatat(folder, name, &st, 0) == 0) {
        parts[1] = st.st_dev;
        parts[2] = st.st_ino;
        parts[3] = (uint64_t)st.st_size;
        parts[4] = (uint64_t)st.st_mtim.tv_sec;
        parts[5] = (uint64_t)st.st_mtim.tv_nsec;
        parts[6] = (uint64_t)st.st_ctim.tv_sec;
        parts[7] = (uint64_t)st.st_ctim.tv_nsec;
    }
    return hash_bytes(key, parts, sizeof(parts));
}

uint64_t folder_print(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    uint64_t print = 0; /* a sum, as they come in any order */

    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            print += print_entry(dirfd(folder), entry->d_name);
    }
    (void)closedir(folder);
    return print;
}
