"""A key that nobody holds: T of N key holders open sums together, fewer learn nothing."""
