"""``detkit track``: track objects through videos, cameras and streams, draw them, count them and write them to files."""
