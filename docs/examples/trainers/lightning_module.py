"""PyTorch Lightning with LionK: configure_optimizers, a schedule, a checkpoint, and a run that goes on from it.

Needs lightning.
"""

import logging
import tempfile
import warnings

import lightning
import torch

import lionk_torch

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")  # of few workers, and of a folder that exists


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))

    def training_step(self, batch, _):
        (x,) = batch
        return (self.net(x) - x.sum(1, keepdim=True)).square().mean()

    def configure_optimizers(self):
        optimizer = lionk_torch.LionK(lionk_torch.groups(self.net, report=None), lr=1e-2, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def run(folder, epochs, checkpoint=None):
    lightning.seed_everything(0, verbose=False)
    module = Module()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(64, 8)), batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=epochs, default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=False)
    return module, trainer


with tempfile.TemporaryDirectory() as folder:
    unbroken, _ = run(folder, 4)
    _, half = run(folder, 2)
    half.save_checkpoint(f"{folder}/half.ckpt")
    resumed, trainer = run(folder, 4, f"{folder}/half.ckpt")
    for p, q in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)
    print("the resumed run equals the unbroken one:", trainer.global_step, "steps")
