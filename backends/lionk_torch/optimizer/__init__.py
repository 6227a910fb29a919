"""The optimizer: LionK as torch.optim has it, its options, groups of small tensors, rules for which K, momenta of others."""
