"""Cleaning: one rule per defect of a text, and the reasons to drop a row."""
