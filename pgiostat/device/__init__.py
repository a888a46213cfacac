"""What the volume of a server did itself: counted by its kernel, or by its cloud."""
