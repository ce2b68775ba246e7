"""Rounds with random faults, for as long as wanted: `python -m tests.soak ROUNDS SECONDS SEED`.

A chain, a coordinator, two of three key holders and three contributors, each in a process of its
own that dies and comes back, over a store that loses and corrupts blobs and disks that are full at
times; in the end everybody takes back what is its own, and the audit must be clean.
"""
