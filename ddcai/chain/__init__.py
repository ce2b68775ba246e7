"""The chain: nodes, accounts, transactions, and typed facades on the contracts.

Only this room imports web3. Start at `ddcai.chain.node.connection.connect`,
`ddcai.chain.federation.Federation` and `ddcai.chain.deploy.deploy_federation`.
"""
