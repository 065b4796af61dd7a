"""Prong from Python: kernels that a Prong server runs, a client of such a server, and an Executor on top of it.

A kernel, in fib.py among the server's kernels:

    from prong import kernel

    @kernel(pure=True)
    def fib(n: int = 30) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    $ curl 'localhost:8080/compute/fib?n=20'
    6765

The same from Python:

    import prong

    prong.Client().compute("fib", n=20)

    with prong.Executor() as pool:
        print(list(pool.map("fib", range(30))))

See prong.declare for kernels, prong.params for their parameters, prong.running for what they may say while they run,
prong.client and prong.executor for the other side.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .declare import kernel
from .params import BadDeclaration, BadValue, Max, Range
from .running import Cancelled, Failed, Retry, cancelled, emit, log, progress, remaining
from .terminal import run

if TYPE_CHECKING:
    from .client import Client
    from .errors import ProngError
    from .executor import Executor

__version__ = "0.1.0"
__all__ = [
    "BadDeclaration", "BadValue", "Cancelled", "Client", "Executor", "Failed", "Max", "ProngError", "Range", "Retry",
    "cancelled", "emit", "kernel", "log", "progress", "remaining", "run",
]
_CLIENT_SIDE = {"Client": "client", "Executor": "executor", "ProngError": "errors"}


def __getattr__(name: str) -> Any:
    """The client's side is loaded when somebody asks for it: a kernel's process starts sooner without."""
    import importlib  # pylint: disable=import-outside-toplevel

    if name in _CLIENT_SIDE:
        return getattr(importlib.import_module("." + _CLIENT_SIDE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
