"""The rules of incentives as plain integer arithmetic: no chain, the twins of the contracts."""
