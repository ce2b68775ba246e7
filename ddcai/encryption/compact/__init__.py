"""The compact scheme: updates smaller than float32, added as machine words.

Key-additive Ring-LWE of the family of OPA (Karthikeyan and Polychroniadou, arXiv 2410.22303):
each round every contributor draws a fresh secret s_i, and with a public polynomial a it sends
b_i = a s_i + e_i + 2**error_bits * m_i in Z_q[X]/(X**n + 1). Sums of b_i open with the sum of the
s_i alone. What is proven and what is not: docs/compact.md. Nobody outside reviewed it.
"""
