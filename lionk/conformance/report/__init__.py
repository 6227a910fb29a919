"""Results of a judgement, how they are written down, and one case as a file that runs by itself."""
