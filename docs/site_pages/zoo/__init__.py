"""Parts of the pages of the model zoo, which ``docs/make_zoo.py`` generates."""
