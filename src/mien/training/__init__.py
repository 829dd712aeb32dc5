"""Training from zero: an engine of small tools and one visible loop per recipe."""
