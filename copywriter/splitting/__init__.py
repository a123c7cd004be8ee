"""Product families: groups of near-duplicate rows, which the split keeps on one side."""
