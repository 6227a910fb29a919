"""`LionK`, a torch.optim.Optimizer. It keeps parameters, state and options in PyTorch's order; the step is lionk's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, overload

import torch

import lionk
from lionk.optimizer import decay as decays
from lionk.theory import Bounds, Watch, watch

from ..distributed import exchange as exchanges
from ..distributed import sharded
from . import full, options, saved
from .known import Known, moments, same
from .momentum import in_order_of
from .step import sets_up, step_group


class LionK(torch.optim.Optimizer):
    """Lion-K: ``p <- p + lr (dK(r) - weight_decay p)`` with the readout ``r = b1 m - (1 - b1) grad``.

    The state ``m`` averages MINUS the gradients: ``m <- b2 m - (1 - b2) grad``. K = "l1" is Lion, "nuclear" is Muon
    with an exact polar factor. The decay drives ``weight_decay p`` into dom K*; ``bounds()`` says what that is, group
    by group (Chen, Liu, Liang, Liu 2023, arXiv 2310.05898).

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of dicts
        As for every optimizer of PyTorch; each dict may have its own value of every option below. ``groups`` makes
        them from a module by rules.
    lr : float or 0-d tensor
    betas : (float, float)
        Weight of the old momentum in the readout, and in the state.
    weight_decay : float or 0-d tensor
    K : str, dict or lionk.ConvexFunction
        A plain K acts on each tensor of the group; ``kernel_lift`` takes a function of matrices to convolution kernels,
        and ``radial_lift(phi, lionk.blocks(norm))`` couples the tensors of a group.
        Groups and ``state_dict`` hold its spec.
    decay : "explicit" or "implicit"
        As in ``lionk.LionK``.
    convention : str
        What ``weight_decay`` means, one of ``lionk.decay.DECAYS``: "decoupled", "relative", "corrected", "palm",
        "fixed", "coupled". The reference of "relative" and "corrected" is the group's ``reference_lr``: its first lr.
    maximize : bool
    state_dtype : torch.dtype or str, optional
        Of m, for real parameters; None: that of the parameter.
    rounding : "nearest", "stochastic" or "kahan"
        How 16-bit parameters are rounded after a step in float32 (see ``lionk_torch.optimizer.rounding``).
    seed : int
        The seed of the stochastic rounding. The same seed and step give the same numbers.

    compile : bool or None
        True: torch.compile fuses the step. This takes seconds at the first step; a new lr or decay compiles nothing.
        False: nothing is compiled. None: on a CPU with numba, large tensors are stepped by a compiled loop, which takes
        a second at the first step; elsewhere as False.

    cautious : None, "mask" or "rescale"; cautious_decay : bool; mars : float
    hyperball : None, float or "keep"; radial_brake : None or float; relative : bool
        Optional pieces that are not Lion-K, off by default; ``lionk.variants`` says what each does to the theory, and
        ``bounds()`` and ``loses()`` what it does to this optimizer. mars is its gamma, 0.025 in the paper, and
        estimates the gradient before ``maximize`` and coupled decay.
    complex_as_real : bool
        How complex parameters are stepped. False: as complex numbers, ``dl1(z) = z/|z|``, which turns with z. True: as
        their real and imaginary parts, as most of PyTorch's own optimizers do; K must not be a function of matrices.
    exchange : None, "majority" or "average"; process_group : torch.distributed.ProcessGroup, optional
        Distributed Lion: each process keeps its own gradient and momentum, and directions are exchanged in place of
        gradients, in this group (None: of all processes). ``lionk_torch.distributed.exchange`` says what that does to
        the theory. Every parameter takes part, one without gradient here with gradient 0.

    Raises
    ------
    ValueError, TypeError, KeyError
        An option is out of range; the message says what is valid.
    RuntimeError
        A gradient is sparse.

    Notes
    -----
    A parameter that is given twice in a group, which PyTorch warns about, is stepped once.
    DTensors, of ``fully_shard`` or tensor parallelism, are stepped in pieces (``lionk_torch.distributed.sharded``).

    Examples
    --------
    >>> import torch, lionk_torch
    >>> p = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> opt = lionk_torch.LionK([p], lr=0.1, weight_decay=1.0)
    >>> p.grad = torch.tensor([0.5, 0.0])
    >>> opt.step()
    >>> p.detach()
    tensor([ 0.8000, -1.8000])
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: Any = 0.0,
        *,
        K: Any = "l1",
        decay: str = "explicit",
        convention: str = "decoupled",
        maximize: bool = False,
        state_dtype: Any = None,
        rounding: str = "nearest",
        seed: int = 0,
        cautious: str | None = None,
        cautious_decay: bool = False,
        mars: float = 0.0,
        hyperball: float | str | None = None,
        radial_brake: float | None = None,
        relative: bool = False,
        compile: bool | None = None,  # noqa: A002  (the name it has in PyTorch)
        complex_as_real: bool = False,
        exchange: str | None = None,
        process_group: Any = None,
    ) -> None:
        self.process_group = process_group
        self._known = Known()
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "K": options.spec(K),
                "decay": decay,
                "convention": convention,
                "maximize": maximize,
                "state_dtype": state_dtype,
                "rounding": rounding,
                "seed": seed,
                "cautious": cautious,
                "cautious_decay": cautious_decay,
                "mars": mars,
                "hyperball": hyperball,
                "radial_brake": radial_brake,
                "relative": relative,
                "compile": compile,
                "complex_as_real": complex_as_real,
                "exchange": exchange,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            self._settle(group)
        except BaseException:
            self.param_groups.pop()
            raise

    def _settle(self, group: dict[str, Any]) -> None:
        """Check the options of a new group, and bring them into the form that ``state_dict`` keeps."""
        options.settle(group)
        method = self._known.make(group).method
        exchanges.check(group["exchange"], method.K)
        if group["exchange"] and (group["cautious"] or group["cautious_decay"]):
            raise lionk.NotAvailable("cautious pieces look at one gradient, and with exchange there are several")
        if group["complex_as_real"] and method.K.traits.structure in ("matrix", "rowwise", "coupled"):
            raise lionk.NotAvailable(
                "complex_as_real gives each array one more axis, of two entries, and this K is a function of rows or "
                "matrices: leave complex_as_real out"
            )

    # -- the step ------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of all parameters that have a gradient. ``closure`` computes the loss anew, and is returned."""
        return self._all(closure)

    @torch.compiler.disable  # fused by itself: a compiler around it would trace bookkeeping, and each lr anew
    @torch.no_grad()
    def _all(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if not self.state and sets_up(self._known, self.param_groups, self.state):
            return loss
        if not same(self._known.states, self.state.values()):
            self._known.seen.clear()
        place = 0  # of the first entry of a group
        for group in self.param_groups:
            step_group(self._known, group, self.state, place, self.process_group)
            seen = self._known.seen.get(id(group))
            place += seen.entries if seen else sum(map(torch.Tensor.numel, group["params"]))
        full.stepped(self.param_groups)
        if not self._known.states:
            self._known.states = list(self.state.values())
        return loss

    # -- what a training loop can ask ----------------------------------------------------------------------------

    @overload
    def certificate(self) -> list[Watch]: ...
    @overload
    def certificate(self, f: Any, *, convex: bool | None = None) -> Bounds: ...

    @torch.no_grad()
    def certificate(self, f: Any = None, *, convex: bool | None = None) -> Any:
        """What the gradients that are there prove. Call it between ``backward`` and ``step``.

        Without f, for gradients of a batch: gap, bound violation, share of sign flips and phase of each group that has
        gradients (``lionk.theory.watch``). With f, the loss over all data that the gradients are those of: bounds of
        ``F - min F`` over all groups together, by this gradient and by the momentum, as a ``lionk.theory.Bounds``,
        whose text says what holds and what does not apply. For the momentum it is asked at every step, from the first
        on. ``convex=True`` asserts that the loss is. The sums that go with the momentum are in the first group.
        """
        found = list(full.points(self._known, self.param_groups, self.state))
        if f is None:
            return [watch(*point) for point in found]
        return full.bounds(self.param_groups, found, f, convex)

    def bounds(self) -> list[str]:
        """What the decay of each group imposes on its parameters at the present lr, one line each."""
        lines = []
        for g in self.param_groups:
            reason = self._known.make(g).method.loses.get("phase I")
            numbers = (float(g[k]) for k in ("weight_decay", "lr", "reference_lr"))
            lines.append(f"no bound: {reason}" if reason else decays.bound(g["K"], g["convention"], *numbers))
        return lines

    def loses(self) -> list[dict[str, str]]:
        """For each group, the statements of the theory that its options give up, each with the reason."""
        return [self._known.make(g).method.loses for g in self.param_groups]

    # -- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As in PyTorch, with copies of the tensors: what was saved stays as it is when the run goes on."""
        handle = self.register_state_dict_post_hook(lambda _, found: saved.copied(found), prepend=True)
        try:
            found: dict[str, Any] = super().state_dict()
        finally:
            handle.remove()
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in PyTorch, with copies of the tensors, each of which keeps its dtype: a round trip changes no bit.

        Options that it lacks, as one of an earlier version may, stay as they are here.

        Raises ValueError, and changes nothing, if it is of another optimizer, or does not fit the parameters.
        """
        given: dict[str, Any] = {}

        def check(_: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
            given.update(saved.completed(state_dict, self))
            return dict(given)

        # after the user's own hooks that come before, and before those that come after
        handles = [
            self.register_load_state_dict_pre_hook(check),
            self.register_load_state_dict_post_hook(lambda _: saved.kept(given, self), prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for handle in handles:
                handle.remove()

    def load_momentum(self, source: Any, params: Iterable[torch.Tensor] | None = None) -> None:
        """Take over the momentum of another optimizer, with the sign changed: it averages plus the gradients.

        ``source``: a ``state_dict`` of lion-pytorch, timm, torch.optim.Muon, SGD or AdamW, or an iterable of arrays,
        such as the leaves of ``mu`` of an optax state. None leaves a parameter out. ``params``: this optimizer's
        parameters in the order of the source, such as ``model.parameters()``. None is for one group; several may have
        another order than the source, and raise ValueError.
        """
        owner = {p: group for group in self.param_groups for p in group["params"]}
        for p, average in in_order_of(source, self.param_groups, params):
            kept = moments([p], self.state, self._known.make(owner[p]).method)[0]
            kept.copy_(sharded.placed(-average, p))

    def __getstate__(self) -> dict[str, Any]:
        if self.process_group is not None:
            raise TypeError("an optimizer with a process_group is not pickled; save its state_dict()")
        state: dict[str, Any] = super().__getstate__()
        return state

    def __deepcopy__(self, memo: dict[int, Any]) -> LionK:
        """A copy that steps copies of the parameters, with the same processes."""
        twin = memo[id(self)] = type(self).__new__(type(self))
        twin.process_group = self.process_group
        twin.__setstate__(deepcopy(super().__getstate__(), memo))
        return twin

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.defaults.pop("differentiable", None)  # which PyTorch adds here, and only here
        self.__dict__.setdefault("process_group", None)
        for group in self.param_groups:  # of an earlier version, perhaps
            for key, value in self.defaults.items():
                group.setdefault(key, value)
        self._known = Known()  # groups are other objects now
