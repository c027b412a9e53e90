from tunewright.models import available


def test_the_containers_limit_holds_where_it_is_less(tmp_path, monkeypatch):
    group = tmp_path / "a" / "b"
    group.mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("1000000\n")
    (tmp_path / "a" / "memory.current").write_text("700000\n")
    (tmp_path / "a" / "memory.stat").write_text("anon 100\ninactive_file 200000\n")
    (group / "memory.max").write_text("max\n")
    (tmp_path / "membership").write_text("0::/a/b\n")
    limits = available._cgroup_limits(tmp_path, tmp_path / "membership")
    assert limits == [(1_000_000, 500_000)]
    monkeypatch.setattr(available, "_cgroup_limits", lambda: limits)
    assert available.available_bytes() == 500_000


def test_the_older_cgroups_are_read_too(tmp_path):
    group = tmp_path / "memory" / "job"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("2048\n")
    (group / "memory.usage_in_bytes").write_text("1024\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "membership").write_text("4:memory:/job\n1:cpu:/job\n")
    assert available._cgroup_limits(tmp_path, tmp_path / "membership") == [(2048, 1024)]


def test_a_machine_without_cgroups_has_no_such_limit(tmp_path):
    assert available._cgroup_limits(tmp_path, tmp_path / "absent") == []
