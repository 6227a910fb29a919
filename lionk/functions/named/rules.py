"""The rules that a spec may name: each builds functions from functions."""

from __future__ import annotations

from ...arrays.later import Later
from ..base import ConvexFunction
from ..registry.entries import Entry, enter


def _conjugate(K: ConvexFunction) -> ConvexFunction:
    return K.conjugate


_RULES: list[tuple[str, str, str, str]] = [
    # name, module, K, its conjugate
    ("scale", "affine", "a K(x), a > 0, a number or a factor of x's shape", "a K*(y/a)"),
    ("dilate", "affine", "K(a x), a != 0", "K*(y/a)"),
    ("tilt", "affine", "K(x) + <c, x>", "K*(y - c)"),
    ("shift", "affine", "K(x + b)", "K*(y) - <b, y>"),
    ("affine", "affine", "slope width K((x + shift)/width) + <tilt, x>", "the same, slope and width exchanged"),
    ("blocks", "block_sum", "sum K_i(x_i)", "sum K_i*(y_i)"),
    ("add", "sums", "K1 + K2", "infimal convolution of K1* and K2*"),
    ("maximum", "sums", "max(K1(x), K2(x)), support functions", "the indicator of the hull of both sets"),
    ("infimal_convolution", "sums", "min over x = u + v of K1(u) + K2(v)", "K1* + K2*"),
    ("moreau_envelope", "moreau", "min_z K(z) + |x - z|^2/(2 mu)", "K* + mu/2 |y|^2"),
    ("ridge", "moreau", "K + mu/2 |x|^2", "Moreau envelope of K*"),
    ("group_lift", "group", "k(N(x_1), ..., N(x_G))", "k*(N*(y_1), ..., N*(y_G))"),
    (
        "radial_lift",
        "radial",
        "phi(N(x)); over blocks phi(sum_j N_j(x_j)) or phi(max_j N_j(x_j))",
        "phi*(N*(y)); of the sum of norms the largest dual norm, of the largest their sum",
    ),
    ("eigen_lift", "eigen", "k(eigenvalues of the symmetric part)", "k*(eigenvalues), +inf if not symmetric"),
    (
        "linear_map",
        "linear",
        "K(Bx), or K(L X R)",
        "K*(B^-T y); K*(z) if y = B'z, for a B with fewer rows than columns",
    ),
    ("block_lift", "parts", "sum_h k(x_h), x_h the slices along an axis", "sum_h k*(y_h)"),
    ("matrix_lift", "parts", "k(x as a matrix of its axes rows and columns)", "k*(y as that matrix)"),
    ("kernel_lift", "parts", "k(x as a matrix (out, in k...))", "k*(y as that matrix)"),
    ("positive_part", "positive", "k(max(x, 0)), k of |x_i|", "k*(y) if y >= 0"),
    ("centered", "centered", "k(x - mean x)", "min over c of k*(y + c) if sum y = 0"),
    ("smoothed", "smoothing", "E K(x + delta Z)", "known where K is a sum over entries"),
    ("spectral_lift", "spectral", "k(singular values)", "k*(singular values)"),
]

for _name, _module, _f, _c in _RULES:
    enter(Entry(_name, Later(f"lionk.functions.calculus.{_module}", _name), "rule", formula=_f, conjugate=_c))
enter(Entry("conjugate", _conjugate, "rule", formula="K*", conjugate="K"))
