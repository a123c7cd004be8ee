"""Tests of the stage that puts a base model into models/base."""
