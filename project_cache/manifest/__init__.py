"""What a project holds, where it lies, how it is checked."""
