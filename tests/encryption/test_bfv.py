from __future__ import annotations

import base64
import json
import math
import pickle

import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.digests import public_key_digest
from ddcai.encryption import _seal, bfv, summation, wire
from ddcai.encryption.bfv import PublicKey, SecretKey
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.errors import ForgedUpdate, KeyfileError, MalformedError, RoundError, WrongPassword
from ddcai.keyfile import save_secret

from .conftest import key_pair

SETS = sorted(PARAMETER_SETS)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(SETS), st.integers(1, 26_000), st.integers(0, 2**32))
def test_what_is_encrypted_is_decrypted(set_id, count, seed):
    secret, public = key_pair(set_id)
    top = public.parameters.lane_max
    values = np.random.default_rng(seed).integers(-top, top, count, endpoint=True)
    blob = public.encrypt(values)
    assert wire.check(blob, public.parameters, count).values == count
    assert (secret.decrypt(blob) == values).all()


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(SETS), st.integers(2, 6), st.integers(0, 2**32))
def test_a_sum_of_blobs_decrypts_to_the_sum_of_values(set_id, contributors, seed):
    secret, public = key_pair(set_id)
    limit = public.parameters.value_limit(contributors)
    rng = np.random.default_rng(seed)
    values = rng.integers(-limit, limit, (contributors, 15_000), endpoint=True)
    total = summation.add(public.encrypt(row) for row in values)
    assert (secret.decrypt(total) == values.sum(axis=0)).all()


def _noise_budget(secret: SecretKey, words: np.ndarray, folder) -> int:
    """Bits of noise budget that SEAL itself finds in a ciphertext."""
    p = secret.parameters
    settings_ = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    settings_.set_poly_modulus_degree(p.poly_modulus_degree)
    settings_.set_coeff_modulus([seal.Modulus(prime) for prime in p.primes])
    settings_.set_plain_modulus(p.plain_modulus)
    context = seal.SEALContext(settings_, True, seal.SEC_LEVEL_TYPE.TC128)
    assert context.parameters_set()
    fixed = _seal._PLAINTEXT.pack(_seal._parms_id(p, key_level=True), secret._words.size, 1.0)
    (folder / "key").write_bytes(_seal._stream(fixed + _seal._array_stream(secret._words)))
    (folder / "sum").write_bytes(_seal.ciphertext_stream(words, p))
    key, ciphertext = seal.SecretKey(), seal.Ciphertext()
    key.load(context, str(folder / "key"))
    ciphertext.load(context, str(folder / "sum"))
    return seal.Decryptor(context, key).invariant_noise_budget(ciphertext)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sum_is_exact_with_noise_to_spare(keys, parameters, sign, tmp_path):
    """The most contributors, every value at its limit, every ciphertext fresh."""
    secret, public = keys
    contributors = parameters.max_contributors
    if parameters.opened_by_threshold:
        contributors = 64  # 2**70 times more room than noise: fewer show as much
    limit = parameters.value_limit(contributors)
    values = np.full(parameters.values_per_ciphertext, sign * limit)
    accumulator = summation.SumAccumulator(parameters)
    for _ in range(contributors):
        accumulator.add(public.encrypt(values))
    assert (secret.decrypt(accumulator.to_blob()) == contributors * values).all()
    budget = _noise_budget(secret, next(accumulator.blocks()), tmp_path)
    least = {"bfv-4096-3x19": 4, "bfv-4096-2x23": 1}
    assert budget >= least.get(parameters.id, 70)
    # The largest of 4096 Gaussian draws is near 4 sigma: the measured budget and the
    # planner's margin are one statement.
    planned = math.log2(parameters.noise_margin_sigma(contributors) / 4)
    assert abs(budget - planned) < 1.5


def test_beyond_the_noise_a_sum_is_wrong(tmp_path):
    """The negative control: the measure does see noise run out."""
    secret, public = key_pair("bfv-4096-2x23")
    values = np.full(8192, 1)
    words = wire.parse(public.encrypt(values))
    primes = np.array(public.parameters.data_primes, dtype=np.uint64)[:, None]
    words = words * np.uint64(2**20) % primes
    assert _noise_budget(secret, words[0], tmp_path) == 0


def test_equal_values_give_other_bytes(keys):
    _, public = keys
    values = np.zeros(10, dtype=np.int64)
    first, second = public.encrypt(values), public.encrypt(values)
    assert len(first) == len(second)
    both = wire.parse(first)[0, 1] == wire.parse(second)[0, 1]
    assert both.mean() < 0.01


def test_another_key_does_not_read(keys, parameters):
    _, public = keys
    other, _ = bfv.generate(parameters)
    values = np.arange(parameters.values_per_ciphertext)
    if parameters.assessable:
        with pytest.raises(ForgedUpdate, match="no honest encryption"):
            other.decrypt(public.encrypt(values))
        return
    assert (other.decrypt(public.encrypt(values)) != values).mean() > 0.99
    with pytest.raises(ForgedUpdate, match="not zero"):
        other.decrypt(public.encrypt(values[:-5]))


def test_values_that_are_refused(keys, parameters):
    _, public = keys
    with pytest.raises(RoundError):
        public.encrypt(np.array([], dtype=np.int64))
    with pytest.raises(RoundError):
        public.encrypt(np.array([parameters.lane_max + 1]))


def test_a_malformed_blob_never_reaches_tenseal(keys, parameters):
    secret, public = keys
    blob = public.encrypt(np.arange(5))
    for bad in (blob[:-1], blob + b"\0", b"", public.to_blob()):
        with pytest.raises(MalformedError):
            secret.decrypt(bad)
    transparent = blob[: 11 + parameters.bytes_per_ciphertext // 2]
    with pytest.raises(MalformedError, match="c1 = 0"):
        secret.decrypt(transparent + bytes(parameters.bytes_per_ciphertext // 2))


def test_public_key_round_trip(keys, parameters, tmp_path):
    secret, public = keys
    blob = public.to_blob()
    assert blob[:3] == bytes([1, wire.PUBLIC_KEY, parameters.number])
    bits = sum(parameters.coeff_mod_bit_sizes)
    assert len(blob) == 11 + 2 * parameters.poly_modulus_degree * bits // 8
    again = PublicKey.from_blob(blob)
    assert again == public
    assert hash(again) == hash(public)
    assert again != bfv.generate(parameters)[1]
    assert again.digest() == public_key_digest(blob) == secret.public_key_digest
    public.save(tmp_path / "a" / "key.json")
    loaded = PublicKey.load(tmp_path / "a" / "key.json")
    assert loaded == public
    assert (secret.decrypt(loaded.encrypt(np.arange(9))) == np.arange(9)).all()


PUBLIC_BLOBS = {set_id: key_pair(set_id)[1].to_blob() for set_id in SETS}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SETS), st.data())
def test_damaged_public_keys(set_id, data):
    blob = bytearray(PUBLIC_BLOBS[set_id])
    how = data.draw(st.sampled_from(["flip", "header", "cut", "pad"]))
    if how in ("flip", "header"):
        last = len(blob) * 8 - 1 if how == "flip" else 87
        bit = data.draw(st.integers(0, last))
        blob[bit // 8] ^= 1 << bit % 8
    elif how == "cut":
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    else:
        blob += data.draw(st.binary(min_size=1, max_size=20))
    try:
        key = PublicKey.from_blob(bytes(blob))
    except MalformedError:
        return
    assert how == "flip"
    assert key.to_blob() == bytes(blob)


def test_a_public_key_that_hides_nothing(keys, parameters):
    _, public = keys
    for polynomial in (0, 1):
        words = public._words.copy()
        words[polynomial, 0] = 0
        blob = PublicKey(parameters, words).to_blob()
        with pytest.raises(MalformedError, match="hide nothing"):
            PublicKey.from_blob(blob)
    words = public._words.copy()
    words[0, 2, 7] = parameters.primes[2]
    with pytest.raises(MalformedError, match="below its prime"):
        PublicKey.from_blob(PublicKey(parameters, words).to_blob())


def test_public_files_that_are_refused(keys, tmp_path):
    _, public = keys
    path = tmp_path / "key.json"
    with pytest.raises(KeyfileError, match="cannot read"):
        PublicKey.load(path)
    public.save(path)
    document = json.loads(path.read_text())
    assert document["holds"] == "bfv-public-key"

    def refused(change: dict[str, object], match: str) -> None:
        path.write_text(json.dumps(document | change))
        with pytest.raises(KeyfileError, match=match):
            PublicKey.load(path)

    refused({"holds": "bfv-secret-key"}, "holds 'bfv-secret-key'")
    refused({"digest": "00" * 32}, "damaged")
    refused({"key": "%%"}, "damaged")
    refused({"key": 7}, "damaged")
    refused({"key": base64.b64encode(b"x").decode()}, "damaged")
    refused({"format": "other"}, "damaged")
    for text in ("no json", "[]", "7"):
        path.write_text(text)
        with pytest.raises(KeyfileError):
            PublicKey.load(path)
    path.write_bytes(bytes(2**22 + 1))
    with pytest.raises(KeyfileError, match="too large"):
        PublicKey.load(path)


def test_secret_key_file(keys, tmp_path):
    secret, public = keys
    path = tmp_path / "secret.json"
    secret.save(path, "open sesame", light=True)
    loaded = SecretKey.load(path, "open sesame")
    assert loaded.public_key_digest == public.digest()
    assert (loaded.decrypt(public.encrypt(np.arange(7))) == np.arange(7)).all()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["holds"] == "bfv-secret-key"
    with pytest.raises(WrongPassword):
        SecretKey.load(path, "guess")
    with pytest.raises(KeyfileError, match="there already"):
        secret.save(path, "open sesame", light=True)


def test_secret_files_of_other_content(keys, tmp_path):
    _, public = keys
    good = {"public_key_digest": public.digest().hex()}
    cases = {"short": (b"abc", good), "public": (public.to_blob(), good), "bare": (b"", {})}
    for name, (content, described) in cases.items():
        path = tmp_path / name
        save_secret(
            path, holds="bfv-secret-key", secret=content, public=described, password="p", light=True
        )
        with pytest.raises(KeyfileError, match="damaged") as caught:
            SecretKey.load(path, "p")
        assert caught.value.__cause__ is None


def test_a_secret_key_does_not_show_itself(keys):
    secret, _ = keys
    shown = repr(secret) + str(secret) + f"{secret}"
    assert "****" in shown
    assert str(int(secret._words[0, 0])) not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_what_is_derived_is_of_one_key_and_one_message():
    secret, public = key_pair("bfv-8192-2x30")
    other, _ = bfv.generate(public.parameters)
    made = secret.derive(b"tag message")
    assert len(made) == 32
    assert made == secret.derive(b"tag message")
    assert len({made, secret.derive(b"tag messagf"), other.derive(b"tag message")}) == 3
