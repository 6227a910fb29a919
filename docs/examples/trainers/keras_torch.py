"""Keras on PyTorch with LionK: a Keras model is a torch.nn.Module, and is trained by a loop of PyTorch.

Needs keras. `model.fit` takes optimizers of Keras alone, so the loop is written out, as Keras' own guide does it.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import tempfile

import keras
import torch

import lionk_torch


def made():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)])
    # rows are inputs in Keras, so K gets the transposed matrix
    rules = [(2, {"name": "kernel_lift", "k": "nuclear"})]
    return model, lionk_torch.LionK(lionk_torch.groups(model, rules, report=None), lr=1e-2, weight_decay=0.1)


def train(model, optimizer, steps):
    for step in steps:
        x = torch.randn(32, 8, generator=torch.Generator().manual_seed(step))
        loss = keras.losses.mean_squared_error(x.sum(1, keepdim=True), model(x)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


unbroken = made()
train(*unbroken, range(20))
first = made()
train(*first, range(10))
with tempfile.TemporaryDirectory() as folder:
    first[0].save_weights(f"{folder}/model.weights.h5")
    torch.save(first[1].state_dict(), f"{folder}/optimizer.pt")
    second = made()
    second[0].load_weights(f"{folder}/model.weights.h5")
    second[1].load_state_dict(torch.load(f"{folder}/optimizer.pt"))
train(*second, range(10, 20))
for p, q in zip(unbroken[0].parameters(), second[0].parameters(), strict=True):
    assert torch.equal(p, q)
print("the resumed run equals the unbroken one")
