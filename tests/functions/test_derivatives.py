"""The derivative of the value, as PyTorch and JAX find it, is the subgradient: at 0, at kinks, through iterations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import lionk
from table import DEFAULTS, RULES
from turns import FULL

K = lionk.K
JAX = ["softplus", "huber_l2", "group_pseudo_huber", "spectral_huber", "l1"][:: 1 if FULL else 2]
CASES = [c for c in (*DEFAULTS, *RULES) if not c.heavy]


def _points(shape: tuple[int, ...]) -> list[np.ndarray]:
    x = np.random.default_rng(0).standard_normal(shape)
    part = x.copy()
    part[0] = 0
    return [np.zeros(shape), x, part]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_pytorch_finds_the_subgradient(case) -> None:
    for k in (case.K, case.K.conjugate):
        for x in _points(case.shape):
            t = torch.tensor(x, requires_grad=True)
            there = k.to(like=t)
            try:
                v = there.value(t)
            except lionk.NotAvailable:
                continue
            if bool(torch.isfinite(v)):
                v.backward()
                expected = there.subgradient(t.detach())
                assert torch.equal(t.grad, expected) or not bool(torch.all(torch.isfinite(expected)))


@pytest.mark.parametrize("name", JAX)
def test_jax_finds_the_subgradient(name) -> None:
    k = K(name)
    derivative = jax.jit(jax.grad(k.value))
    for x in _points((3, 2)):
        np.testing.assert_allclose(derivative(jnp.asarray(x)), k.subgradient(x), atol=1e-6)
    stack = jnp.asarray(np.stack(_points((3, 2))))
    several = jax.jit(jax.vmap(jax.grad(k.value)))(stack)
    np.testing.assert_allclose(several[1], derivative(stack[1]), rtol=1e-6, atol=1e-6)


def test_second_derivatives_and_other_modes() -> None:
    x = np.asarray([0.3, -1.2])
    exact = np.diag(1 / np.cosh(x) ** 2)
    np.testing.assert_allclose(jax.hessian(K("log_cosh").value)(jnp.asarray(x)), exact, rtol=1e-5)
    there = torch.tensor(x)
    np.testing.assert_allclose(torch.func.hessian(K("log_cosh").value)(there), exact, rtol=1e-5)
    along = torch.func.jvp(K("softplus").value, (0 * there,), (there,))[1]
    assert float(along) == pytest.approx(0.5 * x.sum())
    many = torch.func.vmap(torch.func.grad(K("softplus").value))(torch.zeros(2, 3))
    assert bool(torch.all(many == 0.5))


def test_parameters_and_complex_and_16_bit_arrays() -> None:
    x, w = jnp.asarray([1.0, -2.0]), jnp.asarray([1.0, 2.0])
    assert jax.grad(lambda w: K("weighted_l1", weights=w).value(x))(w).tolist() == [1.0, 2.0]
    weights = torch.tensor([1.0, 2.0], requires_grad=True)
    K("weighted_l1", weights=weights).value(torch.tensor([1.0, -2.0], requires_grad=True)).backward()
    assert weights.grad.tolist() == [1.0, 2.0]
    z = torch.tensor([1 + 1j, 0.2 - 0.3j], requires_grad=True)
    K("huber").value(z).backward()
    assert torch.equal(z.grad, K("huber").subgradient(z.detach()))
    assert jax.grad(K("softplus").value)(jnp.zeros(3, dtype=jnp.bfloat16)).tolist() == [0.5] * 3
    assert not K("l1").value(torch.ones(2)).requires_grad
    with torch.no_grad():
        assert not K("l1").value(torch.ones(2, requires_grad=True)).requires_grad
