"""The configuration: what is read is what was written, and what cannot work is named."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.assessment.configuration import Assessment
from ddcai.configuration import (
    Aggregation,
    Encryption,
    Feature,
    FederationConfig,
    Model,
    Task,
    Training,
)
from ddcai.data.heart_disease import heart_config
from ddcai.digests import canonical_json, config_blob_digest
from ddcai.errors import ConfigurationError
from ddcai.privacy.configuration import Privacy

# Of the demo's configuration, in ddcai 0.1.0: federations hold it on chain.
HEART_DIGEST = "7dbf2357611513cd810980522a6f580700ae73646e592fa3e87eb13e0dd14fce"

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
ranges = st.tuples(st.floats(-1e6, 0, exclude_max=True), st.floats(0, 1e6) | st.integers(0, 10**6))
entry_points = st.sampled_from(["module:function", "_a.b1.c:_d"])
assessments = st.none() | st.builds(
    Assessment,
    root_set=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    window=st.integers(1, 1000),
    decay=st.floats(0, 0.999) | st.just(0),
)
noises = st.none() | st.builds(
    Privacy,
    noise_multiplier=st.floats(0.01, 1000) | st.integers(1, 1000),
    delta=st.floats(1e-12, 0.01),
    epsilon_budget=st.floats(0, 50, exclude_min=True),
    min_contributors=st.integers(2, 1024),
)
features = st.one_of(
    st.builds(
        lambda name, ends, missing: Feature(
            name=name, kind="numeric", low=ends[0], high=ends[1], missing=tuple(missing)
        ),
        names,
        ranges,
        st.lists(names, max_size=2),
    ),
    st.builds(
        lambda name, values: Feature(name=name, kind="categorical", categories=tuple(values)),
        names,
        st.lists(names, min_size=1, max_size=3, unique=True),
    ),
)


@st.composite
def encryptions(draw: st.DrawFn, alone: bool) -> Encryption:
    """With groups unless every member is to send its own update."""
    most = draw(st.integers(2, 16384))
    return Encryption(
        max_contributors=most, group_size=1 if alone else draw(st.integers(1, most // 2))
    )


@st.composite
def configs(draw: st.DrawFn) -> FederationConfig:
    """Any configuration that can work."""
    columns = draw(st.lists(features, min_size=1, max_size=3, unique_by=lambda one: one.name))
    used = {column.name for column in columns}
    classes = draw(st.lists(names, min_size=2, max_size=4, unique=True))
    above = draw(st.none() | st.floats(-10, 10)) if len(classes) == 2 else None
    positive = st.floats(1e-6, 1e6)
    assessment = draw(assessments)
    privacy = draw(noises) if assessment is None else None
    weightings = ["examples", "uniform"] if assessment is privacy is None else ["uniform"]
    return FederationConfig(
        name=draw(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)),
        task=Task(
            label=draw(names.filter(lambda name: name not in used)),
            classes=tuple(classes),
            positive_above=above,
            features=tuple(columns),
            dataset=draw(st.none() | entry_points),
        ),
        model=Model(
            hidden=tuple(draw(st.lists(st.integers(1, 65536), min_size=1, max_size=3))),
            entry_point=draw(st.none() | entry_points),
            head_scale=2 ** draw(st.integers(0, 14)),
            seed=draw(st.integers(0, 2**63 - 1)),
        ),
        training=Training(
            local_epochs=draw(st.integers(1, 100)),
            batch_size=draw(st.integers(1, 1000)),
            learning_rate=draw(positive),
            momentum=draw(st.floats(0, 1, exclude_max=True)),
            weight_decay=draw(st.floats(0, 1, exclude_max=True)),
            encoder_every=draw(st.integers(0, 3)),
        ),
        aggregation=Aggregation(
            weighting=draw(st.sampled_from(weightings)),
            clip_norm=draw(positive),
            value_range=draw(positive),
            max_examples=draw(st.integers(1, 2**24 - 1)),
            clamped_share_limit=draw(st.floats(0, 1)) if privacy is None else 1.0,
        ),
        encryption=draw(encryptions(alone=assessment is not None or privacy is not None)),
        assessment=assessment,
        privacy=privacy,
    )


def _toml(document: dict[str, Any]) -> str:
    """TOML of a document, null settings left out."""

    def inline(value: Any) -> str:
        if isinstance(value, dict):
            pairs = ", ".join(
                f"{name} = {inline(item)}" for name, item in value.items() if item is not None
            )
            return f"{{{pairs}}}"
        if isinstance(value, list):
            return f"[{', '.join(inline(item) for item in value)}]"
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        return repr(value)

    return "".join(f"{name} = {inline(value)}\n" for name, value in document.items())


@given(configs())
def test_json_round_trip(config: FederationConfig) -> None:
    text = json.dumps(config.to_json())
    again = FederationConfig.from_json(json.loads(text))
    assert again == config
    assert again.to_json() == config.to_json()
    assert again.digest() == config.digest() == config_blob_digest(canonical_json(config.to_json()))


@given(configs())
def test_toml_round_trip(
    tmp_path_factory: pytest.TempPathFactory, config: FederationConfig
) -> None:
    path = tmp_path_factory.mktemp("toml") / "federation.toml"
    path.write_text(_toml(config.to_json()), encoding="utf-8")
    assert FederationConfig.from_toml(path) == config


@given(configs(), st.data())
def test_every_setting_changes_the_digest(config: FederationConfig, data: st.DataObject) -> None:
    """A coordinator that changes any setting has another digest than the contract."""
    document = config.to_json()
    section = data.draw(st.sampled_from(sorted(document)), label="section")
    if section == "name":
        changed = document | {"name": "another" if document["name"] != "another" else "a"}
    else:
        setting = data.draw(st.sampled_from(sorted(document[section])), label="setting")
        changed = document | {section: document[section] | {setting: "changed"}}
    assert canonical_json(changed) != canonical_json(document)
    assert config_blob_digest(canonical_json(changed)) != config.digest()


def test_the_demo_s_digest_is_that_of_the_first_release() -> None:
    assert heart_config().digest().hex() == HEART_DIGEST


def test_equal_documents_have_one_digest() -> None:
    """Whole numbers are written as 1 or 1.0, zero with a sign or without."""
    one, other = _document(), _document()
    one["task"]["features"][0] |= {"low": 0, "high": 1}
    other["task"]["features"][0] |= {"low": -0.0, "high": 1.0}
    read = [FederationConfig.from_json(document) for document in (one, other)]
    assert read[0] == read[1]
    assert read[0].digest() == read[1].digest()


def test_a_digest_does_not_depend_on_the_order_of_settings() -> None:
    turned = dict(reversed(_document().items()))
    assert FederationConfig.from_json(turned).digest() == _config().digest()


def _document() -> dict[str, Any]:
    return {
        "name": "small",
        "task": {
            "label": "ill",
            "classes": ["no", "yes"],
            "features": [
                {"name": "age", "kind": "numeric", "low": 20.0, "high": 80.0},
                {"name": "sex", "kind": "categorical", "categories": ["0", "1"]},
            ],
        },
    }


def _config(**changes: Any) -> FederationConfig:
    return FederationConfig.from_json(_document() | changes)


# Section, setting, values that cannot work. One line a setting that is checked.
REFUSED: list[tuple[str, str, list[Any]]] = [
    ("", "name", ["", "Heart", "-a", "a b", "a" * 64, "a\n", "../a", 3.5]),
    ("task", "label", ["age", None, []]),
    ("task", "classes", [[], ["one"], ["a", "a"], "no", [["a"], ["b"]]]),
    ("task", "positive_above", ["0", True, [0]]),
    ("task", "dataset", ["module", "module:", ":function", "a:b:c", "a b:c", "a:b\n", "os;a:b"]),
    ("model", "hidden", [[], [0], [-1], [65537], [1.5], [True], 16, "16"]),
    ("model", "entry_point", ["module", "a:b\n", 7.0]),
    ("model", "head_scale", [0, 3, -2, 2**15, 1024.0]),
    ("model", "seed", [0.5, "0", None, -1, 2**63]),
    ("training", "local_epochs", [0, -1, 1.0, True, "1"]),
    ("training", "batch_size", [0, -1, 2.5]),
    ("training", "learning_rate", [0, -0.1, math.nan, math.inf, "0.1", True, 10**400]),
    ("training", "momentum", [1, -0.1, math.nan]),
    ("training", "weight_decay", [1, -0.1, math.nan]),
    ("training", "encoder_every", [-1, 2**32, 1.0, True, "2"]),
    ("aggregation", "weighting", ["count", 1, None]),
    ("aggregation", "clip_norm", [0, -1, math.inf, math.nan, 10**400]),
    ("aggregation", "value_range", [0, -1, math.inf, math.nan]),
    ("aggregation", "max_examples", [0, -1, 2**24, 10.0]),
    ("aggregation", "clamped_share_limit", [-0.1, 1.1, math.nan]),
    ("encryption", "parameter_set", [None, []]),
    ("encryption", "max_contributors", [1, 0, 16385, 3.0]),
    ("encryption", "group_size", [0, -1, 33, 1.0, True]),
]


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [(section, setting, value) for section, setting, values in REFUSED for value in values],
)
def test_what_cannot_work_is_refused_by_name(section: str, setting: str, value: Any) -> None:
    document = _document()
    place = document.setdefault(section, {}) if section else document
    place[setting] = value
    path = f"{section}.{setting}" if section else setting
    with pytest.raises(ConfigurationError, match=path.replace(".", r"\.")):
        FederationConfig.from_json(document)


@pytest.mark.parametrize("kind", [Model, Training, Aggregation, Encryption])
def test_every_number_is_in_the_list_of_refusals(kind: type) -> None:
    section = kind.__name__.lower()
    listed = {setting for where, setting, _ in REFUSED if where == section}
    assert listed == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "feature.name"),
        ({"low": 80.0}, "range"),
        ({"low": -math.inf}, "range"),
        ({"high": math.nan}, "range"),
        ({"kind": "ordinal"}, "kind"),
        ({"kind": "categorical"}, "categories"),
        ({"kind": "categorical", "categories": ["0", "0"]}, "categories"),
        ({"name": "sex"}, "task.features"),
        ({"unit": "years"}, "unit is no setting"),
        ({"low": "20"}, r"features\.0\.low"),
    ],
)
def test_a_feature_that_cannot_work_is_refused(change: dict[str, Any], said: str) -> None:
    document = _document()
    document["task"]["features"][0] |= change
    with pytest.raises(ConfigurationError, match=said):
        FederationConfig.from_json(document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "the document is"),
        (None, "the document is"),
        ({}, "name"),
        ({"name": "a"}, "task"),
        (_document() | {"epochs": 3}, "epochs is no setting: known are"),
        (_document() | {"training": {"epochs": 3}}, r"training\.epochs is no setting"),
        (_document() | {"training": 3}, "training"),
        ({"name": "a", "task": {"label": "y", "classes": ["a", "b"]}}, r"task\.features"),
    ],
)
def test_a_document_of_another_form_is_refused(document: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FederationConfig.from_json(document)


def test_more_than_two_classes_have_no_threshold() -> None:
    task = _document()["task"] | {"classes": ["a", "b", "c"], "positive_above": 0}
    with pytest.raises(ConfigurationError, match=r"task\.positive_above"):
        _config(task=task)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = ", "not TOML"), (b"\xff\xfe", "not TOML"), (None, "cannot read")],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "federation.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        FederationConfig.from_toml(path)
    assert str(path) in str(caught.value)


def test_a_text_that_has_no_bytes_is_refused() -> None:
    """JSON can spell half of a surrogate pair; UTF-8 cannot."""
    task = _document()["task"] | {"label": json.loads('"\\ud800"')}
    with pytest.raises(ConfigurationError, match="not a JSON value"):
        _config(task=task).digest()


def test_widths_are_those_of_the_inputs() -> None:
    features = _config().task.features
    assert [feature.width for feature in features] == [2, 3]  # the missing indicator is one
    assert _config().task.width == 5


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(), st.lists, max_leaves=5))
def test_nonsense_is_refused_and_nothing_else(value: Any) -> None:
    for place in ("name", "task", "model"):
        document = _document() | {place: value}
        try:
            config = FederationConfig.from_json(document)
        except ConfigurationError:
            continue
        assert place == "name"
        assert config.name == str(value)


def test_an_assessed_federation_weighs_all_alike() -> None:
    config, root = heart_config(), "ab" * 32
    alike = dataclasses.replace(config.aggregation, weighting="uniform")
    with pytest.raises(ConfigurationError, match=r"aggregation\.weighting.*needs uniform"):
        dataclasses.replace(config, assessment=Assessment(root_set=root))
    for assessment in (Assessment(), Assessment(root_set=root), Assessment(anchor="movement")):
        dataclasses.replace(config, aggregation=alike, assessment=assessment)
    assert "assessment" not in config.to_json()


def test_noise_needs_uniform_weights_no_refusals_and_no_assessment() -> None:
    config = heart_config()
    noise = Privacy(noise_multiplier=1.0, delta=1e-5, epsilon_budget=8.0)
    fitting = dataclasses.replace(config.aggregation, weighting="uniform", clamped_share_limit=1.0)
    for name, value in (("weighting", "examples"), ("clamped_share_limit", 0.5)):
        unfit = dataclasses.replace(fitting, **{name: value})
        with pytest.raises(ConfigurationError, match=rf"aggregation\.{name}.*privacy needs"):
            dataclasses.replace(config, aggregation=unfit, privacy=noise)
    private = dataclasses.replace(config, aggregation=fitting, privacy=noise)
    with pytest.raises(ConfigurationError, match="does not go with an assessment"):
        dataclasses.replace(private, assessment=Assessment(anchor="movement"))
    assert private.to_json()["privacy"]["noise_multiplier"] == 1.0
    assert "privacy" not in config.to_json()


@settings(max_examples=25)
@given(configs())
def test_groups_go_without_what_judges_or_hides_single_updates(config: FederationConfig) -> None:
    encryption = Encryption(max_contributors=8, group_size=4)
    assert encryption.max_updates == 2
    change = functools.partial(dataclasses.replace, config, encryption=encryption)
    if config.assessment is None and config.privacy is None:
        assert change().to_json()["encryption"]["group_size"] == 4
        return
    with pytest.raises(ConfigurationError, match=r"encryption\.group_size"):
        change()
