"""What a notebook shows of a K, a result and a certificate."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import lionk
from lionk.functions.registry.formula import is_formula, tex


class Balanced(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture(scope="module")
def result():
    target = np.array([2.0, 0.3])

    def fun(x):
        return float((x - target) @ (x - target)), 2 * (x - target)

    return lionk.minimize(fun, np.array([-3.0, 2.0]), K="l1", weight_decay=1.0, jac=True, convex=True)


@pytest.mark.parametrize("name", lionk.names())
def test_every_K_is_shown_with_its_formula(name):
    K = lionk.K(name)
    text = K._repr_latex_()
    assert text.startswith("$") and text.endswith("$") and text.count("$") == 2
    assert name.replace("_", r"\_") in text and tex(lionk.functions.entry(name).formula) in text
    depth = np.cumsum([{"{": 1, "}": -1}.get(c, 0) for c in re.sub(r"\\[{}]", "", text)])
    assert depth.min() == depth[-1] == 0
    assert K._repr_html_() is None  # which a notebook would show in its place


def test_composed_functions_and_conjugates_are_shown():
    K = 2 * lionk.K("l1") + lionk.K("huber", delta=0.5).tilt(np.ones(3))
    text = Balanced(K._repr_html_()).text
    assert K._repr_latex_() is None
    assert "huber(delta=0.5)" in text and "array(3,)" in text
    assert "conjugate(K=huber(delta=1.0))" in Balanced(lionk.K("huber").conjugate._repr_html_()).text


def test_a_result_and_its_certificate_are_shown(result):
    text = Balanced(result._repr_html_()).text
    for word in ("gap_rounding", "success", "True", "phase I", "holds", result.message):
        assert word in text
    assert repr(result).splitlines()[1].split() == ["fun:", f"{result.fun:.6g}"]
    assert "F(x) - min F <=" in Balanced(result.certificate._repr_html_()).text


def test_a_result_is_drawn(result):
    figure = result.plot(tol=1e-3)
    assert result.weight_decay == 1.0
    assert [bool(a.get_title(loc="left")) for a in figure.axes[:4]] == [True] * 4
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    gaps = figure.axes[1].get_lines()
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in gaps}
    for name, label in (("gap", "G/lam at the point"), ("momentum_gap", "gap by the averages of gradients")):
        seen = np.asarray(getattr(result.history, name), dtype=float)
        assert np.array_equal(drawn[label], np.where(np.isfinite(seen) & (seen > 0), seen, np.nan), equal_nan=True)
    bars = [patch.get_width() for patch in figure.axes[3].patches]
    assert sorted(bars) == sorted(np.asarray(result.x, dtype=float).tolist())


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("k", ["l1", "half_square", "nuclear", "log_sum_exp"])
def test_results_of_every_shape_are_drawn(shape, k):
    if k == "nuclear" and len(shape) < 2:
        pytest.skip("a function of matrices")

    def fun(x):
        return 0.5 * np.sum((x - 0.3) ** 2), x - 0.3

    for maxiter in (0, 3):
        found = lionk.minimize(fun, np.zeros(shape), K=k, weight_decay=2.0, jac=True, maxiter=maxiter)
        assert len(found.plot().axes) == 4


def test_a_result_of_a_container_shows_the_gauge_of_each_array():
    K = lionk.blocks({"w": "l1", "c": "half_square", "m": "nuclear"})

    def fun(x):
        return sum(0.5 * np.sum((a - 3) ** 2) for a in x.values()), {n: a - 3 for n, a in x.items()}

    x0 = {"w": np.zeros(3), "c": np.zeros(1), "m": np.zeros((2, 2))}
    figure = lionk.minimize(fun, x0, K=K, weight_decay=1.0, jac=True, convex=True).plot()
    assert [round(bar.get_width(), 3) for bar in figure.axes[3].patches] == [1.0, 1.0], "a penalty has no gauge"


def test_without_matplotlib_a_plot_says_what_is_missing(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "lionk.app.figures", None)
    with pytest.raises(lionk.NotAvailable, match=r"lionk\[cli\]"):
        result.plot()


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("sum w_i |x|_(i) <= 1/lam", r"\sum w_{i}\,\lvert x\rvert_{(i)}\le 1/\lambda"),
        ("U s^(p-1) V' if s_1(X) <= bound", r"U\,s^{p-1}\,V^{\top}\text{ if }s_{1}(X)\le \text{bound}"),
        ("m' = b2 m - (1-b2) g", r"m'=b_{2}\,m-(1-b_{2})\,g"),
        ("y'P^-1 y, x'Px", r"y^{\top}P^{-1}\,y,\;x^{\top}Px"),
        ("K*(B^-T y) in dom K1*", r"K^{*}(B^{-\top}\,y)\text{ in }\operatorname{dom}\,K_{1}^{*}"),
        ("sign(x) 1[|x| > a] dK", r"\operatorname{sign}(x)\,\mathbf{1}[\lvert x\rvert>a]\,\partial K"),
        ("|.|_2 of the k largest", r"\lvert \cdot \rvert_{2}\text{ of the }k\text{ largest}"),
        ("a K(x), with a barrier", r"a\,K(x),\;\text{ with a barrier}"),
        ("sum of row sums, max_g <x_g, c>", r"\text{sum of row sums},\;\max _{g}\,\langle x_{g},\;c\rangle"),
    ],
)
def test_plain_formulas_become_tex(plain, expected):
    assert tex(plain) == expected


def test_code_is_no_formula():
    formulas = ("K(x) + mu/2 |x|^2", "dK(r)", "p <- p + lr (dK(r) - weight_decay p)", "h/(1 + h lam)", "lam x")
    code = (
        "x0",
        "lionk.K(spec)",
        "fun(x) -> f",
        'K = "l1"',
        "only=True",
        "lr_max",
        "group_lift(l1, l2)",
        "lr",
        "[0, 1]",
    )
    assert all(map(is_formula, formulas)) and not any(map(is_formula, code))
