"""Reading what the rig wrote: one module for each kind of file, each usable by itself."""
