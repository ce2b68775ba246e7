"""Between our words and the byte streams that TenSEAL takes and gives.

Layout (SEAL 4.x, little-endian, found by experiment and held by the tests): every object
has a 16-byte header (u16 0xA15E, u8 16, u8 major, u8 minor, u8 compression, u16 0, u64
total size), then its body, possibly compressed as a whole. We write streams uncompressed
and read what SEAL writes, zstd. TenSEAL wraps them in protobuf messages of few fields,
written and read here by hand.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import pyarrow
import tenseal

from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.words import WordArray
from ddcai.errors import DdcaiError

_MAGIC, _HEADER_SIZE = 0xA15E, 16
_NO_COMPRESSION, _ZSTD = 0, 2
_BFV = 1
_HEADER = struct.Struct("<HBBBBHQ")
_CIPHERTEXT = struct.Struct("<32sBQQQdQ")  # parms_id, is_ntt, size, n, k, scale, correction
_PLAINTEXT = struct.Struct("<32sQd")  # parms_id, coefficients, scale
_U64 = struct.Struct("<Q")
# TenSEAL's public part beside the key: automatic relinearisation, rescaling, switching
# (bits 0 to 2; none applies to additions), and the global scale, -1 for BFV.
_PUBLIC_TAIL = b"\x10\x07\x19" + struct.pack("<d", -1.0)


def new_context(parameters: ParameterSet) -> tenseal.Context:
    """A TenSEAL context with fresh keys from the operating system's randomness.

    Raises:
        DdcaiError: if TenSEAL would use other primes than ours.
    """
    context = tenseal.context(
        tenseal.SCHEME_TYPE.BFV,
        parameters.poly_modulus_degree,
        parameters.plain_modulus,
        list(parameters.coeff_mod_bit_sizes),
        n_threads=1,
    )
    fields = _read_message(context.serialize(True, False, False, False))
    if _body(fields[1]) != _parameters_body(parameters):
        raise DdcaiError(f"TenSEAL {tenseal.__version__} chooses other primes: use 0.3.18")
    return context


def key_words(context: tenseal.Context, parameters: ParameterSet) -> tuple[WordArray, WordArray]:
    """Public key uint64[2, primes, n] and secret key uint64[primes, n], both in NTT form."""
    fields = _read_message(context.serialize(True, True, False, False))
    public = ciphertext_words(_read_message(fields[2])[1], parameters, key_level=True)
    body = _body(_read_message(fields[3])[1])
    shape = (len(parameters.primes), parameters.poly_modulus_degree)
    return public, _words(body, _PLAINTEXT.size, shape)


def public_context(words: WordArray, parameters: ParameterSet) -> tenseal.Context:
    """A TenSEAL context that can encrypt, from a public key's words."""
    key = _bytes_field(1, ciphertext_stream(words, parameters, key_level=True)) + _PUBLIC_TAIL
    message = _bytes_field(1, parameters_stream(parameters)) + _bytes_field(2, key)
    return tenseal.context_from(message, n_threads=1)


def secret_context(words: WordArray, parameters: ParameterSet) -> tenseal.Context:
    """A TenSEAL context that can decrypt, from a secret key's words."""
    fixed = _PLAINTEXT.pack(_parms_id(parameters, key_level=True), words.size, 1.0)
    key = _bytes_field(1, _stream(fixed + _array_stream(words)))
    message = (
        _bytes_field(1, parameters_stream(parameters))
        + _bytes_field(2, _PUBLIC_TAIL)
        + _bytes_field(3, key)
    )
    return tenseal.context_from(message, n_threads=1)


def encrypt_slots(
    context: tenseal.Context, slots: list[int], parameters: ParameterSet
) -> WordArray:
    """Encrypts n slots (signed, below t/2): words uint64[2, data primes, n]."""
    message = tenseal.bfv_vector(context, slots).serialize()
    return ciphertext_words(_read_message(message)[2], parameters)


def decrypt_slots(
    context: tenseal.Context, words: WordArray, parameters: ParameterSet
) -> list[int]:
    """Decrypts words uint64[2, data primes, n] to n slots, signed."""
    sizes = _bytes_field(1, _varint(parameters.poly_modulus_degree))
    message = sizes + _bytes_field(2, ciphertext_stream(words, parameters))
    slots: list[int] = tenseal.bfv_vector_from(context, message).decrypt()
    return slots


# --- SEAL streams ---


@lru_cache(maxsize=1)
def _version() -> tuple[int, int]:
    """Major and minor version of the SEAL inside TenSEAL; it loads streams of no other."""
    context = tenseal.context(tenseal.SCHEME_TYPE.BFV, 4096, 40961, [36, 36, 37], n_threads=1)
    stream = _read_message(context.serialize(False, False, False, False))[1]
    return stream[3], stream[4]


def _stream(body: bytes) -> bytes:
    return (
        _HEADER.pack(
            _MAGIC, _HEADER_SIZE, *_version(), _NO_COMPRESSION, 0, _HEADER_SIZE + len(body)
        )
        + body
    )


def _body(stream: bytes) -> bytes:
    """The body of a stream that TenSEAL wrote in this process."""
    magic, size, _, _, compression, _, total = _HEADER.unpack_from(stream)
    if magic != _MAGIC or size != _HEADER_SIZE or total != len(stream):
        raise DdcaiError(f"TenSEAL {tenseal.__version__} writes another layout: use 0.3.18")
    body = stream[_HEADER_SIZE:]
    if compression == _NO_COMPRESSION:
        return body
    if compression != _ZSTD:
        raise DdcaiError(f"TenSEAL {tenseal.__version__} compresses otherwise: use 0.3.18")
    return pyarrow.Codec("zstd").decompress(  # type: ignore[no-any-return]
        body, decompressed_size=_zstd_content_size(body), asbytes=True
    )


def _zstd_content_size(frame: bytes) -> int:
    """The content size in a zstd frame's header (RFC 8878, section 3.1.1.1)."""
    descriptor = frame[4]
    single_segment = descriptor >> 5 & 1
    at = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    width = (single_segment, 2, 4, 8)[descriptor >> 6]
    if not width:
        raise DdcaiError("a zstd frame without its content size: use TenSEAL 0.3.18")
    size = int.from_bytes(frame[at : at + width], "little")
    return size + 256 if width == 2 else size


def _array_stream(words: WordArray) -> bytes:
    return _stream(_U64.pack(words.size) + words.astype("<u8", copy=False).tobytes())


def _words(body: bytes, offset: int, shape: tuple[int, ...]) -> WordArray:
    """The words of the array that stands at an offset, uncompressed, to the body's end."""
    start = offset + _HEADER_SIZE + _U64.size
    if len(body) - start != _U64.size * math.prod(shape):
        raise DdcaiError(f"TenSEAL {tenseal.__version__} writes another layout: use 0.3.18")
    words: WordArray = np.frombuffer(body, "<u8", offset=start).astype(np.uint64)
    return words.reshape(shape)


def ciphertext_stream(
    words: WordArray, parameters: ParameterSet, *, key_level: bool = False, is_ntt: bool = False
) -> bytes:
    """SEAL's stream of words uint64[polynomials, primes, n]. A key is in NTT form."""
    polynomials, primes, degree = words.shape
    identity = _parms_id(parameters, key_level=key_level)
    ntt = key_level or is_ntt
    fixed = _CIPHERTEXT.pack(identity, ntt, polynomials, degree, primes, 1.0, 1)
    return _stream(fixed + _array_stream(words))


def ciphertext_words(
    stream: bytes,
    parameters: ParameterSet,
    *,
    key_level: bool = False,
    is_ntt: bool = False,
    polynomials: int = 2,
) -> WordArray:
    """The words uint64[polynomials, primes, n] of a stream that SEAL wrote in this process."""
    body = _body(stream)
    primes = parameters.primes if key_level else parameters.data_primes
    shape = (polynomials, len(primes), parameters.poly_modulus_degree)
    identity = _parms_id(parameters, key_level=key_level)
    expected = (identity, key_level or is_ntt, polynomials, shape[2], shape[1], 1.0, 1)
    if len(body) < _CIPHERTEXT.size or _CIPHERTEXT.unpack_from(body) != expected:
        raise DdcaiError(f"TenSEAL {tenseal.__version__} writes another layout: use 0.3.18")
    return _words(body, _CIPHERTEXT.size, shape)


def _parms_id(parameters: ParameterSet, *, key_level: bool) -> bytes:
    primes = parameters.primes if key_level else parameters.data_primes
    numbers = (_BFV, parameters.poly_modulus_degree, *primes, parameters.plain_modulus)
    return blake2b(b"".join(map(_U64.pack, numbers)), digest_size=32).digest()


def _parameters_body(parameters: ParameterSet) -> bytes:
    numbers = (*parameters.primes, parameters.plain_modulus)
    moduli = b"".join(_stream(_U64.pack(number)) for number in numbers)
    fixed = struct.pack("<BQQ", _BFV, parameters.poly_modulus_degree, len(parameters.primes))
    return fixed + moduli


def plaintext_stream(words: WordArray, parameters: ParameterSet) -> bytes:
    """SEAL's stream of a factor uint64[data primes, n] in NTT form."""
    identity = _parms_id(parameters, key_level=False)
    return _stream(_PLAINTEXT.pack(identity, words.size, 1.0) + _array_stream(words))


def parameters_stream(parameters: ParameterSet) -> bytes:
    """SEAL's stream of a parameter set."""
    return _stream(_parameters_body(parameters))


# --- protobuf, as much of it as TenSEAL uses ---


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _read_message(message: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a message that TenSEAL wrote in this process."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key & 7 == 0:
            _, at = _read_varint(message, at)
        elif key & 7 == 1:
            at += 8
        else:
            size, at = _read_varint(message, at)
            fields[key >> 3] = message[at : at + size]
            at += size
    return fields
