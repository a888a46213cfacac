"""Reads of relations attributed to statements: what is known, and what is estimated."""

import pytest

from pgiostat.analysis.relation_reads import AttributedReads, attribute


def blocks(found: list[dict[int, AttributedReads]]) -> list[dict[int, float]]:
    return [{key: round(each.blocks) for key, each in of.items()} for of in found]


def test_a_statement_of_one_table_read_its_blocks_there() -> None:
    assert attribute([(70, {1}), (30, {2})], {1: 70, 2: 40}) == [
        {1: AttributedReads(70.0, is_known=True)},
        {2: AttributedReads(30.0, is_known=True)},
    ]


def test_what_others_leave_of_a_table_is_divided() -> None:
    found = attribute([(60, {1}), (50, {1, 2}), (50, {1, 2})], {1: 100, 2: 60})
    assert blocks(found) == [{1: 60}, {1: 20, 2: 30}, {1: 20, 2: 30}]
    assert [of[1].is_known for of in found] == [True, False, False]


def test_the_sums_agree_with_both_counts_where_they_can() -> None:
    statements = [(100, {1, 2}), (200, {2, 3}), (50, {1, 3}), (30, {3})]
    relations = {1: 80, 2: 170, 3: 130}
    found = attribute(statements, relations)
    for (read, _), of in zip(statements, found, strict=True):
        assert sum(each.blocks for each in of.values()) == pytest.approx(read, rel=0.02)
    for key, read in relations.items():
        of_table = sum(of[key].blocks for of in found if key in of)
        assert of_table == pytest.approx(read, rel=0.02)


def test_no_estimate_exceeds_what_is_left_of_a_table() -> None:
    found = attribute([(500, {1, 2}), (10, {1})], {1: 30, 2: 40})
    assert blocks(found) == [{1: 20, 2: 40}, {1: 10}]


def test_without_reads_of_its_tables_an_estimate_is_nothing() -> None:
    assert blocks(attribute([(500, {1, 2}), (0, {1, 3})], {})) == [{1: 0, 2: 0}, {1: 0, 3: 0}]
    assert attribute([], {1: 5}) == []
