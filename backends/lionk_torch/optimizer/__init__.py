"""The optimizer: LionK as torch.optim has it, its options, groups of small tensors, and rules for which K."""
