"""Benchmarks for asv. They import lionk in ``setup``, so that they load on commits from before it had a part."""
