"""The wheel: what is in it, and that it works where the repository is not."""
