"""The network that is decoded, where its theta0 comes from, and how its errors are counted."""
