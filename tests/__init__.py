"""Tests: each states a property; fixtures that several share stand in conftest.py."""
