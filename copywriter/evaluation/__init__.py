"""What a model writes for a title, and how close that is to the catalogue's text."""
