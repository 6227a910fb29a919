"""A monitor for training: how near each parameter is to its bound, and how far it moved, as a dict for any logger."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import lionk
from lionk.theory.gauge import nearness

from . import options


class Monitor:
    """What ``watch`` returns. Each ``read`` is also kept, for ``plot``."""

    def __init__(self, optimizer: Any, names: dict[int, str]) -> None:
        self.optimizer, self._names = optimizer, names
        self._last: dict[int, torch.Tensor] = {}
        self.history: list[dict[str, float]] = []
        self._live: Any = None

    def _parameters(self) -> Iterator[tuple[str, torch.Tensor, lionk.ConvexFunction, float]]:
        place = 0
        for group in self.optimizer.param_groups:
            K, lam = self.optimizer._known.make(group).method.K, float(options.decay_of(group))
            for p in group["params"]:
                if options.steppable(p):
                    yield self._names.get(id(p), f"parameter {place}"), p, K, lam
                place += 1

    @torch.no_grad()
    def read(self) -> dict[str, float]:
        """For each parameter ``name/gauge``, ``name/at_bound`` and, from the second time on, ``name/moved``.

        gauge: of lam x in dom K*, at most 1 in the constraint set. at_bound: the share of entries, singular values or
        rows at the bound. moved: the root mean square of the change since the last read. What K or a weight decay of 0
        has no bound for is left out. Sharded parameters are gathered.
        """
        found: dict[str, float] = {}
        for name, p, K, lam in self._parameters():
            x = p.detach().full_tensor() if hasattr(p, "full_tensor") else p.detach()
            if lam > 0 and isinstance(K, lionk.functions.ArrayFunction):
                try:
                    near = nearness(K, x, lam)
                except lionk.NotAvailable:
                    near = None
                if near is not None and not math.isnan(near.gauge):
                    found[f"{name}/gauge"], found[f"{name}/at_bound"] = near.gauge, near.at_bound
            last = self._last.get(id(p))
            if last is not None and x.numel():
                found[f"{name}/moved"] = (x - last).abs().square().mean().sqrt().item()
            self._last[id(p)] = x.clone()
        self.history.append(found)
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        return found

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the last read as a table that stays in its place in the terminal. Needs rich, of the extra cli.

        >>> import torch, lionk_torch
        >>> p = torch.nn.Parameter(torch.tensor([1.0, -0.5]))
        >>> optimizer = lionk_torch.LionK([p], 0.1, weight_decay=1.0)
        >>> monitor = lionk_torch.watch(optimizer)
        >>> with monitor.live():  # doctest: +SKIP
        ...     for step in range(1000):
        ...         optimizer.step()
        ...         if step % 100 == 0:
        ...             monitor.read()
        """
        from rich.live import Live

        if self._live is not None:
            raise RuntimeError("this monitor is shown already; leave the first live() before the next")
        with Live(self._table(), auto_refresh=False) as shown:
            self._live = shown
            try:
                yield
            finally:
                self._live = None

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table("parameter", title=f"read {len(self.history)}", title_justify="left")
        for column in ("gauge", "at bound", "moved"):
            table.add_column(column, justify="right")
        for name, gauge, share, moved in self._rows(self.history[-1] if self.history else {}):
            style = "bold red" if gauge > 1 + 1e-6 else "bold" if share > 0 else ""
            cells = (f"{gauge:.3f}", f"{100 * share:.1f} %", f"{moved:.2g}")
            table.add_row(Text(name), *(Text("" if "nan" in cell else cell, style) for cell in cells))
        return table

    @staticmethod
    def _rows(now: dict[str, float]) -> Iterator[tuple[str, float, float, float]]:
        for name in dict.fromkeys(key.rpartition("/")[0] for key in now):
            gauge, share, moved = (now.get(f"{name}/{k}", math.nan) for k in ("gauge", "at_bound", "moved"))
            yield name, gauge, share, moved

    def __str__(self) -> str:
        """The last read as a table."""
        now = self.history[-1] if self.history else self.read()
        rows = list(self._rows(now))
        width = max((len(name) for name, *_ in rows), default=9)
        lines = [f"{'parameter':{width}}   gauge  at bound     moved"]
        for name, gauge, share, moved in rows:
            lines.append(f"{name:{width}}  {gauge:6.3f}  {100 * share:6.1f} %  {moved:8.2g}")
        return "\n".join(lines)

    def plot(self, path: str | Path) -> Path:
        """A picture of the gauges over the reads. Needs matplotlib."""
        from matplotlib.figure import Figure

        axes = (figure := Figure(figsize=(7, 4))).subplots()
        for key in dict.fromkeys(k for found in self.history for k in found if k.endswith("/gauge")):
            axes.plot([found.get(key, math.nan) for found in self.history], label=key.removesuffix("/gauge"))
        axes.axhline(1.0, color="black", linewidth=0.8)
        axes.set_xlabel("read")
        axes.set_ylabel("gauge of lam x in dom K*")
        axes.legend(fontsize="small")
        figure.savefig(path)
        return Path(path)


def watch(optimizer: Any, module: torch.nn.Module | None = None) -> Monitor:
    """A monitor of a ``lionk_torch.LionK``; with the module, its parameters have their names.

    A read takes the singular values of each matrix. Seen on one core, for stacks of square layers: 0.06 of a training
    step (forward, backward and update) with l1, and 0.5 to 0.6 with an exact Muon. Read every hundredth step, and it
    adds less than one percent to a run. It keeps a copy of the parameters.

    >>> import torch, lionk_torch
    >>> net = torch.nn.Linear(2, 1)
    >>> _ = torch.nn.init.constant_(net.weight, 0.5), torch.nn.init.zeros_(net.bias)
    >>> monitor = lionk_torch.watch(lionk_torch.LionK(net.parameters(), weight_decay=2.0), net)
    >>> monitor.read()
    {'weight/gauge': 1.0, 'weight/at_bound': 1.0, 'bias/gauge': 0.0, 'bias/at_bound': 0.0}
    """
    names = {id(p): n for n, p in module.named_parameters()} if module is not None else {}
    return Monitor(optimizer, names)
