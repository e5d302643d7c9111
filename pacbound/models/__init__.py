"""Reference networks and loading of the user's own."""
