"""Random and damaged bytes: every reader answers with a dataset or with an error of Vigie, never with another one."""

import gzip
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.data.ingest.loading import load, load_preview
from core.errors import VigieError

TABLE = pd.DataFrame(
    {
        "date": pd.date_range("2024-01-01", periods=30).strftime("%d/%m/%Y %H:%M"),
        "site": ["Nord", "Sud"] * 15,
        "load (MW)": np.round(np.linspace(1, 2000, 30), 2),
    }
)


def _make_files() -> dict[str, bytes]:
    text = TABLE.to_csv(index=False, sep=";", decimal=",").encode()
    parquet, workbook, arrays, window, archive = (io.BytesIO() for _ in range(5))
    TABLE.to_parquet(parquet)
    TABLE.to_excel(workbook, index=False)
    np.savez(arrays, train=np.random.default_rng(0).random((40, 3)))
    torch.save({"value": np.ones((20, 1, 3, 1)), "label": np.zeros((20, 1, 1)), "ts": np.ones((20, 1, 1))}, window)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("table.csv", text)
    return {
        "csv": text,
        "json": json.dumps(TABLE.to_dict("records")).encode(),
        "parquet": parquet.getvalue(),
        "xlsx": workbook.getvalue(),
        "npz": arrays.getvalue(),
        "seq": window.getvalue(),
        "gz": gzip.compress(text),
        "zip": archive.getvalue(),
        "txt": "\n".join(" ".join(["7", *map(str, range(96))]) for _ in range(5)).encode(),
    }


FILES = _make_files()


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a part of a file with some bytes replaced, removed or repeated."""
    damaged = bytearray(content)
    for _ in range(draw(st.integers(0, 6))):
        position = draw(st.integers(0, max(len(damaged) - 1, 0)))
        piece = draw(st.binary(max_size=4))
        damaged[position : position + draw(st.integers(0, 8))] = piece
    end = draw(st.just(len(damaged)) | st.integers(0, len(damaged)))
    return bytes(damaged[:end])


@pytest.mark.parametrize("ending", FILES)
@given(data=st.data())
def test_damaged_file_gives_dataset_or_error_of_vigie(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    path = tmp_path / f"file.{ending}"
    path.write_bytes(data.draw(damaged_bytes(FILES[ending])))
    for read in (load, load_preview):
        with suppress(VigieError):
            read([path])


@given(st.binary(max_size=2000), st.sampled_from(list(FILES)))
def test_random_bytes_give_dataset_or_error_of_vigie(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"file.{ending}"
    path.write_bytes(content)
    with suppress(VigieError):
        load([path])
