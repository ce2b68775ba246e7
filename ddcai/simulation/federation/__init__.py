"""A federation with attackers, at scale: the integers that would be encrypted, and the rule."""
