"""What a notebook shows of a K, a result and a certificate."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import lionk
from lionk.app import figures


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
    text = Balanced(lionk.K(name)._repr_html_()).text
    assert name in text and lionk.functions.entry(name).formula in text


def test_composed_functions_and_conjugates_are_shown():
    K = 2 * lionk.K("l1") + lionk.K("huber", delta=0.5).tilt(np.ones(3))
    text = Balanced(K._repr_html_()).text
    assert "huber(delta=0.5)" in text and "array(3,)" in text
    assert "conjugate(K=huber(delta=1.0))" in Balanced(lionk.K("huber").conjugate._repr_html_()).text
    assert "<" not in Balanced(lionk.K("l1")._repr_html_()).text.replace("<=", "")


def test_a_result_and_its_certificate_are_shown(result):
    text = Balanced(result._repr_html_()).text
    for word in ("gap_rounding", "success", "True", "phase I", "holds", result.message):
        assert word in text
    assert "F(x) - min F <=" in Balanced(result.certificate._repr_html_()).text


def test_a_result_is_drawn(result):
    figure = figures.plot(result, weight_decay=1.0, tol=1e-3)
    assert [bool(a.get_title(loc="left")) for a in figure.axes[:3]] == [True] * 3
    figure.canvas.draw()
