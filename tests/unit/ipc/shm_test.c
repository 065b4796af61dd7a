#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { BYTES = 8192 };

struct piece {
    int fd;
    char *map;
};

static struct piece make(enum shm_access access)
{
    struct piece p = {.fd = -1};
    void *map = NULL;

    assert_int_equal(shm_create("test", BYTES, access, &p.fd, &map), 0);
    p.map = map;
    return p;
}

static void release(struct piece *p)
{
    shm_unmap(p->map, BYTES);
    assert_int_equal(close(p->fd), 0);
}

static char *map_as_peer(int fd, enum shm_access access)
{
    void *map = NULL;

    assert_int_equal(shm_map(fd, BYTES, access, &map), 0);
    return map;
}

/* Whether writing there kills a process. */
static bool is_read_only(char *at)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile char *)at = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void the_maker_writes_and_the_peer_reads(void **state)
{
    struct piece p = make(SHM_PEER_READS);
    char *peer = map_as_peer(p.fd, SHM_PEER_READS);

    (void)state;
    p.map[BYTES - 1] = 42;
    assert_int_equal(peer[BYTES - 1], 42);
    assert_true(is_read_only(peer));
    shm_unmap(peer, BYTES);
    release(&p);
}

static void the_peer_can_never_map_it_writable(void **state)
{
    struct piece p = make(SHM_PEER_READS);
    void *map = NULL;

    (void)state;
    assert_true(mmap(NULL, BYTES, PROT_WRITE, MAP_SHARED, p.fd, 0) == MAP_FAILED);
    assert_int_equal(shm_map(p.fd, BYTES, SHM_PEER_WRITES, &map), -EPERM);
    assert_null(map);
    assert_int_equal(pwrite(p.fd, "x", 1, 0), -1);
    release(&p);
}

static void the_peer_cannot_make_its_view_writable_later(void **state)
{
    struct piece p = make(SHM_PEER_READS);
    char *peer = map_as_peer(p.fd, SHM_PEER_READS);

    (void)state;
    assert_int_equal(mprotect(peer, BYTES, PROT_READ | PROT_WRITE), -1);
    shm_unmap(peer, BYTES);
    release(&p);
}

static void the_peer_writes_and_the_maker_reads(void **state)
{
    struct piece p = make(SHM_PEER_WRITES);
    char *peer = map_as_peer(p.fd, SHM_PEER_WRITES);

    (void)state;
    peer[5] = 42;
    assert_int_equal(p.map[5], 42);
    assert_true(is_read_only(p.map));
    shm_unmap(peer, BYTES);
    release(&p);
}

static void its_size_is_fixed(void **state)
{
    (void)state;
    for (int access = SHM_PEER_READS; access <= SHM_PEER_WRITES; access++) {
        struct piece p = make((enum shm_access)access);
        assert_int_equal(ftruncate(p.fd, BYTES - 4096), -1);
        assert_int_equal(ftruncate(p.fd, BYTES + 4096), -1);
        assert_int_equal(fcntl(p.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
        release(&p);
    }
}

static void it_closes_on_exec(void **state)
{
    struct piece p = make(SHM_PEER_READS);

    (void)state;
    assert_true(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
    release(&p);
}

static void it_begins_as_zeros(void **state)
{
    struct piece p = make(SHM_PEER_READS);

    (void)state;
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(p.map[i], 0);
    release(&p);
}

static void what_cannot_be_made_changes_nothing(void **state)
{
    int fd = -7, before = dup(0), after;
    void *map = &fd;

    (void)state;
    assert_int_equal(close(before), 0);
    assert_true(shm_create("test", 0, SHM_PEER_READS, &fd, &map) < 0);
    assert_true(shm_create("test", SIZE_MAX, SHM_PEER_WRITES, &fd, &map) < 0);
    assert_int_equal(fd, -7);
    assert_ptr_equal(map, &fd);
    after = dup(0);
    assert_int_equal(close(after), 0);
    assert_int_equal(before, after);
}

static void too_small_a_piece_is_refused(void **state)
{
    struct piece p = make(SHM_PEER_READS);
    void *map = NULL;

    (void)state;
    assert_int_equal(shm_map(p.fd, BYTES + 1, SHM_PEER_READS, &map), -EPROTO);
    assert_int_equal(shm_map(p.fd, SIZE_MAX, SHM_PEER_READS, &map), -EPROTO);
    assert_null(map);
    release(&p);
}

static void what_may_still_shrink_is_refused(void **state)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *map = NULL;

    (void)state;
    assert_int_equal(ftruncate(fd, BYTES), 0);
    assert_int_equal(shm_map(fd, BYTES, SHM_PEER_READS, &map), -EPROTO);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(shm_map(fd, BYTES, SHM_PEER_READS, &map), 0);
    shm_unmap(map, BYTES);
    assert_int_equal(close(fd), 0);
}

static void what_is_no_memory_is_refused(void **state)
{
    int fds[2];
    void *map = NULL;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(shm_map(fds[0], 1, SHM_PEER_READS, &map), -EPROTO);
    assert_int_equal(shm_map(-1, 1, SHM_PEER_READS, &map), -EPROTO);
    assert_null(map);
    assert_int_equal(close(fds[0]) + close(fds[1]), 0);
}

static void discarding_leaves_zeros(void **state)
{
    struct piece p = make(SHM_PEER_WRITES);
    char *peer = map_as_peer(p.fd, SHM_PEER_WRITES);

    (void)state;
    memset(peer, 'x', BYTES);
    assert_int_equal(shm_discard(p.fd, BYTES), 0);
    assert_int_equal(p.map[0], 0);
    assert_int_equal(peer[BYTES - 1], 0);
    shm_unmap(peer, BYTES);
    release(&p);
}

static void what_the_peer_only_reads_cannot_be_discarded(void **state)
{
    struct piece p = make(SHM_PEER_READS);

    (void)state;
    p.map[0] = 42;
    assert_int_equal(shm_discard(p.fd, BYTES), -EPERM);
    assert_int_equal(p.map[0], 42);
    release(&p);
}

static void unmapping_nothing_is_fine(void **state)
{
    (void)state;
    shm_unmap(NULL, BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_maker_writes_and_the_peer_reads),
        cmocka_unit_test(the_peer_can_never_map_it_writable),
        cmocka_unit_test(the_peer_cannot_make_its_view_writable_later),
        cmocka_unit_test(the_peer_writes_and_the_maker_reads),
        cmocka_unit_test(its_size_is_fixed),
        cmocka_unit_test(it_closes_on_exec),
        cmocka_unit_test(it_begins_as_zeros),
        cmocka_unit_test(what_cannot_be_made_changes_nothing),
        cmocka_unit_test(too_small_a_piece_is_refused),
        cmocka_unit_test(what_may_still_shrink_is_refused),
        cmocka_unit_test(what_is_no_memory_is_refused),
        cmocka_unit_test(discarding_leaves_zeros),
        cmocka_unit_test(what_the_peer_only_reads_cannot_be_discarded),
        cmocka_unit_test(unmapping_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
