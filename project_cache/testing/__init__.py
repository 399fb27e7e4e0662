"""The shipped test kit: servers that misbehave."""
