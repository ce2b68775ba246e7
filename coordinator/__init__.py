"""The ServerApp that ddcai ships: it wires the strategy to files; it holds no rule."""
