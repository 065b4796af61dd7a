#include "http/room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/fd.h"

enum { TEXT_BYTES = 128 };

/* The system doubles what it is told, for its own needs. */
static bool widen(int fd)
{
    const int half = ROOM_BYTES / 2;

    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half)) == 0;
}

static bool is_wide(int fd)
{
    socklen_t size = sizeof(int);
    int bytes;

    return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size) == 0 && bytes >= ROOM_BYTES;
}

/* What a socket grows to by itself: the last of three numbers. False where that cannot be read. */
static bool grows_less(void)
{
    char text[TEXT_BYTES];
    const char *last;

    if (fd_read_file("/proc/sys/net/ipv4/tcp_wmem", text, sizeof(text)) <= 0)
        return false;
    last = strrchr(text, '\t');
    return last != NULL && strtoull(last + 1, NULL, 10) < ROOM_BYTES;
}

void room_init(struct room *room)
{
    CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    atomic_init(&room->taken, 0);
    room->is_allowed = fd >= 0 && widen(fd) && is_wide(fd) && grows_less();
}

bool room_take(struct room *room, int fd)
{
    if (!room->is_allowed)
        return false;
    if (atomic_fetch_add(&room->taken, 1) < ROOM_CONNECTIONS_MAX && widen(fd))
        return true;
    room_leave(room);
    return false;
}

void room_leave(struct room *room)
{
    CHECK(atomic_fetch_sub(&room->taken, 1) > 0);
}
