/*
 * Which files can be opened: none by a kernel, the system's libraries and what its policy names by a
 * program. What is open already stays so. Later versions of the system's interface add to it: no TCP,
 * no signals and no abstract sockets to processes outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/err.h"
#include "sandbox/internal.h"

/* The system's header may be older than the system, so all is defined here as the system has it. */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_IN_ABI_1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,           /* ABI 2 */
    FS_TRUNCATE = 1 << 14,        /* ABI 3 */
    NET_TCP = 1 << 0 | 1 << 1,    /* ABI 4: bind, connect */
    FS_IOCTL_DEV = 1 << 15,       /* ABI 5 */
    SCOPE_ABSTRACT_UNIX = 1 << 0, /* ABI 6 */
    SCOPE_SIGNAL = 1 << 1,
    CREATE_VERSION = 1 << 0,
    RULE_PATH_BENEATH = 1,
};

struct ruleset_attr {
    uint64_t fs, net, scoped;
};

struct path_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

enum { READS = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR };

/* What any program needs to start and to tell the time. */
static const struct {
    const char *path;
    uint64_t allowed;
} always[] = {
    {"/usr", READS},
    {"/lib", READS},
    {"/lib64", READS},
    {"/lib32", READS},
    {"/bin", READS},
    {"/sbin", READS},
    {"/etc/ld.so.cache", FS_READ_FILE},
    {"/etc/ld.so.conf", FS_READ_FILE},
    {"/etc/ld.so.conf.d", FS_READ_FILE | FS_READ_DIR},
    {"/etc/ld.so.preload", FS_READ_FILE},
    {"/etc/localtime", FS_READ_FILE},
    {"/etc/ssl/openssl.cnf", FS_READ_FILE},
    {"/dev/null", FS_READ_FILE | FS_WRITE_FILE},
    {"/dev/zero", FS_READ_FILE},
    {"/dev/urandom", FS_READ_FILE},
};

/* To find others by name, and to know whom to trust. */
static const char *const for_network[] = {
    "/etc/resolv.conf", "/etc/hosts",     "/etc/nsswitch.conf",   "/etc/gai.conf",
    "/etc/services",    "/etc/ssl/certs", "/etc/ca-certificates",
};

static struct {
    int abi;
    char *kernels_dir;
    char *read[SANDBOX_READ_MAX];
    size_t read_count;
} prepared;

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

static void forget_paths(void)
{
    free(prepared.kernels_dir);
    for (size_t i = 0; i < prepared.read_count; i++)
        free(prepared.read[i]);
    prepared.kernels_dir = NULL;
    prepared.read_count = 0;
}

int landlock_prepare(const struct sandbox_config *config, struct err *err)
{
    CHECK(config->read_count <= SANDBOX_READ_MAX);
    forget_paths();
    prepared.abi = landlock_abi();
    if (config->kernels_dir != NULL)
        prepared.kernels_dir = strdup(config->kernels_dir);
    for (size_t i = 0; i < config->read_count; i++)
        prepared.read[prepared.read_count++] = strdup(config->read[i]);
    if (prepared.abi == 0)
        return err_set(err, -ENOSYS,
                       "This system has no Landlock, or forbids it: it takes Linux 5.13, "
                       "\"landlock\" in the kernel's lsm=, and in a container a runtime that lets "
                       "its system calls through.");
    return 0;
}

static uint64_t handled_fs(int abi)
{
    uint64_t fs = FS_IN_ABI_1;

    fs |= abi >= 2 ? FS_REFER : 0;
    fs |= abi >= 3 ? FS_TRUNCATE : 0;
    fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
    return fs;
}

static int create(const struct sandbox_policy *p)
{
    bool network = p->kind == SANDBOX_PROGRAM && p->network;
    struct ruleset_attr attr = {.fs = handled_fs(prepared.abi)};
    size_t bytes = sizeof(attr.fs);
    long fd;

    if (prepared.abi >= 4) {
        attr.net = network ? 0 : NET_TCP;
        bytes = offsetof(struct ruleset_attr, scoped);
    }
    if (prepared.abi >= 6) {
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        bytes = sizeof(attr);
    }
    fd = syscall(SYS_landlock_create_ruleset, &attr, bytes, 0);
    return fd < 0 ? -errno : (int)fd;
}

/* A file can only be given what makes sense for one. */
static int allow(int ruleset, const char *path, uint64_t allowed)
{
    CLEANUP_FD int fd = open(path, O_PATH | O_CLOEXEC);
    struct path_attr attr = {.allowed = allowed, .parent_fd = fd};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        attr.allowed &= FS_EXECUTE | FS_READ_FILE | FS_WRITE_FILE;
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno : 0;
}

static int allow_named(int ruleset, const char *path, struct err *err)
{
    int rc = allow(ruleset, path, READS);

    return rc == 0 ? 0
                   : err_set(err, rc, "Uid %u cannot reach %s, which its program needs: %s.",
                             geteuid(), path, strerror(-rc));
}

/* What the system need not have is left out in silence; what somebody has named is not. */
static int allow_paths(int ruleset, const struct sandbox_policy *p, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        (void)allow(ruleset, always[i].path, always[i].allowed);
    for (size_t i = 0; p->network && i < ARRAY_SIZE(for_network); i++)
        (void)allow(ruleset, for_network[i], FS_READ_FILE | FS_READ_DIR);
    for (size_t i = 0; i < prepared.read_count; i++)
        (void)allow(ruleset, prepared.read[i], READS);
    if (prepared.kernels_dir != NULL)
        rc = allow_named(ruleset, prepared.kernels_dir, err);
    for (size_t i = 0; i < p->read_count && rc == 0; i++)
        rc = allow_named(ruleset, p->read[i], err);
    return rc;
}

int landlock_enter(const struct sandbox_rules *rules, struct err *err)
{
    CLEANUP_FD int ruleset = create(rules->policy);
    int rc = 0;

    if (ruleset < 0)
        return err_set(err, ruleset, "Landlock makes no rules: %s.", strerror(-ruleset));
    if (rules->policy->kind == SANDBOX_PROGRAM)
        rc = allow_paths(ruleset, rules->policy, err);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        rc = err_set(err, -errno, "Landlock does not hold: %s.", strerror(errno));
    return rc;
}
