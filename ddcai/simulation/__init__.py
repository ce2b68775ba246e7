"""Agents that teach a model on chain for money, against the real contracts, in simulated time."""
