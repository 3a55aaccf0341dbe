"""The one door to object storage: everything that is not a plain file on a disk is read and written through it, by fsspec."""
