"""The process of a Python port: it loads the port, and does what the judge asks, line by line.

``python -m lionk.conformance.ports.child``. The judge's lines come on standard input and are answered on what was
standard output; what the port prints goes to standard error.
"""

from __future__ import annotations

import copy
import json
import os
import traceback
from typing import Any

from array_api_compat import is_array_api_obj

from ...backend.discovery import backend_of
from ...functions import ConvexFunction
from ..judging.trace import changed, read, run
from ..specification.cases import Case, function_of, host
from ..specification.port import Port, each_parameter
from . import message
from .target import load


class Served:
    """The port, its handles, and the states that were asked for: the judge has their numbers only."""

    def __init__(self) -> None:
        self.kept: dict[int, Any] = {}
        self.count = 0

    port: Port

    def _keep(self, value: Any) -> int:
        self.count += 1
        self.kept[self.count] = value
        return self.count

    def open(self, target: str, wishes: dict[str, Any]) -> dict[str, Any]:
        self.port = load(target, {**wishes, "decays": tuple(wishes.get("decays", ()))})
        K = self.port.capabilities.K
        spec = K.spec if isinstance(K, ConvexFunction) else None if callable(K) else K
        return {
            "name": self.port.name,
            "defaults": {k: v for k, v in self.port.defaults.items() if isinstance(v, (int, float, tuple, list))},
            "versions": dict(getattr(self.port, "versions", {})),
            "capabilities": message.packed_claims(self.port.capabilities),
            "K": spec,
        }

    def function(self, shape: list[int]) -> Any:
        return function_of(self.port.capabilities.K, tuple(shape)).spec

    def trace(self, case: dict[str, Any]) -> dict[str, Any]:
        return message.packed_trace(run(self.port, Case.from_json(case)))

    def create(self, x0: Any, hyper: Any) -> int:
        given: dict[str, Any] = message.unpacked(hyper)
        option = given.pop("option", None)
        choice = {} if option is None else dict(self.port.capabilities.options[option])
        return self._keep(self.port.create(message.unpacked(x0), **given, **choice))

    def x(self, handle: int) -> Any:
        return each_parameter(self.kept[handle].x, _numbers)

    def step(self, handle: int, grad: Any) -> Any:
        """Make a step, and give the gradient as the step has left it, if the step has changed it."""
        given, was = message.unpacked(grad), message.unpacked(grad)
        self.kept[handle].step(given)
        real = isinstance(given, list) or given.dtype.kind != "c"
        if not (real and changed(self.kept[handle], given, was)):
            return None
        left = getattr(self.kept[handle], "received", None)
        return each_parameter(given if left is None else left, _numbers)

    def call(self, handle: int, method: str, arrays: Any, hyper: Any) -> Any:
        """Call a method of the handle that takes arrays and hyper-parameters."""
        return message.packed(getattr(self.kept[handle], method)(*message.unpacked(arrays), **message.unpacked(hyper)))

    def state(self, handle: int) -> int:
        return self._keep(self.kept[handle].state())

    def copy(self, state: int) -> int:
        return self._keep(copy.deepcopy(self.kept[state]))

    def load(self, handle: int, state: int) -> None:
        self.kept[handle].load(self.kept[state])

    def forget(self, handle: int) -> None:
        self.kept.pop(handle, None)


def _numbers(x: Any) -> dict[str, Any]:
    value = backend_of(x).to_host(x) if is_array_api_obj(x) else x
    value = host().asarray(value)
    return message.packed(value if value.dtype.kind == "c" else read(value))


def _error(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(os.path.dirname(os.path.dirname(__file__)))]
    at = (own or frames)[-1]
    return {
        "kind": type(error).__name__,
        "text": str(error)[:2000],
        "at": f"{os.path.basename(at.filename)}, line {at.lineno}",
        "absent": isinstance(error, NotImplementedError),
        "input": isinstance(error, (ValueError, ImportError)),
    }


def main() -> None:
    # What the port prints, or reads, is not the judge's: it gets its own copies of these streams.
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    served = Served()
    for line in asked:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(served, request.pop("do"))(**request)}
        except BaseException as error:  # sys.exit and the like, too: that is a verdict
            answer = {"error": _error(error)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    os._exit(0)  # whatever threads and handlers the port has left


if __name__ == "__main__":
    main()
