"""Reports of models that predict classes without boxes."""
