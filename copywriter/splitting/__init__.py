"""Product families, which never stand on two sides of the split."""
