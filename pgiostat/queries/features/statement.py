"""The features of a statement: those of its blocks, and what they read and write together."""

from dataclasses import fields

from pgiostat.queries.features.command_table import dotted_from, truncated_tables
from pgiostat.queries.features.conditions import note_conditions
from pgiostat.queries.features.main_relation import main_block, main_relation
from pgiostat.queries.features.model import NONE, BlockFeatures, Features, Names
from pgiostat.queries.features.ordering import note_newest, note_order
from pgiostat.queries.features.select_list import note_outputs, note_selected
from pgiostat.queries.features.walk import WORDS, Draft, Walk, is_created, plain
from pgiostat.queries.fingerprint.words import words

__all__ = ["features"]


def features(walk: Walk) -> Features:
    """Return the features of a statement, but for those that only its own text has."""
    if not walk.texts:
        return Features()
    statement, wrapper = _statement(walk)
    drafts = list(walk.drafts.values())
    for draft in drafts:
        note_outputs(walk, draft)
    for draft in drafts:
        _collect(walk, draft)
    for draft in reversed(drafts):
        _inherit(walk, draft)
    blocks = [_finish(draft) for draft in drafts]
    if statement == "copy_to" and not wrapper:
        blocks.append(_copied_columns(walk))
    reads, writes = _tables(walk)
    texts = walk.texts
    conflict = ""
    if "conflict" in texts:
        conflict = "update" if "update" in texts[texts.index("conflict") :] else "nothing"
    return Features(
        statement=statement,
        wrapper=wrapper,
        reads=reads,
        writes=writes,
        main=main_relation(walk),
        calls=frozenset().union(*(block.calls for block in blocks)) | _called(walk),
        on_conflict=conflict,
        returning="returning" in texts,
        blocks=tuple(blocks),
    )


# the statement


def _statement(walk: Walk) -> tuple[str, str]:
    texts = walk.texts
    head = texts[0]
    verb = main_block(walk).verb if walk.found.blocks else ""
    if head == "explain":
        analyze = "analyze" in texts[: walk.found.blocks[0].start if verb else 2]
        return verb or head, "explain_analyze" if analyze else "explain"
    if head == "prepare":
        return verb or head, "prepare"
    if head == "declare":
        return head, head
    if head == "copy":
        query = texts[1:2] == ["("]
        to = query or "to" in texts[: texts.index("from") if "from" in texts else None]
        return "copy_to" if to else "copy_from", "copy" if query else ""
    if head in {"create", "grant"} or not verb:
        return head, ""
    return verb, ""


def _tables(walk: Walk) -> tuple[Names, Names]:
    reads: set[str] = set()
    writes: set[str] = set(truncated_tables(walk))
    for block in walk.found.blocks:
        for table in block.tables:
            name = walk.table_name(table)
            if name and not is_created(block, table):
                (reads if table.clause in {"from", "on"} else writes).add(name)
    if walk.texts[0] == "copy" and walk.texts[1:2] != ["("]:
        (writes if _statement(walk)[0] == "copy_from" else reads).add(_copied(walk))
    return frozenset(reads), frozenset(writes)


def _copied(walk: Walk) -> str:
    return dotted_from(walk, 1)


def _copied_columns(walk: Walk) -> BlockFeatures:
    """Return COPY t (a, b) TO as the query that it is."""
    target = walk.texts[: walk.texts.index("to") if "to" in walk.texts else None]
    start = target.index("(") if "(" in target else len(target)
    listed = zip(walk.kinds[start : len(target)], target[start:], strict=True)
    columns = frozenset(plain(text) for kind, text in listed if kind in WORDS)
    reads = frozenset({_copied(walk)})
    return BlockFeatures(
        verb="select", reads=reads, projects=columns, mentions=columns, star=not columns
    )


def _called(walk: Walk) -> Names:
    return frozenset({dotted_from(walk, 1)}) if walk.texts[0] == "call" else NONE


def _collect(walk: Walk, draft: Draft) -> None:
    for table in draft.block.tables:
        name = walk.table_name(table)
        if name and table.clause in {"from", "on"}:
            draft.add("reads", name)
        elif table.function:
            draft.add("calls", ".".join(map(plain, table.parts)))
    note_selected(walk, draft, draft.clauses.get("select", []))
    if walk.texts[max(draft.block.start - 2, 0) : draft.block.start] == ["exists", "("]:
        # What EXISTS selects is never shown: SELECT 1, SELECT * and SELECT id are the same.
        draft.sets.pop("projects", None)
        draft.star = False
    for clause, positions in draft.clauses.items():
        if clause in {"where", "on", "having"}:
            note_conditions(walk, draft, positions)
        if clause not in _WITHOUT_COLUMNS:
            for column, _, _ in walk.references(draft, positions):
                if clause not in _COUNTS:
                    draft.add("mentions", column.name)
    note_order(walk, draft)
    note_newest(walk, draft)


_WITHOUT_COLUMNS = words("select from into update for fetch")
"""Clauses of which no column is mentioned here.

FOR has strengths of locks and tables: FOR NO KEY UPDATE OF orders SKIP LOCKED. FETCH has words and
a count: FETCH FIRST 5 ROWS WITH TIES. Columns of the select list are noted with what is selected.
"""
_COUNTS = ("limit", "offset")
"""Clauses that may call functions, but mention no column."""


def _inherit(walk: Walk, draft: Draft) -> None:
    """Take what the subqueries of a block are the newest of, under their names for it."""
    for table in draft.block.tables:
        inner = walk.query(table)
        for name in inner.get("newest") if inner else ():
            draft.add("newest", name)


def _finish(draft: Draft) -> BlockFeatures:
    return BlockFeatures(
        verb=draft.block.verb,
        star=draft.star,
        order_by=tuple(draft.order_by),
        order_dir=draft.order_dir,
        limit=draft.limit,
        **{name: draft.get(name) for name in _SETS},
    )


_SETS = tuple(field.name for field in fields(BlockFeatures) if field.default is NONE)
