"""The CSV reader reads what spreadsheets write, and says what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn.data import POSITIVE, TARGET, make_employees
from churn.errors import CategoryError, ColumnError, DataError
from churn.tables import load_csv, load_records, load_table


@pytest.fixture
def table(tmp_path):
    def write(content: bytes):
        path = tmp_path / "table.csv"
        path.write_bytes(content)
        return path

    return write


def test_csv_with_byte_order_mark_crlf_blank_lines_and_quotes(table):
    path = table('\ufeffLeft,age,note\r\nYes,41,"a, b"\r\n\r\nNo ,,None\r\n'.encode())
    features, labels = load_csv(path, "Left", "Yes")
    assert list(features.columns) == ["age", "note"] and labels.tolist() == [True, False]
    assert labels.dtype == np.bool_
    assert features.age[0] == 41 and np.isnan(features.age[1])
    assert features.note.tolist() == ["a, b", "None"]  # "None" is a text, not a missing cell


def test_csv_round_trip(tmp_path):
    employees = make_employees(150, 4)
    employees.to_csv(tmp_path / "e.csv", index=False, encoding="utf-8-sig")
    features, labels = load_csv(str(tmp_path / "e.csv"), TARGET, POSITIVE)
    pd.testing.assert_frame_equal(features, employees.drop(columns=TARGET))
    assert (labels == (employees[TARGET] == POSITIVE)).all()


def test_numeric_labels_are_compared_as_written(table):
    assert load_csv(table(b"y,x\n0,1\n1,2\n"), "y", "1")[1].tolist() == [False, True]


@pytest.mark.parametrize(
    ("content", "target", "positive", "error", "words"),
    [
        (b"", "left", "Yes", DataError, ["is empty"]),
        (b" \n\n", "left", "Yes", DataError, ["is empty"]),
        (b"left,age\n", "left", "Yes", DataError, ["header line only"]),
        (
            b"Attrition,age\nYes,1\nNo,2\n",
            "attrition",
            "Yes",
            ColumnError,
            ["no column 'attrition'", "nearest known name: 'Attrition'", "'age'"],
        ),
        (b"Attrition,age\nYes,1\nNo,2\n", "zzz", "Yes", ColumnError, ["'Attrition', 'age'"]),
        (b"left;age\nYes;1\nNo;2\n", "left", "Yes", ColumnError, ["separated by semicolons"]),
        (
            b"left,age\nYes,1\nNo,2\n",
            "left",
            "yes",
            CategoryError,
            ["'yes' does not occur", "nearest known name: 'Yes'", "'No', 'Yes'"],
        ),
        (b"left,age\nYes,1\nYes,2\n", "left", "Yes", DataError, ["every row", "both labels"]),
        (b"left,age\nYes,1\n,2\n", "left", "Yes", DataError, ["is empty in 1 rows", "row 1"]),
        (b"left,age\nYes,1\nNo,2,3\n", "left", "Yes", DataError, ["line 3", "3 cells", "2 columns"]),
        (b"left,age\nYes,1\nNo\n", "left", "Yes", DataError, ["line 3", "1 cells"]),
        (b'left,age\nYes,1\nNo,"2\n', "left", "Yes", DataError, ["not valid CSV", "quotes"]),
        (b"left,left\nYes,1\n", "left", "Yes", ColumnError, ["more than one column 'left'"]),
        (b"left,\nYes,1\n", "left", "Yes", ColumnError, ["no name for column 2"]),
        (b"left\nYes\nNo\n", "left", "Yes", DataError, ["no column beside the label"]),
        (b"\x89PNG\r\n\x1a\n\x00", "left", "Yes", DataError, ["not UTF-8"]),
        (b"PK\x03\x04\x00\x00", "left", "Yes", DataError, ["zero bytes"]),
        (b'{"left": 1,\n "age": 2}\n', "left", "Yes", DataError, ["line 2", "comma-separated"]),
    ],
)
def test_csv_errors_name_what_was_found(table, content, target, positive, error, words):
    with pytest.raises(error) as caught:
        load_csv(table(content), target, positive)
    assert type(caught.value) is error
    for word in words:
        assert word in str(caught.value)


def test_csv_that_cannot_be_opened(tmp_path):
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            load_csv(path, "left", "Yes")


def test_records_have_labels_if_every_row_does(table):
    for content, wanted in [
        (b"left,age\nYes,1\n No ,2\n", [True, False]),
        (b"left,age\nYes,1\nYes,2\n", [True, True]),  # of one class, or of neither
        (b"left,age\n1,1\nNA,2\n", [False, False]),
        (b"left,age\nYes,1\n,2\n", None),
        (b"age\n1\n2\n", None),
    ]:
        records, labels = load_records(table(content), "left", "Yes")
        assert list(records.columns) == ["age"] and records.age.tolist() == [1, 2]
        assert (None if labels is None else labels.tolist()) == wanted


def test_a_table_as_it_is(table):
    path = table(b"left,age,team\n1,,NA\n,2,\n")
    read = load_table(path)
    assert read.left[0] == 1 and np.isnan(read.left[1]) and np.isnan(read.age[0])
    assert read.team[0] == "NA" and pd.isna(read.team[1])
    assert load_table(path, "left").left.tolist() == ["1", ""], "a label is text"
    with pytest.raises(DataError, match="header line only"):
        load_table(table(b"age\n"))
    with pytest.raises(DataError, match="not UTF-8"):
        load_records(table(b"\xff\n1\n"), "left", "Yes")
