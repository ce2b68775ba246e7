"""Noise on every update, so that opened sums and models tell little of any one contributor."""
