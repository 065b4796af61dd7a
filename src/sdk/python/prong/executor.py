"""concurrent.futures.Executor, with the work in the server's processes.

    with prong.Executor() as pool:
        futures = [pool.submit(fib, n) for n in range(30)]
        for future in concurrent.futures.as_completed(futures): …
        for value in pool.map(fib, range(30)): …

It is a drop-in for a ProcessPoolExecutor whose functions are kernels of the server, and keeps what that cannot: cancel() of
a future that runs stops the work and returns True; a crash fails its own future (errors.WorkerDied) and no other; nothing is pickled.
One thread does it all, however many are under way. When the server's queue is full, it waits and sends again.
"""
from __future__ import annotations

import concurrent.futures
import random
import time
import weakref
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from . import ask, declare, errors
from .client import Client
from .http1 import Answer, Request
from .line import Exchange
from .loop import Loop
from .many import SUFFIX

Target = Union[str, Callable[..., Any]]
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.02, 5.0


class Future(concurrent.futures.Future):
    """One whose cancel() works while it runs: up to its result it counts as pending to its base."""

    def __init__(self) -> None:
        super().__init__()
        self.is_sent = False
        self.abort: Callable[[], None] = lambda: None

    def cancel(self) -> bool:
        """Stops it, also while it runs; False only when it is done."""
        if not super().cancel():
            return False
        self.abort()
        return True

    def running(self) -> bool:
        """Whether it has been sent, so that it waits at the server or is worked on."""
        return self.is_sent and not self.done()

    def settle(self, value: Any, error: Optional[BaseException]) -> None:
        """Its end, once. Of one that was cancelled this tells those who wait for it."""
        if not self.set_running_or_notify_cancel():
            return
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(value)


class Executor(concurrent.futures.Executor):
    """`server`: a URL or a Client (default: as prong.Client's). Its options (timeout, priority) count for all work.

    max_workers  requests under way at once; more wait here. Default: twice the server's workers
    patience     seconds for which a request is sent again while the server's queue is full; then QueueFull
    """

    def __init__(self, server: Union[str, Client, None] = None, max_workers: Optional[int] = None, *, patience: float = 60.0) -> None:
        self._client = server if isinstance(server, Client) else Client(server)
        if max_workers is not None and max_workers < 1:
            raise ValueError("max_workers must be greater than 0")
        self.max_workers = max_workers or _twice_the_workers(self._client)
        self._sender = Sender(self._client, self.max_workers, patience)
        self._runs: "weakref.WeakSet[Any]" = weakref.WeakSet()
        self._is_shut = False
        weakref.finalize(self, self._sender.loop.close).atexit = False  # at exit the loop sees to it

    def submit(self, fn: Target, /, *args: Any, **kwargs: Any) -> Future:  # type: ignore[override]
        """`fn`: a @kernel function or a kernel's name. Arguments are the kernel's parameters; bytes, or an array.array
        given for numbers, travel as the raw body. What is wrong with them is in the future."""
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return self._sender.submit(fn, args, kwargs)

    def map(self, fn: Target, *iterables: Iterable[Any], timeout: Optional[float] = None, chunksize: Optional[int] = None,
            buffersize: Optional[int] = None) -> Iterator[Any]:  # type: ignore[override]
        """The results in order, as they come; a call that raised raises when it is reached.

        Many calls go into one request and are spread over all workers there. How many is measured (a quarter of a second's
        work), unless `chunksize` says it. When a request's worker dies, or it takes too long, its calls are sent
        once more one by one, so that only the guilty one fails; use submit() for what must not be run twice.

        As of Python 3.14: the iterables are read at once, and all of it is run, unless `buffersize` says how many
        calls may be ahead of what has been taken.
        """
        from .chunks import Run  # pylint: disable=import-outside-toplevel,cyclic-import

        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        if chunksize is not None and chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        run = Run(self._sender, fn, zip(*iterables), chunksize, buffersize)
        self._runs.add(run)
        return run.results(None if timeout is None else time.monotonic() + timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """No more is taken. `cancel_futures`: what has not been sent is cancelled. `wait`: until the rest is done."""
        self._is_shut = True
        if cancel_futures:
            for run in list(self._runs):
                run.stop()
            self._sender.cancel_queued()
        self._sender.loop.close()
        if wait:
            self._sender.loop.join()


class Sender:
    """Makes requests of calls, and futures of their answers."""

    def __init__(self, client: Client, lines_max: int, patience_s: float) -> None:
        self._client = client
        self.lines_max = lines_max
        self._patience_s = patience_s
        self._catalogue: Optional[Dict[str, Dict[str, Any]]] = None
        self.loop = Loop(client._pool.address, lines_max)

    def submit(self, fn: Target, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Future:
        future = Future()
        try:
            request = self._client.request(*self._bind(fn, args, kwargs))
        except (TypeError, ValueError, errors.ProngError) as error:
            future.settle(None, error)
            return future

        def ended(answer: Optional[Answer], error: Optional[Exception]) -> None:
            try:
                value = ask.result(answer).value if answer is not None else None
            except Exception as refused:  # pylint: disable=broad-except # whatever it is, somebody waits for it
                value, error = None, refused
            if answer is None and error is None:  # it was stopped, by whomever
                concurrent.futures.Future.cancel(future)
            future.settle(value, error)

        def began() -> bool:
            future.is_sent = True
            return not future.cancelled()

        future.abort = self.send(request, ended, began)
        return future

    def send(self, request: Request, ended: Callable[[Optional[Answer], Optional[Exception]], None],
             began: Callable[[], bool] = lambda: True) -> Callable[[], None]:
        """Sends it, again while the server's queue is full. `ended` is called on the loop's thread. Returns what stops it."""
        until_s = time.monotonic() + self._patience_s
        current: List[Exchange] = []

        def done(answer: Optional[Answer], error: Optional[Exception]) -> None:
            pause_s = _pause_s(answer)
            if pause_s is None or time.monotonic() + pause_s > until_s or not began():
                ended(answer, error)
                return
            current[0] = Exchange(request, done, began)
            self.loop.start_later(current[0], pause_s)

        current.append(Exchange(request, done, began))
        self.loop.start(current[0])
        return lambda: self._abort(current)

    def _abort(self, current: List[Exchange]) -> None:
        try:
            self.loop.abort(current[0])
        except RuntimeError:
            pass  # it has ended, and so has this

    def cancel_queued(self) -> None:
        try:
            self.loop.abort_queued()
        except RuntimeError:
            pass

    def _bind(self, fn: Target, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tuple[str, Dict[str, Any], Any]:
        """(kernel, parameters, raw input) of a call."""
        if isinstance(fn, str):
            return (fn, *self._bind_by_catalogue(fn, args, kwargs))
        kernel = kernel_of(fn)
        params = dict(kernel.signature.bind(*args, **kwargs).arguments)
        if kernel.input is None or kernel.input.name not in params:
            return kernel.name, params, None
        if kernel.input.type == "values" and isinstance(params[kernel.input.name], (list, tuple)):
            return kernel.name, params, None
        return kernel.name, params, params.pop(kernel.input.name)

    def _bind_by_catalogue(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tuple[Dict[str, Any], Any]:
        inputs = [arg for arg in args if isinstance(arg, ask.RAW_TYPES)]
        in_order = [arg for arg in args if not isinstance(arg, ask.RAW_TYPES)]
        if len(inputs) > 1:
            raise TypeError(f"{name}() takes one raw input, not {len(inputs)}")
        if not in_order:
            return dict(kwargs), inputs[0] if inputs else None
        catalogue = self.read_catalogue()
        if name not in catalogue:
            raise errors.NotFound(f"There is no kernel {name}.", 404)
        names = list(catalogue[name]["params"]["properties"])
        if len(in_order) > len(names):
            raise TypeError(f"{name}() takes {len(names)} arguments, not {len(in_order)}")
        params = dict(zip(names, in_order))
        twice = params.keys() & kwargs.keys()
        if twice:
            raise TypeError(f"{name}() got two values for {', '.join(sorted(twice))}")
        return {**params, **kwargs}, inputs[0] if inputs else None

    def read_catalogue(self) -> Dict[str, Dict[str, Any]]:
        """Once: which kernels there are, and the order of their parameters."""
        if self._catalogue is None:
            self._catalogue = self._client.kernels()
        return self._catalogue

    def request_of_many(self, name: str, body: bytes) -> Request:
        """For <name>-map."""
        return self._client.request(name + SUFFIX, {}, body)


def kernel_of(fn: Target) -> declare.Kernel:
    """TypeError says what to do with a function that is none."""
    kernel = declare.of(fn)
    if kernel is None:
        name = getattr(fn, "__name__", repr(fn))
        raise TypeError(f"{name} is no kernel: put @prong.kernel before it and its file among the server's kernels")
    return kernel


def name_of(fn: Target) -> str:
    return fn if isinstance(fn, str) else kernel_of(fn).name


def _pause_s(answer: Optional[Answer]) -> Optional[float]:
    """How long to wait before it is sent again; None when the answer stands."""
    if answer is None or answer.status not in (429, 503):
        return None
    refused = errors.of_answer(*answer)
    if not isinstance(refused, (errors.QueueFull, errors.TooManyRequests)):
        return None
    asked_s = refused.retry_after if refused.retry_after is not None else _PAUSE_MIN_S
    return min(max(asked_s, _PAUSE_MIN_S), _PAUSE_MAX_S) * random.uniform(0.8, 1.2)  # not all at once


def _twice_the_workers(client: Client) -> int:
    workers = [worker for worker in client.status()["workers"] if worker.get("kind") == "ordinary"]
    return max(2 * len(workers), 2)
