"""A Python port in a process of its own: nothing that it does reaches the judge but its answers.

A port that ends its process, hangs, or takes too much memory gets that as its verdict; the process is then started
anew for the next question, a few times.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import lionk

from ..judging.trace import Raised, Trace
from ..specification.cases import Case
from ..specification.port import Capabilities
from . import message
from .process import Ended, Limits, Process

_LIVES = 2
#: Seconds that importing a port, and the frameworks that it needs, may take in any case.
_IMPORT = 60.0


class ApartPort:
    """The port that ``target`` names, as ``target.load`` takes it, in another process.

    Raises ValueError if it cannot be loaded, with the reason.
    """

    live = True

    def __init__(
        self,
        target: str,
        wishes: Mapping[str, Any],
        limits: Limits | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> None:
        self.target, self.wishes, self.limits = target, dict(wishes), limits or Limits()
        self.process: Process | None = None
        self.lives, self.life, self.case, self.told = _LIVES, 0, "", ""
        try:
            about = self._start()
        except (Ended, Raised) as error:
            text = f"{target}: importing it {error}{self._said()}" if isinstance(error, Ended) else str(error)
            self.close()
            raise ValueError(text) from None
        self.name, self.versions = str(about["name"]), {str(k): str(v) for k, v in about["versions"].items()}
        self.defaults: Mapping[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in about["defaults"].items()
        }
        K = about["K"] if about["K"] is not None else self._function
        made = message.unpacked_claims(about["capabilities"], K)
        self.capabilities: Capabilities = replace(made, **(claims or {}))
        self.functions: dict[tuple[int, ...], Any] = {}

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.end()
            self.process = None

    def __enter__(self) -> ApartPort:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _function(self, shape: tuple[int, ...]) -> Any:
        if shape not in self.functions:
            self.functions[shape] = self.ask("function", shape=list(shape))
        from ...functions import K

        return K(self.functions[shape])

    def _start(self) -> Any:
        self.close()
        root = str(Path(lionk.__file__).parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-P", "-m", "lionk.conformance.ports.child"]
        self.process, self.life = Process(command, self.limits, env), self.life + 1
        return self._once({"do": "open", "target": self.target, "wishes": self.wishes})

    def _said(self) -> str:
        said = self.process.said.decode(errors="replace").strip() if self.process is not None else ""
        return f": {said.splitlines()[-1][-300:]}" if said else ""

    def _once(self, request: dict[str, Any]) -> Any:
        assert self.process is not None
        try:
            seconds = max(_IMPORT, self.limits.seconds) if request["do"] == "open" else None
            answer = json.loads(self.process.ask(json.dumps(request), seconds))
        except ValueError:
            raise Ended("wrote into its connection with the judge") from None
        if "ok" in answer:
            return answer["ok"]
        error = answer["error"]
        if error["absent"]:
            raise NotImplementedError(error["text"])
        if request["do"] == "open":
            text = error["text"] if error["input"] else f"{error['kind']}: {error['text']} ({error['at']})"
            raise Raised(text if error["input"] else f"{self.target}: loading it raised {text}")
        text = f"{error['kind']}: {error['text']} ({error['at']})"
        raise Raised(f"the port raised {text}", text)

    def ask(self, do: str, **more: Any) -> Any:
        """Ask the process. Raises Raised with what the port raised, or with how it ended its process."""
        if self.process is None:
            if not self.lives:
                raise Raised(f"not run, since the port {self.told}")
            try:
                self._start()
            except Ended as error:
                raise self._ended(error) from None
        try:
            return self._once({"do": do, **more})
        except Ended as error:
            raise self._ended(error) from None

    def _ended(self, error: Ended) -> Raised:
        self.told = f"{error}{self._said()}"
        self.lives = 0 if "did not answer" in self.told else self.lives - 1
        self.close()
        return Raised(f"the port {self.told}")

    def run(self, case: Case) -> Trace:
        """The run of one case."""
        return message.unpacked_trace(self.ask("trace", case=case.to_json()))

    def create(self, x0: Any, **hyper: Any) -> ApartHandle:
        return ApartHandle(self, self.ask("create", x0=message.packed(x0), hyper=message.packed(hyper)))


class State:
    """A state that stays with the port: here is its number."""

    def __init__(self, port: ApartPort, number: int) -> None:
        self.port, self.number = port, number

    def __deepcopy__(self, memo: Any) -> State:
        return State(self.port, self.port.ask("copy", state=self.number))


class ApartHandle:
    """A handle that lives with the port."""

    def __init__(self, port: ApartPort, number: int) -> None:
        self.port, self.number, self.life = port, number, port.life

    def _ask(self, do: str, **more: Any) -> Any:
        if self.port.life != self.life or self.port.process is None:
            raise Raised(f"the port {self.port.told}")
        return message.unpacked(self.port.ask(do, handle=self.number, **more))

    def _call(self, method: str, *arrays: Any, **hyper: Any) -> Any:
        return self._ask("call", method=method, arrays=message.packed(arrays), hyper=message.packed(hyper))

    @property
    def x(self) -> Any:
        return self._ask("x")

    def step(self, grad: Any) -> None:
        self.received = self._ask("step", grad=message.packed(grad))

    def reuse(self, grad: Any) -> None:
        self._call("reuse", grad)

    def write(self, x: Any) -> None:
        self._call("write", x)

    def edit(self, **hyper: Any) -> None:
        self._call("edit", **hyper)

    def add(self, x0: Any, **hyper: Any) -> None:
        self._call("add", x0, **hyper)

    def closure(self, grad: Any) -> tuple[int, bool, bool]:
        calls, enabled, returned = self._call("closure", grad)
        return int(calls), bool(enabled), bool(returned)

    def state(self) -> State:
        return State(self.port, self._ask("state"))

    def load(self, state: State) -> None:
        self._ask("load", state=state.number)
