"""The committed vectors catch arithmetic mistakes that are injected into the kernels, one after the other."""

import mutations
import pytest

IDS = [mutation.mistake for mutation in mutations.MUTATIONS]


def test_there_are_enough_and_each_is_one_of_its_kind():
    assert len(mutations.MUTATIONS) >= 40
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=IDS)
def test_the_mistake_is_caught(mutation):
    assert mutations.caught_by(mutation, mutation.suites), f"no vector notices: {mutation.mistake}"


def test_without_a_mistake_nothing_is_caught():
    suites = tuple(sorted({suite for mutation in mutations.MUTATIONS for suite in mutation.suites}))
    assert mutations.caught_by(None, suites) == []


def test_the_report_is_current():
    written = (mutations.VECTORS / "MUTATIONS.md").read_text()
    assert f"{len(mutations.MUTATIONS)} mistakes, {len(mutations.MUTATIONS)} caught" in written
    assert all(f"| {name} |" in written for name in IDS)


def test_a_piece_that_is_not_in_the_source_is_an_error():
    lost = mutations.Mutation("lost", "gemm", "no such line", "", ())
    with pytest.raises(ValueError, match="found 0 times"):
        mutations.mutated(lost)
