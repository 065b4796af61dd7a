"""Whether prong has started this process, and beginning anew in the way it is meant to be."""
from __future__ import annotations

import os
import socket
import stat
import sys

FD = 3


def is_under_prong(fd: int = FD) -> bool:
    """Whether fd 3 is what prong leaves there: a connected stream socket of this machine."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        sock = socket.socket(fileno=fd)
    except OSError:
        return False
    try:
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM and not is_listening
    finally:
        sock.detach()


def begin_anew(file: str) -> None:
    """Becomes `python3 -m prong file`. A file that was started by itself ends before anybody could serve what it has
    declared, so this is done at its first @kernel."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "prong", file])
