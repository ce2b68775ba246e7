"""Encrypted updates: bounded integers in, bytes that anybody can add, one opened sum out.

Nothing here knows Flower, a chain or a model. TenSEAL is imported in this room only.
"""
