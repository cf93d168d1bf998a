"""Suites that ship with lrbench."""
