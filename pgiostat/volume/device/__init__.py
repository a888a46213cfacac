"""What the volume of a server did itself: counted by its kernel, or by its cloud.

May import `units` and `errors`. Must not import the models of `volume`.
"""
