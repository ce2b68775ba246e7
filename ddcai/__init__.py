"""Federated learning with encrypted updates and a record on Ethereum; see README.md."""
