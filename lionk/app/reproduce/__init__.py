"""``lionk reproduce``: the figures and claims of the paper (2310.05898), each one command, a minute or less.

A target is a module of this package: its docstring is its text, ``run(seed, quick)`` gives an ``Outcome``, and
``draw(numbers)`` the figure. To add one, write the module and its row in ``targets.TARGETS``.
"""

from .command import reproduce
from .targets import TARGETS, Check, Outcome, load

__all__ = ["TARGETS", "Check", "Outcome", "load", "reproduce"]
