"""Hugging Face Trainer with LionK: a run that stops and goes on from its checkpoint ends like one that does not stop.

Needs transformers and accelerate. The model and the data are made here; nothing is downloaded.
"""

import tempfile

import torch
from transformers import Trainer, TrainingArguments, set_seed

import lionk_torch


class Digits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def trainer(folder, steps):
    set_seed(0)
    data = [{"x": torch.randn(16), "labels": torch.tensor(k % 4)} for k in range(64)]
    model = Digits()
    optimizer = lionk_torch.LionK(lionk_torch.groups(model, report=None), lr=1e-2, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=16)
    arguments = TrainingArguments(
        output_dir=folder, max_steps=steps, per_device_train_batch_size=8, save_steps=8, save_strategy="steps",
        report_to=[], logging_steps=8, use_cpu=True, disable_tqdm=True, seed=0,
    )  # fmt: skip
    return Trainer(model, arguments, train_dataset=data, optimizers=(optimizer, schedule))


with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
    unbroken = trainer(a, 16)
    unbroken.train()
    trainer(b, 8).train()  # which saves after step 8
    resumed = trainer(b, 16)
    resumed.train(resume_from_checkpoint=True)
    for p, q in zip(unbroken.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(p, q)
    print("the resumed run equals the unbroken one:", unbroken.state.global_step, "steps")
