"""Writes the vectors that the contracts' tests read: BLS, hashing to the curve, digests.

    python contracts/test/vectors/make_vectors.py

Everything about BLS comes from py_ecc's reference implementation (ciphersuite
G2ProofOfPossession), never from the contracts; hashing to G2 is held against the RFC 9380
vector (appendix J.10.1, empty message) before anything is written. Digests come from
ddcai.digests, the opening message from eth_account's EIP-712. Secret keys are made from
fixed seeds: they are public and good for tests only.

Points are uncompressed in EIP-2537 form: 64 bytes a base field element, big-endian; G1 x, y
(128 bytes); G2 x.c0, x.c1, y.c0, y.c1 (256 bytes). Bitmaps are JSON numbers.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils.crypto import keccak
from py_ecc.bls import G2ProofOfPossession as suite
from py_ecc.bls.g2_primitives import pubkey_to_G1, signature_to_G2
from py_ecc.bls.hash import expand_message_xmd
from py_ecc.bls.hash_to_curve import hash_to_G2
from py_ecc.optimized_bls12_381 import normalize

from ddcai.digests import (
    RoundContext,
    drawn_randomness,
    head_digest,
    list_digest,
    result_message,
)

MEMBERS = 6
MESSAGE = keccak(b"ddcai test vector")
RFC_DST = b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_"
RFC_EMPTY_X0 = (
    "0141ebfbdca40eb85b87142e130ab689c673cf60f1a3e98d"
    "69335266f30d9b8d4ac44c1038e9dcdd5393faf5c41fb78a"
)
CHAIN_ID = 31337
CONTRACT = "0x00000000000000000000000000000000DdCa1000"


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _field(value: int) -> bytes:
    return int(value).to_bytes(64, "big")


def _g1(compressed: bytes) -> bytes:
    x, y = normalize(pubkey_to_G1(compressed))
    return _field(x) + _field(y)


def _g2_point(point: Any) -> bytes:
    x, y = normalize(point)
    return b"".join(_field(int(part)) for part in (*x.coeffs, *y.coeffs))


def _g2(compressed: bytes) -> bytes:
    return _g2_point(signature_to_G2(compressed))


def _bls() -> dict[str, Any]:
    secrets = [suite.KeyGen(keccak(f"ddcai test member {i}".encode())) for i in range(MEMBERS)]
    keys = [suite.SkToPk(secret) for secret in secrets]
    signatures = [suite.Sign(secret, MESSAGE) for secret in secrets]
    aggregates = []
    for signers in (0b1, 0b11, 0b1111, 0b101010, 0b111111):
        chosen = [i for i in range(MEMBERS) if signers >> i & 1]
        aggregate = suite.Aggregate([signatures[i] for i in chosen])
        if not suite.FastAggregateVerify([keys[i] for i in chosen], MESSAGE, aggregate):
            raise RuntimeError("py_ecc does not verify its own aggregate")
        aggregates.append((signers, _hex(_g2(aggregate))))
    return {
        "secretKeys": [_hex(secret.to_bytes(32, "big")) for secret in secrets],
        "compressedKeys": [_hex(key) for key in keys],
        "keys": [_hex(_g1(key)) for key in keys],
        "proofs": [_hex(_g2(suite.PopProve(secret))) for secret in secrets],
        "message": _hex(MESSAGE),
        "signatures": [_hex(_g2(signature)) for signature in signatures],
        "aggregateSigners": [signers for signers, _ in aggregates],
        "aggregateSignatures": [signature for _, signature in aggregates],
    }


def _hashing() -> dict[str, Any]:
    messages = [b"", b"abc", b"abcdef0123456789", b"q" * 133]
    points = [_g2_point(hash_to_G2(message, RFC_DST, sha256)) for message in messages]
    if points[0][16:64].hex() != RFC_EMPTY_X0:
        raise RuntimeError("py_ecc's hash_to_G2 is not RFC 9380's")
    return {
        "dst": _hex(RFC_DST),
        "messages": [_hex(message) for message in messages],
        "expanded": [_hex(expand_message_xmd(each, RFC_DST, 256, sha256)) for each in messages],
        "points": [_hex(point) for point in points],
    }


def _digests() -> dict[str, Any]:
    round_, sum_, opened, model = 7, keccak(b"sum"), keccak(b"opened"), keccak(b"model")
    words = [0, 1, 2**256 - 1, int.from_bytes(keccak(b"word"), "big")]
    context = RoundContext(chain_id=CHAIN_ID, contract=CONTRACT, round=round_)
    head = head_digest(words)
    opening = encode_typed_data(
        {"name": "ddcai", "version": "1", "chainId": CHAIN_ID, "verifyingContract": CONTRACT},
        {
            "Opening": [
                {"name": "round", "type": "uint64"},
                {"name": "sumDigest", "type": "bytes32"},
                {"name": "openedDigest", "type": "bytes32"},
            ]
        },
        {"round": round_, "sumDigest": sum_, "openedDigest": opened},
    )
    return {
        "chainId": CHAIN_ID,
        "contract": CONTRACT,
        "round": round_,
        "sumDigest": _hex(sum_),
        "openedDigest": _hex(opened),
        "modelDigest": _hex(model),
        "headWords": [_hex(word.to_bytes(32, "big")) for word in words],
        "headDigest": _hex(head),
        "resultMessage": _hex(
            result_message(context, sum_=sum_, opened=opened, model=model, head=head)
        ),
        "prevRandao": _hex(opened),
        "listDigest": _hex(list_digest([(0, sum_), (300, model)])),
        "randomness": _hex(
            drawn_randomness(context, list_digest([(0, sum_), (300, model)]), opened)
        ),
        "openingMessage": _hex(bytes(_hash_eip191_message(opening))),
    }


def main() -> None:
    """Writes one JSON file a subject, beside this script."""
    for name, vectors in (("bls", _bls()), ("hashing", _hashing()), ("digests", _digests())):
        path = Path(__file__).with_name(f"{name}.json")
        path.write_text(json.dumps(vectors, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
