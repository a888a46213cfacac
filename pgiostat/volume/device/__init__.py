"""Counters of the volume itself, by the kernel or by the cloud.

May import `clock`, `units` and `errors`. Must not import the models of `volume`.
"""
