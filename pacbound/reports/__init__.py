"""What people read: made from certificates and from nothing else, without torch."""
