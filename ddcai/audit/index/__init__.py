"""An index of federations' events in one SQLite file, filled from any JSON-RPC endpoint."""
