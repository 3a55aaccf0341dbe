"""The command line: flags become calls, and results become text. Nothing here imports torch until a command runs."""
