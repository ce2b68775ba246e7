"""One round's steps, for each party, over the chain and the blob store.

Here stand the parties' rules: what a contributor checks before it trains or signs, what the
coordinator adds and seals, what a key holder opens. They run without Flower, which only
carries their messages (`ddcai.flower`).
"""
