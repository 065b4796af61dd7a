#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int shm_create(const char *name, size_t bytes, enum shm_access access, int *ret_fd, void **ret_map)
{
    CLEANUP_FD int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int protection = PROT_READ;
    void *map;

    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
        return -errno;
    if (access == SHM_PEER_READS) {
        /* Our own writable mapping must exist before the seal forbids new ones. */
        protection |= PROT_WRITE;
        seals |= F_SEAL_FUTURE_WRITE;
    }
    map = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, seals) < 0) {
        int error = errno;
        shm_unmap(map, bytes);
        return -error;
    }
    *ret_fd = take_fd(&fd);
    *ret_map = map;
    return 0;
}

int shm_map(int fd, size_t bytes, enum shm_access access, void **ret_map)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    int protection = access == SHM_PEER_READS ? PROT_READ : PROT_READ | PROT_WRITE;
    void *map;

    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) < 0 ||
        (uint64_t)st.st_size < bytes)
        return -EPROTO;
    map = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *ret_map = map;
    return 0;
}

void shm_unmap(void *map, size_t bytes)
{
    if (map != NULL)
        (void)munmap(map, bytes);
}

int shm_discard(int fd, size_t bytes)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    return fallocate(fd, mode, 0, (off_t)bytes) < 0 ? -errno : 0;
}
