"""The rule that judges updates: pure functions over what a key holder opened, and public data."""
