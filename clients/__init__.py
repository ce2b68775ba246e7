"""The ClientApp that ddcai ships: local training behind the mod; it holds no rule."""
