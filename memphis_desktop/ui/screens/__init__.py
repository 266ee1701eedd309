"""One module or package for each screen of the rail."""
