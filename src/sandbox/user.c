/*
 * Another uid, with no group but its own and no capability left.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/err.h"
#include "base/parse.h"
#include "sandbox/internal.h"

enum { NOBODY = 65534, PASSWD_BYTES = 4096 };

static struct {
    uid_t uid;
    gid_t gid;
} target;

static int by_number(const char *name)
{
    uint64_t number;

    if (parse_u64(name, &number) < 0 || number >= UINT32_MAX)
        return -ENOENT;
    target.uid = (uid_t)number;
    target.gid = (gid_t)number;
    return 0;
}

/* A minimal image may have no passwd file; nobody is the same everywhere. */
static int look_up(const char *name)
{
    char text[PASSWD_BYTES];
    struct passwd entry, *found = NULL;

    if (getpwnam_r(name, &entry, text, sizeof(text), &found) == 0 && found != NULL) {
        target.uid = entry.pw_uid;
        target.gid = entry.pw_gid;
        return 0;
    }
    if (strcmp(name, "nobody") != 0)
        return by_number(name);
    target.uid = NOBODY;
    target.gid = NOBODY;
    return 0;
}

/* To become another user, and to kill it then. */
static int has_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    uint32_t needed = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;

    return syscall(SYS_capget, &head, data) == 0 && (data[0].effective & needed) == needed;
}

int user_prepare(const struct sandbox_config *config, struct err *err)
{
    const char *name = config->user == NULL ? "nobody" : config->user;

    if (look_up(name) < 0)
        return err_set(err, -ENOENT,
                       "There is no user '%.64s' to run kernels as; name one with --sandbox-user.",
                       name);
    if (!has_capabilities())
        return err_set(err, -EPERM,
                       "Workers cannot run as another user: prong was not started as root, or not "
                       "with the capabilities SETUID, SETGID and KILL.");
    if (target.uid == geteuid())
        return err_set(err, -EPERM,
                       "Workers would run as prong's own user; name another with --sandbox-user.");
    return 0;
}

uid_t user_uid(void)
{
    return target.uid;
}

static int is_target(void)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;

    return getresuid(&ruid, &euid, &suid) == 0 && getresgid(&rgid, &egid, &sgid) == 0 &&
           ruid == target.uid && euid == target.uid && suid == target.uid && rgid == target.gid &&
           egid == target.gid && sgid == target.gid;
}

int user_enter(const struct sandbox_rules *rules, struct err *err)
{
    (void)rules;
    if (setgroups(0, NULL) < 0 || setresgid(target.gid, target.gid, target.gid) < 0 ||
        setresuid(target.uid, target.uid, target.uid) < 0 || !is_target())
        return err_set(err, -EPERM, "The user cannot be changed to uid %u: %s.", target.uid,
                       strerror(errno));
    return 0;
}

/* Also where the uid stays: root without capabilities is a user who owns many files. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};

    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

int privileges_enter(const struct sandbox_rules *rules, struct err *err)
{
    int rc = drop_capabilities();

    (void)rules;
    if (rc < 0)
        return err_set(err, rc, "The capabilities cannot be dropped: %s.", strerror(-rc));
    (void)prctl(PR_SET_DUMPABLE, SANDBOX_DUMPABLE);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, -errno, "PR_SET_NO_NEW_PRIVS is refused: %s.", strerror(errno));
    return 0;
}
