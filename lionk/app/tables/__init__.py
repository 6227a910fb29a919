"""Tables as people have them: files are read, columns recognised, and turned into numbers that a model can use."""
