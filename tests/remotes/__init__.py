"""Tests of remotes."""
