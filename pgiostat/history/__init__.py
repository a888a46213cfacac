"""Weeks of intervals on disk: written by one collector each, read by anybody, at any time."""
