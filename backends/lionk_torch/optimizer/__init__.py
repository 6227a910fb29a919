"""The optimizer: LionK as torch.optim has it, its options, rows, rounding to 16 bits, and rules for which K."""
