"""What can go wrong at a server, as exceptions.

Every one is a ProngError and has what the server's problem+json said: status, title, detail, and problem, the whole of it. Catch
the kind you can do something about:

    BadRequest          the request, or a parameter (`.parameter`), is not as the kernel wants it
    Forbidden           the token is missing or wrong, or this may not be done
    NotFound, Gone      no such kernel, job or key; not kept any more
    Conflict            it is not in the state for that; PreconditionFailed: another version; KeyReused
    KernelFailed        the kernel said no; also an instance of the exception that was raised there, if Python has it
    WorkerDied          crashed or was killed: `.signal` or `.exit_code`; Poisoned: this input has done that before
    DeadlinePassed      it took too long, and was stopped
    Unavailable         not now: `.retry_after` seconds; QueueFull, TooManyRequests, KernelDisabled
    NoRoom              the store is full
    JobCancelled        this durable job was cancelled, so it has no result
    Unreachable         no answer came
"""
from __future__ import annotations

import builtins
import functools
import json
import re
from typing import Any, Dict, List, Optional, Type


class ProngError(Exception):
    """An answer that is an error; str() is the sentence that says what to do."""

    def __init__(self, detail: str, status: int = 0, problem: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status  # of HTTP; 0 when there was no answer
        self.problem = problem or {}
        self.title: str = self.problem.get("title", "")
        self.job: Optional[str] = self.problem.get("job")
        self.retry_after: Optional[float] = self.problem.get("retry_after")  # seconds

    def __str__(self) -> str:  # whatever it is besides: a KeyError would put quotes around it
        return self.detail

    def __reduce__(self) -> Any:
        return _remake, (self.detail, self.status, self.problem, type(self).__name__)


class BadRequest(ProngError):
    """Not a request that the server takes, or not the kernel's parameters."""

    @property
    def parameter(self) -> Optional[str]:
        return self.problem.get("parameter")


class Forbidden(ProngError):
    """The token is missing or wrong, or this may not be done."""


class NotFound(ProngError, LookupError):
    """There is no such kernel, job or key."""


class Gone(NotFound):
    """It is not kept any more."""


class Conflict(ProngError):
    """Its state does not allow that."""


class PreconditionFailed(Conflict):
    """The value has another version."""


class KeyReused(Conflict):
    """The idempotency key was used for another request."""


class JobCancelled(Conflict):
    """The job was cancelled."""


class KernelFailed(ProngError):
    """The kernel said no."""

    trace: List[str] = []  # known of Executor.map's calls; of others it is in the server's log


class WorkerDied(ProngError):
    """The process that worked on it has died."""

    @property
    def signal(self) -> Optional[int]:
        return self.problem.get("signal")

    @property
    def exit_code(self) -> Optional[int]:
        return self.problem.get("exit_code")

    @property
    def out_of_memory(self) -> bool:
        return bool(self.problem.get("oom"))


class Poisoned(WorkerDied):
    """This very input has killed workers, so it is refused for a while."""


class DeadlinePassed(ProngError, TimeoutError):
    """It was not done in time, and has been stopped."""


class Unavailable(ProngError):
    """Not now; `retry_after` says when."""


class QueueFull(Unavailable):
    """The queue is full; nothing was started."""


class TooManyRequests(Unavailable):
    """This client is over its share."""


class KernelDisabled(Unavailable):
    """The kernel's workers died again and again, so it rests."""


class NoRoom(ProngError):
    """The server has no room for it."""


class Unreachable(ProngError, ConnectionError):
    """No answer came: nobody listens, the connection broke, or it took longer than the timeout."""


_BY_TYPE: Dict[str, Type[ProngError]] = {
    "idempotency-key-reused": KeyReused,
    "kernel-disabled": KernelDisabled,
    "kernel-failed": KernelFailed,
    "poison": Poisoned,
    "queue-full": QueueFull,
}
_BY_STATUS: Dict[int, Type[ProngError]] = {
    401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone, 412: PreconditionFailed,
    429: TooManyRequests, 502: WorkerDied, 503: Unavailable, 504: DeadlinePassed, 507: NoRoom,
}  # fmt: skip
_RAISED = re.compile(r"([A-Z]\w*)(?:: |\.$)")


def of_problem(problem: Dict[str, Any], status: int = 0) -> ProngError:
    """The exception for a problem object, as an answer's body, an event, or a job has it."""
    status = problem.get("status", status)
    made = _BY_TYPE.get(str(problem.get("type", "")).rpartition("#")[2]) or _BY_STATUS.get(status)
    if "type" not in problem and status in (502, 504):
        made = Unavailable  # a proxy's own
    if made is None:
        made = BadRequest if 400 <= status < 500 else ProngError
    detail = problem.get("detail") or problem.get("title") or f"The server answered {status}."
    if made is KernelFailed:
        return kernel_failed(detail, problem, status)
    return made(detail, status, problem)


def of_answer(status: int, headers: Dict[str, str], body: bytes) -> ProngError:
    """The exception for an answer that is no success."""
    problem: Any = None
    if headers.get("content-type", "").startswith(("application/problem+json", "application/json")):
        try:
            problem = json.loads(body)
        except ValueError:
            pass
    if not isinstance(problem, dict):
        text = " ".join(body[:200].decode("utf-8", "replace").split())
        problem = {"status": status, "detail": f"The server answered {status}: {text}"}
    if "retry-after" in headers and headers["retry-after"].isdigit():
        problem.setdefault("retry_after", int(headers["retry-after"]))
    return of_problem(problem, status)


def kernel_failed(detail: str, problem: Dict[str, Any], status: int = 500, name: str = "") -> KernelFailed:
    """`name`: of the type that was raised there; else the detail may begin with it."""
    raised = _RAISED.match(detail)
    return _kind(name or (raised.group(1) if raised else ""))(detail, status, problem)


@functools.lru_cache(maxsize=None)
def _kind(name: str) -> Type[KernelFailed]:
    """KernelFailed and the built-in exception of this name, if there is one."""
    builtin = getattr(builtins, name, None)
    if not (isinstance(builtin, type) and issubclass(builtin, Exception)):
        return KernelFailed
    try:
        made = type("KernelFailed", (KernelFailed, builtin), {"__module__": __name__, "__doc__": KernelFailed.__doc__})
        made("")
        return made
    except TypeError:  # it cannot be joined with others, or wants more than a sentence
        return KernelFailed


def _remake(detail: str, status: int, problem: Dict[str, Any], name: str) -> ProngError:
    """For pickle."""
    if name == "KernelFailed":
        return kernel_failed(detail, problem, status)
    return globals().get(name, ProngError)(detail, status, problem)
