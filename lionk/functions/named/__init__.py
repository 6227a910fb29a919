"""The functions and algorithms with a name: how each is built, and the texts that the tables show."""
