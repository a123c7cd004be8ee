"""Export: the base with the adapter merged in, in forms that other programs read."""
