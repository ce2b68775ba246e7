"""A node's own rules, which no server can change: the file's form, and what was used of it."""
