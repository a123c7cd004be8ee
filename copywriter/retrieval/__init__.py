"""Nearest neighbours: for a title, the most similar training titles."""
