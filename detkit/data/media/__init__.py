"""Images and videos as arrays: decoding, orientation, and the listing of folders."""
