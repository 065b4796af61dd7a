/*
 * Memory and processes of a child and all its descendants together, by a cgroup (version 2) of its own
 * below ours, when ours was delegated: its directory is writable and has the controllers, as in a service
 * with Delegate=yes. Below a cgroup that shares itself out no process may sit beside the leaves, so the
 * zygote and prong go to a leaf too.
 *
 * A child makes its leaf and goes there itself, before it gives anything up, so nothing it does is counted
 * elsewhere; the leaf has its pid for a name, which nobody else has until the zygote has waited for it,
 * and then removes the leaf.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/err.h"
#include "base/fd.h"
#include "sandbox/internal.h"

enum {
    PATH_BYTES = 1024,
    MOUNTS_BYTES = 65536,
    LEFT_MAX = 64, /* leaves that could not be removed yet */
    NAME_BYTES = 32,
};

#define OURS "prong-server"

static int our_fd = -1; /* the cgroup that the leaves are in */
static pid_t left[LEFT_MAX];
static size_t left_count;

/* ---- finding it ---- */

/* The path in "0::/path", the line of version 2; its length. */
static int own_path(const char *own, const char **ret)
{
    for (const char *line = own; line != NULL && *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        if (strncmp(line, "0::/", 4) == 0) {
            *ret = line + 3;
            return (int)(end - *ret);
        }
        line = *end == '\0' ? NULL : end + 1;
    }
    return -ENOTSUP;
}

/* "36 25 0:30 ROOT POINT rw shared:9 - cgroup2 cgroup2 rw": where ROOT of the hierarchy is mounted. */
static int read_mount(const char *line, size_t bytes, char root[PATH_BYTES], char point[PATH_BYTES])
{
    char copy[4 * PATH_BYTES];

    if (bytes >= sizeof(copy))
        return -ENOTSUP;
    memcpy(copy, line, bytes);
    copy[bytes] = '\0';
    if (strstr(copy, " - cgroup2 ") == NULL ||
        sscanf(copy, "%*s %*s %*s %1023s %1023s", root, point) != 2)
        return -ENOTSUP;
    return 0;
}

static int own_below(const char *own, int own_bytes, const char *root, const char *point, char *out,
                     size_t capacity)
{
    int root_bytes = strcmp(root, "/") == 0 ? 0 : (int)strlen(root);
    int n;

    if (own_bytes < root_bytes || strncmp(own, root, (size_t)root_bytes) != 0)
        return -ENOTSUP;
    n = snprintf(out, capacity, "%s%.*s", point, own_bytes - root_bytes, own + root_bytes);
    return n < 0 || (size_t)n >= capacity ? -ENOTSUP : n;
}

int cgroup_find(const char *own, const char *mounts, char *out, size_t capacity)
{
    char root[PATH_BYTES], point[PATH_BYTES];
    const char *path;
    int path_bytes = own_path(own, &path);

    if (path_bytes < 0)
        return path_bytes;
    for (const char *line = mounts; *line != '\0';) {
        size_t bytes = strcspn(line, "\n");
        if (read_mount(line, bytes, root, point) == 0)
            return own_below(path, path_bytes, root, point, out, capacity);
        line += bytes + (line[bytes] == '\n');
    }
    return -ENOTSUP;
}

static int find_dir(const struct sandbox_config *config, char out[PATH_BYTES])
{
    static char own[PATH_BYTES * 4], mounts[MOUNTS_BYTES];

    if (config->cgroup_dir != NULL)
        return snprintf(out, PATH_BYTES, "%s", config->cgroup_dir) < PATH_BYTES ? 0 : -ENOTSUP;
    if (fd_read_file("/proc/self/cgroup", own, sizeof(own)) < 0 ||
        fd_read_file("/proc/self/mountinfo", mounts, sizeof(mounts)) < 0)
        return -ENOTSUP;
    return cgroup_find(own, mounts, out, PATH_BYTES) < 0 ? -ENOTSUP : 0;
}

/* A zygote that is not the first of its prong was born in the leaf. */
static void leave_ours(char dir[PATH_BYTES])
{
    size_t n = strlen(dir), tail = strlen("/" OURS);

    if (n > tail && strcmp(dir + n - tail, "/" OURS) == 0)
        dir[n - tail] = '\0';
}

/* ---- using it ---- */

static int write_at(int dir, const char *name, const char *text)
{
    CLEANUP_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_number(int dir, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return write_at(dir, name, text);
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    while (*text != '\0') {
        size_t bytes = strcspn(text, " \n");
        if (bytes == n && memcmp(text, word, n) == 0)
            return true;
        text += bytes + (text[bytes] != '\0');
    }
    return false;
}

static bool has_controllers(int dir)
{
    char text[512];
    CLEANUP_FD int fd = openat(dir, "cgroup.controllers", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n < 0)
        return false;
    text[n] = '\0';
    return has_word(text, "memory") && has_word(text, "pids");
}

/* To root everything is writable, also what systemd keeps for itself; what it has given away it marks. */
static bool is_left_to_root(int dir)
{
    char mark[8];

    return geteuid() != 0 || access("/run/systemd/system", F_OK) < 0 ||
           fgetxattr(dir, "trusted.delegate", mark, sizeof(mark)) > 0 ||
           fgetxattr(dir, "user.delegate", mark, sizeof(mark)) > 0;
}

static bool is_delegated(int dir)
{
    return has_controllers(dir) && faccessat(dir, ".", W_OK, AT_EACCESS) == 0 &&
           faccessat(dir, "cgroup.procs", W_OK, AT_EACCESS) == 0 &&
           faccessat(dir, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0;
}

static int share_out(int dir)
{
    return write_at(dir, "cgroup.subtree_control", "+memory +pids");
}

/* prong and its zygote; others that sit there are not ours to move, and then it cannot be shared out. */
static int move_us(int dir, const char *to)
{
    int rc = write_number(dir, to, (uint64_t)getpid());

    return rc == 0 ? write_number(dir, to, (uint64_t)getppid()) : rc;
}

static int make_room(int dir)
{
    int rc = share_out(dir);

    if (rc != -EBUSY)
        return rc;
    if (mkdirat(dir, OURS, 0755) < 0 && errno != EEXIST)
        return -errno;
    rc = move_us(dir, OURS "/cgroup.procs");
    if (rc == 0)
        rc = share_out(dir);
    if (rc < 0) {
        (void)move_us(dir, "cgroup.procs");
        (void)unlinkat(dir, OURS, AT_REMOVEDIR);
    }
    return rc;
}

/* Of a zygote before this one that had no time for it. One that is not empty stays. */
static void remove_old_leaves(void)
{
    int fd = openat(our_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    pid_t pid;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (sscanf(entry->d_name, "prong-%d", &pid) == 1)
            (void)unlinkat(our_fd, entry->d_name, AT_REMOVEDIR);
    }
    if (d != NULL)
        (void)closedir(d);
    else
        check_close_fd(&fd);
}

int cgroup_prepare(const struct sandbox_config *config, struct err *err)
{
    char path[PATH_BYTES];
    CLEANUP_FD int dir = -1;
    int rc = find_dir(config, path);

    check_close_fd(&our_fd);
    our_fd = -1;
    if (rc == 0) {
        leave_ours(path);
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (dir < 0 || !is_delegated(dir) || (config->cgroup_dir == NULL && !is_left_to_root(dir)))
        return err_set(err, -ENOTSUP,
                       "No cgroup (version 2) with memory and pids is delegated to prong, as "
                       "Delegate=yes does in a service of systemd.");
    rc = make_room(dir);
    if (rc < 0)
        return err_set(err, rc,
                       "The cgroup %s cannot be shared out: %s; other processes may sit in it.",
                       path, strerror(-rc));
    our_fd = take_fd(&dir);
    remove_old_leaves();
    return 0;
}

static void leaf_name(pid_t pid, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "prong-%d", pid);
}

static uint64_t pids_max(const struct sandbox_policy *p)
{
    if (p->kind == SANDBOX_KERNEL || !p->threads)
        return 1;
    return p->pids == 0 ? SANDBOX_PIDS_MAX : p->pids;
}

/* Swap and group kill are not on every system. The directory may be there from a pid that was long ago. */
static int fill_leaf(int leaf, const struct sandbox_policy *p)
{
    int rc = p->memory_bytes == 0 ? write_at(leaf, "memory.max", "max")
                                  : write_number(leaf, "memory.max", p->memory_bytes);

    (void)write_at(leaf, "memory.swap.max", "0");
    (void)write_at(leaf, "memory.oom.group", "1");
    if (rc == 0)
        rc = write_number(leaf, "pids.max", pids_max(p));
    return rc == 0 ? write_at(leaf, "cgroup.procs", "0") : rc;
}

int cgroup_enter(const struct sandbox_rules *rules, struct err *err)
{
    char name[NAME_BYTES];
    CLEANUP_FD int leaf = -1;
    int rc = 0;

    leaf_name(getpid(), name);
    if (mkdirat(our_fd, name, 0755) < 0 && errno != EEXIST)
        rc = -errno;
    if (rc == 0)
        leaf = openat(our_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0)
        rc = leaf < 0 ? -errno : fill_leaf(leaf, rules->policy);
    return rc == 0 ? 0 : err_set(err, rc, "It gets no cgroup of its own: %s.", strerror(-rc));
}

/* ---- taking it away ---- */

/* What still lives in there is killed; until it is gone the leaf stays. */
static bool remove_leaf(pid_t pid)
{
    char name[NAME_BYTES], to_kill[NAME_BYTES + 16];

    leaf_name(pid, name);
    if (unlinkat(our_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return true;
    (void)snprintf(to_kill, sizeof(to_kill), "%s/cgroup.kill", name);
    (void)write_at(our_fd, to_kill, "1");
    return unlinkat(our_fd, name, AT_REMOVEDIR) == 0;
}

static void remove_left(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < left_count; i++) {
        if (!remove_leaf(left[i]))
            left[kept++] = left[i];
    }
    left_count = kept;
}

/* When too many are left, the oldest is given up: an empty directory, which the next child of that pid
 * takes over. */
void cgroup_forget(pid_t pid)
{
    remove_left();
    if (remove_leaf(pid))
        return;
    if (left_count == LEFT_MAX)
        memmove(left, left + 1, --left_count * sizeof(left[0]));
    left[left_count++] = pid;
}
