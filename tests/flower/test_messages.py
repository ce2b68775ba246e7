"""Messages from anybody: they read back as written, or raise MalformedError and nothing else."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from ddcai.digests import RoundContext
from ddcai.errors import DataError, MalformedError
from ddcai.flower import InProcessGrid, messages
from ddcai.flower.messages import UpdateReply, read_reply, refusal, refused, round_context

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"

scalars = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=80),
    st.binary(max_size=80),
    st.booleans(),
)
values = st.one_of(scalars, st.lists(st.integers(-5, 5), max_size=3))
names = st.one_of(
    st.sampled_from(
        ["chain-id", "contract", "round", "contributor", "ciphertext", "opened", "kind", "meaning"]
    ),
    st.text(max_size=8),
)
configs = st.dictionaries(names, values, max_size=4).map(ConfigRecord)
numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats())
metrics = st.dictionaries(names, numbers, max_size=4).map(MetricRecord)


InProcessGrid({})  # Flower stamps messages with the task that a Grid runs


def _npy(value: np.ndarray[Any, Any]) -> bytes:
    return Array(value).data


arrays = st.one_of(
    st.builds(
        Array,
        dtype=st.sampled_from(["uint8", "float32", "object", "?"]),
        shape=st.lists(st.integers(-1, 2**40), max_size=3).map(tuple),
        stype=st.sampled_from(["numpy.ndarray", "pickle", ""]),
        data=st.one_of(
            st.binary(max_size=300),
            st.just(_npy(np.ones(3, np.float32))),
            st.just(_npy(np.ones((2, 2), np.uint8))),
            st.binary(max_size=40).map(lambda tail: _npy(np.ones(3, np.uint8)) + tail),
        ),
    ),
    st.just(Array(np.ones(4, np.float32))),
    st.just(Array(np.ones(4, np.uint8))),
)
array_records = st.dictionaries(names, arrays, max_size=2).map(ArrayRecord)
record_names = st.sampled_from(
    ["ddcai-update", "ddcai-reply", "ddcai-round", "ddcai-refused", "metrics", "arrays"]
)
contents = st.dictionaries(
    record_names, st.one_of(configs, metrics, array_records), max_size=5
).map(RecordDict)


@given(contents)
def test_anything_is_read_or_malformed(content: RecordDict) -> None:
    with contextlib.suppress(MalformedError):
        update = UpdateReply.from_content(content)
        assert isinstance(update.ciphertext, bytes)
    with contextlib.suppress(MalformedError):
        context = round_context(content)
        context.words()
    with contextlib.suppress(MalformedError):
        read_reply(content, ("opened",))
    for record in content.array_records.values():
        with contextlib.suppress(MalformedError):
            messages.from_arrays(record)
    said = refused(Message(content, 1, "query"))
    assert said is None or str(said).isprintable()


@given(
    st.dictionaries(record_names, st.one_of(configs, metrics, array_records), max_size=2),
    array_records,
    configs,
    metrics,
)
def test_nearly_right_updates_are_read_or_malformed(
    more: dict[str, Any], update: ArrayRecord, reply: ConfigRecord, metric: MetricRecord
) -> None:
    content = RecordDict({"ddcai-update": update, "ddcai-reply": reply, "metrics": metric} | more)
    with contextlib.suppress(MalformedError):
        UpdateReply.from_content(content)


@given(
    st.binary(max_size=500),
    st.dictionaries(st.from_regex(r"[\w.-]{1,20}", fullmatch=True), st.floats(-1e9, 1e9)),
)
def test_an_update_reads_back_as_written(ciphertext: bytes, metric: dict[str, float]) -> None:
    metric = {name: value for name, value in metric.items() if name.isascii()}
    update = UpdateReply(contributor=ADDRESS, ciphertext=ciphertext, metrics=metric)
    assert UpdateReply.from_content(update.to_content()) == update


@given(st.integers(0, 2**256 - 1).filter(lambda n: n < 10**77), st.integers(0, 2**63 - 1))
def test_a_context_reads_back_as_written(chain_id: int, number: int) -> None:
    context = RoundContext(chain_id=chain_id, contract=ADDRESS, round=number)
    assert round_context(messages.instruction(context)) == context


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=90), max_size=4))
def test_named_bytes_read_back_as_written(fields: dict[str, bytes]) -> None:
    assert read_reply(messages.reply_record(fields), fields) == fields


def _reply(**changes: Any) -> RecordDict:
    content = UpdateReply(contributor=ADDRESS, ciphertext=b"abc", metrics={}).to_content()
    for name, record in changes.items():
        content[name.replace("_", "-")] = record
    return content


@pytest.mark.parametrize(
    "content",
    [
        _reply(more=ConfigRecord({})),
        _reply(arrays=ArrayRecord([np.ones(3, np.float32)])),
        _reply(ddcai_update=ArrayRecord({"ciphertext": Array(np.ones(3, np.float32))})),
        _reply(ddcai_update=ArrayRecord({"ciphertext": Array(np.ones((1, 3), np.uint8))})),
        _reply(ddcai_update=ArrayRecord({"weights": Array(np.ones(3, np.uint8))})),
        _reply(
            ddcai_update=ArrayRecord(
                {"ciphertext": Array("uint8", (3,), "numpy.ndarray", _npy(np.ones(3, np.float32)))}
            )
        ),
        _reply(
            ddcai_update=ArrayRecord({"ciphertext": Array("uint8", (3,), "numpy.ndarray", b"PK")})
        ),
        _reply(ddcai_update=ConfigRecord({})),
        _reply(ddcai_reply=ConfigRecord({"contributor": ADDRESS.lower()})),
        _reply(ddcai_reply=ConfigRecord({"contributor": "somebody"})),
        _reply(ddcai_reply=ConfigRecord({"contributor": ADDRESS, "weights": [0.5]})),
        _reply(metrics=ConfigRecord({})),
    ],
)
def test_what_is_no_update_is_malformed(content: RecordDict) -> None:
    with pytest.raises(MalformedError):
        UpdateReply.from_content(content)


def test_metrics_that_cannot_be_shown_are_left_out() -> None:
    odd = {"good": 1.0, "nan": float("nan"), "inf": float("inf"), "\x1b[31m": 1.0, "list": [1.0]}
    content = _reply(metrics=MetricRecord(odd))  # type: ignore[arg-type]
    assert UpdateReply.from_content(content).metrics == {"good": 1.0}
    many = MetricRecord({f"m{i}": 1.0 for i in range(1000)})
    assert len(UpdateReply.from_content(_reply(metrics=many)).metrics) <= 64


def test_a_refusal_names_the_kind_alone() -> None:
    for error, kind in (
        (DataError("row 17 of /home/x.csv has age 131"), "DataError"),
        (ValueError("age 131"), "ValueError"),
    ):
        content = refusal(error)
        assert "131" not in str(content)
        said = refused(Message(content, 1, "query"))
        assert said is not None
        assert said.kind == kind


def test_a_refusal_cannot_write_lines_of_its_own_into_a_log() -> None:
    record = ConfigRecord({"kind": "x\nERROR all is lost", "meaning": "\x1b[2J" + "y" * 10**5})
    said = refused(Message(RecordDict({"ddcai-refused": record}), 1, "query"))
    assert said is not None
    assert said.why.isprintable()
    assert len(said.why) < 500
