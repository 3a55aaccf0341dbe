"""The version of detkit, and the address of its guides."""

__version__ = "0.2.0.dev0"
__docs__ = "https://github.com/detkit-vision/detkit/blob/main/docs"
"""Where the guides are, for messages: the wheel does not carry them."""
