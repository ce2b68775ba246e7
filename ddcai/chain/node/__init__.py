"""Nodes: the embedded chain, anvil, and connections to any JSON-RPC endpoint."""
