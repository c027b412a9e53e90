import pytest

from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import OutOfMemoryError
from tunewright.models import memory
from tunewright.models.memory import (
    GIB,
    PROCESS_BYTES,
    ModelSize,
    available_bytes,
    check_memory,
    estimate_training_bytes,
    model_size,
)
from tunewright.models.methods import lora
from tunewright.models.resolve import resolve

SMOLLM2 = ModelSize(134_515_008, layers=30, hidden=576, intermediate=1536, vocabulary=49_152, linear_widths=305_280)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return resolve(str(tiny_folder(folder / "model")), folder / "cache")


def test_size_is_read_from_headers_alone(files):
    size = model_size(files.folder)
    model = tiny_model()
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (size.layers, size.hidden, size.intermediate, size.vocabulary) == (2, 32, 64, 259)
    # Per block: q 32+32, k 32+16, v 32+16, o 32+32, gate, up and down 32+64 each.
    assert size.linear_widths == 2 * (64 + 48 + 48 + 64 + 3 * 96)


def test_lora_parameters_equal_what_peft_attaches(files):
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(tiny_model(), LoraConfig(r=3, target_modules="all-linear"))
    trainable = sum(parameter.numel() for parameter in wrapped.parameters() if parameter.requires_grad)
    assert model_size(files.folder).lora_parameters(3) == trainable


def test_estimate_worked_by_hand():
    size = ModelSize(parameters=1000, layers=2, hidden=8, intermediate=16, vocabulary=10, linear_widths=100)
    estimate = estimate_training_bytes(size, trainable=200, nodes=4, dtype="float32")
    assert estimate.weights == 1000 * 4
    assert estimate.trainable == 200 * 16
    # A layer and position: (6 * 8 + 4 * 16) numbers of 4 bytes and 8 * 8 in the norms = 512; the mask 4 x 4, twice.
    assert estimate.activations == 4 * 512 * 2 + 2 * 16 * 4
    assert estimate.head == 4 * 10 * 4 * 3
    assert estimate.total == 4000 + 3200 + 4224 + 480 + PROCESS_BYTES


def test_the_default_model_with_the_default_budget_takes_some_four_gigabytes():
    # Measured with the design's prototype: 2.5 GB in bfloat16 at about this many nodes.
    trainable = SMOLLM2.lora_parameters(16)
    bf16 = estimate_training_bytes(SMOLLM2, trainable=trainable, nodes=2048, dtype="bfloat16")
    assert 1.5 < bf16.total / GIB < 3.5
    assert bf16.total < estimate_training_bytes(SMOLLM2, trainable=trainable, nodes=2048).total < 6 * GIB


def test_what_fits_is_let_through(files):
    estimate = check_memory(files, method=lora.Config(rank=4), nodes=64, available=PROCESS_BYTES + 10**8)
    assert estimate.total < PROCESS_BYTES + 10**8


def test_what_does_not_fit_is_refused_with_both_numbers_and_a_way_out(files):
    full = check_memory(files, method=lora.Config(rank=4), nodes=4096, available=10**12)
    with pytest.raises(OutOfMemoryError) as caught:
        check_memory(files, method=lora.Config(rank=4), nodes=4096, available=full.total - 1)
    assert caught.value.exit_code == 2
    assert f"about {full.total / GIB:.1f} GB" in str(caught.value)
    assert "train.node_budget: 2048" in str(caught.value)


def test_weights_that_alone_are_too_many_ask_for_a_smaller_base(files, monkeypatch):
    huge = ModelSize(70_000_000_000, layers=80, hidden=8192, intermediate=28672, vocabulary=128256, linear_widths=1)
    monkeypatch.setattr(memory, "model_size", lambda folder: huge)
    with pytest.raises(OutOfMemoryError, match=r"a smaller base, such as smollm2-1\.7b-instruct"):
        check_memory(files, method=lora.Config(), nodes=2048, available=16 * GIB)


def test_the_containers_limit_holds_where_it_is_less(tmp_path, monkeypatch):
    group = tmp_path / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("1000000\n")
    (tmp_path / "a" / "memory.current").write_text("700000\n")
    (tmp_path / "a" / "memory.stat").write_text("anon 100\ninactive_file 200000\n")
    (group / "memory.max").write_text("max\n")
    (tmp_path / "membership").write_text("0::/a/b\n")
    limits = memory._cgroup_limits(tmp_path, tmp_path / "membership")
    assert limits == [(1_000_000, 500_000)]
    monkeypatch.setattr(memory, "_cgroup_limits", lambda: limits)
    assert available_bytes() == 500_000


def test_the_older_cgroups_are_read_too(tmp_path):
    group = tmp_path / "memory" / "job"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("2048\n")
    (group / "memory.usage_in_bytes").write_text("1024\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "membership").write_text("4:memory:/job\n1:cpu:/job\n")
    assert memory._cgroup_limits(tmp_path, tmp_path / "membership") == [(2048, 1024)]


def test_a_machine_without_cgroups_has_no_such_limit(tmp_path):
    assert memory._cgroup_limits(tmp_path, tmp_path / "absent") == []
