"""``detkit detect``: detect objects in images and videos, draw them and write them to files."""
