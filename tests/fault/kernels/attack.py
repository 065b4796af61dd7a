"""The same as attack.c, from a program: what a hostile one would try, one thing a request."""
import array
import ctypes
import os
import signal
import socket
import struct
import threading
from typing import Literal

from prong import kernel

MODES = Literal[
    "segv", "abort", "exit", "loop", "output", "stdout", "alloc", "forkbomb", "threadbomb", "passwd", "connect", "trace", "kill", "www",
    "garbage", "other_job", "length", "fds", "memfd", "close3", "exec", "setuid", "writable_code",
]  # fmt: skip
FRAME = struct.Struct("<HBBIQ")
MAGIC, VERSION, RESULT = 0x4B50, 1, 6


def segv():
    ctypes.string_at(16)


def loop():
    while True:
        pass


def output():
    return b"no end" * (64 << 20)


def stdout():
    while True:
        print("no end " * 100, flush=True)


def alloc():
    taken = []
    while len(taken) < 640:
        taken.append(bytearray(16 << 20))
    return f"{len(taken) * 16} MiB"


def forkbomb():
    for _ in range(100000):
        if os.fork() == 0:
            signal.pause()
    return "forks"


def threadbomb():
    for _ in range(100000):
        threading.Thread(target=signal.pause, daemon=True).start()
    return "threads"


def passwd():
    with open("/etc/passwd", encoding="utf-8") as file:
        return file.read()


def connect(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"here I am")
    return "connection"


def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, os.getppid(), None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    return "parent"


def kill():
    os.kill(-1, signal.SIGKILL)
    return "kill"


def write(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("I was here")
    return path


def say(data):
    os.write(3, data)
    signal.pause()


def fds():
    taken = []
    try:
        for _ in range(1000):
            taken.append(os.dup(2))
        return len(taken)
    finally:  # the program lives on, and the next attack needs some
        for fd in taken:
            os.close(fd)


def memfd():
    """Hands over a descriptor that nobody asked for, unsealed, and truncates it."""
    fd = os.memfd_create("attack")
    os.truncate(fd, 1 << 20)
    channel = socket.socket(fileno=os.dup(3))
    channel.sendmsg(
        [FRAME.pack(MAGIC, VERSION, RESULT, 0, 1)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    )
    os.truncate(fd, 0)
    signal.pause()


def writable_code():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    if libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0)) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return "writable code"


@kernel(idempotent=False)
def attack(mode: MODES = "segv", port: int = 0, path: str = ""):
    """Tries what a hostile program would."""
    tries = {
        "segv": segv, "abort": os.abort, "exit": lambda: os._exit(0), "loop": loop, "output": output, "stdout": stdout, "alloc": alloc,
        "forkbomb": forkbomb, "threadbomb": threadbomb, "passwd": passwd, "connect": lambda: connect(port), "trace": trace, "kill": kill,
        "www": lambda: write(path), "garbage": lambda: say(b"nonsense" * 100), "fds": fds, "memfd": memfd, "close3": lambda: os.close(3),
        "other_job": lambda: say(FRAME.pack(MAGIC, VERSION, RESULT, 4, 77) + bytes(4)),
        "length": lambda: say(FRAME.pack(MAGIC, VERSION, RESULT, 0xFFFFFFFF, 77)),
        "exec": lambda: os.execv("/bin/true", ["true"]), "setuid": lambda: os.setuid(0), "writable_code": writable_code,
    }  # fmt: skip
    return {"got": tries[mode]()}
