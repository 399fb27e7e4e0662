"""Publishing a project: what goes up, to where, and which version is the newest."""
