"""The Euclidean norm, of which rules are made."""

from __future__ import annotations

from ...sets.ball import Ball
from .support import Support

L2 = Support(Ball(2.0))
