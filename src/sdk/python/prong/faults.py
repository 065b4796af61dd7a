"""What is said of an exception: a sentence for the caller, and where it was for the log."""
from __future__ import annotations

import os
import traceback
from typing import Any, Dict, List

from . import params, running, values

_HERE = os.path.dirname(os.path.abspath(__file__))
_TRACE_LINES_MAX = 50
_MESSAGE_MAX = 900  # characters


def message(error: BaseException) -> str:
    """ "ZeroDivisionError: division by zero."; of what was raised to be read, its text alone."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        text = f"The kernel called sys.exit({error.code!r}), which ends nothing here: let it return or raise"
    elif not isinstance(error, (running.Failed, running.Retry, params.BadValue, values.NotSendable)) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if len(text) > _MESSAGE_MAX:
        text = text[: _MESSAGE_MAX - 1] + "…"
    text = text.encode("utf-8", "replace").decode()
    return text if text[-1] in ".?!…" else text + "."


def trace(error: BaseException) -> List[str]:
    """The traceback, without what is ours above the kernel; at most 50 lines, from both ends."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename.startswith(_HERE):
        at = at.tb_next
    said = traceback.format_exception(type(error), error, at)
    lines = [line.encode("utf-8", "replace").decode() for entry in said for line in entry.rstrip("\n").split("\n")]
    if len(lines) > _TRACE_LINES_MAX:
        left_out = len(lines) - _TRACE_LINES_MAX + 1
        lines = lines[:10] + [f"  … {left_out} lines …"] + lines[10 + left_out :]
    return lines


def describe(error: BaseException) -> Dict[str, Any]:
    """As <name>-map has it."""
    return {"type": type(error).__name__, "message": message(error), "trace": trace(error)}


def code(error: BaseException) -> str:
    """Of an ERROR frame."""
    if isinstance(error, running.Cancelled):
        return "cancelled"
    return "retry" if isinstance(error, running.Retry) else "failed"
