"""The policy's form: every key, a value that is taken and values that are not."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.policy.document import (
    Leave,
    Money,
    Policy,
    PrivacyLimit,
    Rounds,
)
from ddcai.strict_toml import LARGEST_FILE_BYTES

TAKEN = [
    ("leave", "updates", "false", False),
    ("leave", "metrics", '["loss", "a.b/c 1"]', ("loss", "a.b/c 1")),
    ("leave", "work", "false", False),
    ("leave", "scalars", "false", False),
    ("rounds", "min_contributors", "2", 2),
    ("rounds", "max_rounds_per_day", "1", 1),
    ("rounds", "hours", '"22:00-06:59"', "22:00-06:59"),
    ("money", "max_deposit_wei", "0", 0),
    ("money", "max_gas_price_wei", "50_000_000_000", 50 * 10**9),
    ("money", "max_spend_wei_per_day", f"{2**256 - 1}", 2**256 - 1),
    ("privacy", "require", "true", True),
]
REFUSED = [
    ("leave", "updates", "1", "true or false"),
    ("leave", "metrics", '"loss"', "list"),
    ("leave", "metrics", "[1]", "list"),
    ("leave", "metrics", '["a", "a"]', "once"),
    ("leave", "metrics", '[""]', "plain"),
    ("leave", "metrics", r'["a\u0000"]', "plain"),
    ("leave", "work", '"no"', "true or false"),
    ("leave", "evaluation", "0", "true or false"),
    ("leave", "evaluation", "true", "leave.metrics"),
    ("leave", "scalars", "[]", "true or false"),
    ("leave", "arrays", "true", "no key of"),
    ("rounds", "min_contributors", "1", "2 to 1024"),
    ("rounds", "min_contributors", "3.0", "whole"),
    ("rounds", "min_contributors", "true", "whole"),
    ("rounds", "max_rounds_per_day", "0", "from 1"),
    ("rounds", "max_rounds_per_day", '"3"', "whole"),
    ("rounds", "hours", "22:00:00", "two times"),
    ("rounds", "hours", '"24:00-06:00"', "two times"),
    ("rounds", "hours", '"6:00-22:00"', "two times"),
    ("rounds", "hours", '"06:00-06:00"', "two times"),
    ("rounds", "hours", '"06:00-22:00\\n"', "two times"),
    ("rounds", "max_round_per_day", "3", "no key of"),
    ("money", "max_deposit_wei", "-1", "whole"),
    ("money", "max_deposit_wei", "1e16", "whole"),
    ("money", "max_gas_price_wei", '"1 gwei"', "whole"),
    ("money", "max_spend_wei_per_day", f"{2**256}", "whole"),
    ("money", "max_spend_wei_per_day", "0x" + "f" * 9000, "whole"),
    ("privacy", "require", '"yes"', "true or false"),
    ("privacy", "max_epsilon", "3.0", "delta is missing"),
    ("privacy", "delta", "1e-6", "max_epsilon is missing"),
]


@pytest.mark.parametrize(("section", "key", "value", "meant"), TAKEN)
def test_a_key_is_taken(section: str, key: str, value: str, meant: object) -> None:
    policy = Policy.parse(f"[{section}]\n{key} = {value}")
    assert getattr(getattr(policy, section), key) == meant
    assert getattr(getattr(Policy(), section), key) != meant


@pytest.mark.parametrize(("section", "key", "value", "why"), REFUSED)
def test_a_value_is_refused_by_its_name(section: str, key: str, value: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=key) as refused:
        Policy.parse(f"[{section}]\n{key} = {value}")
    assert why in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("value", ["0", "-1.0", "nan", "inf", "50.1", "true", '"3"', "9" * 400])
def test_epsilon_is_a_number_that_means_something(value: str) -> None:
    with pytest.raises(ConfigurationError, match="max_epsilon"):
        Policy.parse(f"[privacy]\nmax_epsilon = {value}\ndelta = 1e-6")


@pytest.mark.parametrize("value", ["0", "1e-13", "0.02", "nan", "false"])
def test_so_is_delta(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"privacy\.delta"):
        Policy.parse(f"[privacy]\nmax_epsilon = 3\ndelta = {value}")


def test_what_goes_together_is_taken_together() -> None:
    text = '[leave]\nevaluation = true\nmetrics = ["a"]\n[privacy]\nmax_epsilon = 3\ndelta = 1e-6'
    policy = Policy.parse(text)
    assert policy.leave == Leave(evaluation=True, metrics=("a",))
    assert policy.privacy == PrivacyLimit(max_epsilon=3, delta=1e-6)


@pytest.mark.parametrize(
    "text", ["[leaves]", "leave = 1", "updates = true", "[leave", "a" * 5000, "[[leave]]", "\x00"]
)
def test_another_document_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Policy.parse(text)


def test_every_key_is_tried() -> None:
    tried = {(section, key) for section, key, *_ in TAKEN} & {
        (section, key) for section, key, *_ in REFUSED
    }
    together = {("leave", "evaluation"), ("privacy", "max_epsilon"), ("privacy", "delta")}
    policy = Policy()
    keys = {(name, key) for name in vars(policy) for key in vars(getattr(policy, name))}
    assert tried | together == keys


def _text(policy: Policy) -> str:
    """As an operator would write it."""
    lines = []
    for name in ("leave", "rounds", "money", "privacy"):
        lines.append(f"[{name}]")
        for key, value in vars(getattr(policy, name)).items():
            if isinstance(value, bool):
                lines.append(f"{key} = {str(value).lower()}")
            elif isinstance(value, tuple):
                lines.append(f"{key} = [{', '.join(repr(one) for one in value)}]")
            elif value is not None:
                lines.append(f"{key} = {value!r}")
    return "\n".join(lines)


NAMES = st.lists(st.text("abz09_ .,:/+-", min_size=1, max_size=64), unique=True).map(tuple)
TIME = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
HOURS = st.tuples(TIME, TIME).filter(lambda two: two[0] != two[1]).map("-".join)
WEI = st.none() | st.integers(0, 2**256 - 1)
BUDGETS = st.tuples(st.none(), st.none()) | st.tuples(
    st.floats(0, 50, exclude_min=True), st.floats(1e-12, 0.01)
)


@st.composite
def policies(draw: Any) -> Policy:
    """Any policy."""
    names, budget = draw(NAMES), draw(BUDGETS)
    flags = [draw(st.booleans()) for _ in range(5)]
    return Policy(
        leave=Leave(
            updates=flags[0],
            metrics=names,
            work=flags[1],
            evaluation=flags[2] and bool(names),
            scalars=flags[3],
        ),
        rounds=Rounds(
            min_contributors=draw(st.none() | st.integers(2, 1024)),
            max_rounds_per_day=draw(st.none() | st.integers(1, 2**31)),
            hours=draw(st.none() | HOURS),
        ),
        money=Money(
            max_deposit_wei=draw(WEI),
            max_gas_price_wei=draw(WEI),
            max_spend_wei_per_day=draw(WEI),
        ),
        privacy=PrivacyLimit(require=flags[4], max_epsilon=budget[0], delta=budget[1]),
    )


@given(policy=policies())
def test_what_is_written_is_read(policy: Policy) -> None:
    assert Policy.parse(_text(policy)) == policy


WORDS = st.sampled_from(
    ["[leave]", "[rounds]", "[money]", "\n", "updates", "hours", "metrics", "=", "true", "[", "]",
     "{", "}", '"', "0x", "1e999", "a.", "-1", "nan", "9" * 50, "\\u0000", "'''", "1979-05-27"]
)  # fmt: skip


@given(text=st.text() | st.lists(WORDS).map(" ".join) | st.lists(WORDS).map("".join))
@example(text="[" * LARGEST_FILE_BYTES)
@example(text="leave" + ".a" * 4000 + " = 1")
@example(text="leave.updates" + ".a" * 4000 + " = 1")
@example(text="[rounds]\nmax_rounds_per_day = " + "9" * 5000)
def test_any_text_is_a_policy_or_an_error_of_ours(text: str) -> None:
    try:
        found = Policy.parse(text)
    except ConfigurationError:
        return
    assert isinstance(found, Policy)


@given(content=st.binary(max_size=200))
def test_any_file_is_a_policy_or_an_error_that_names_it(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-policy.toml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigurationError, UnicodeDecodeError):
        expected = Policy.parse(content.decode())
        assert Policy.load(path) == expected
        return
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        Policy.load(path)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    with pytest.raises(ConfigurationError, match=r"policy\.toml.*No such file"):
        Policy.load(path)
    path.write_text("#" * (LARGEST_FILE_BYTES + 1))
    with pytest.raises(ConfigurationError, match=r"policy\.toml has more than"):
        Policy.load(path)
    path.write_text("#" * LARGEST_FILE_BYTES)
    assert Policy.load(path) == Policy()


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("08:00-18:00", ["08:00", "17:59"], ["07:59", "18:00", "00:00"]),
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]),
    ],
)
def test_hours_may_pass_midnight(hours: str, inside: list[str], outside: list[str]) -> None:
    rounds = Rounds(hours=hours)
    for times, expected in ((inside, True), (outside, False)):
        for time in times:
            assert rounds.open_at(datetime.fromisoformat(f"2026-01-31T{time}:30")) is expected
    assert Rounds().open_at(datetime(2026, 1, 31))


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    policy = Policy()
    for name in vars(policy):
        [section] = [part for part in text.split("\n## ") if part.startswith(f"`[{name}]`")]
        rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert sorted(rows) == sorted(vars(getattr(policy, name)))
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert Policy.parse(example) != policy
