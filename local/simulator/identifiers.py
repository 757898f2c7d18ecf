"""Make identifiers in Customer.io's formats out of plain numbers, a column at a time."""

import base64
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Column: TypeAlias = "pa.Array[Any]"  # quoted, for the class takes no argument at run time

_CROCKFORD = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype=np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_FIRST_CIO_ID = 0xD9C106000001


def mix(numbers: NDArray[np.integer], salt: int) -> NDArray[np.uint64]:
    """Scatter numbers over 64 bits (splitmix64): one to one for each salt, so that ids never collide."""
    z = numbers.astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def chance(numbers: NDArray[np.integer], salt: int, one_in: int) -> NDArray[np.bool_]:
    """Pick one in so many, always the same ones."""
    picked: NDArray[np.bool_] = mix(numbers, salt) % np.uint64(one_in) == 0
    return picked


def cio_ids(people: NDArray[np.integer], valid: NDArray[np.bool_] | None = None) -> Column:
    """Return cio_ids such as d9c106000001."""
    value = people.astype(np.uint64) + np.uint64(_FIRST_CIO_ID)
    matrix = np.empty((len(people), 12), dtype=np.uint8)
    for place in range(12):
        matrix[:, place] = _HEX[(value >> np.uint64(4 * (11 - place))) & np.uint64(15)]
    return fixed_width(matrix, valid)


def delivery_ids(deliveries: NDArray[np.integer], seed: int, valid: NDArray[np.bool_] | None = None) -> Column:
    """Return URL-safe base64 of 19 bytes, such as ZAIAAVTJVG0QcCok0-0ZKj6yiQ==."""
    raw = np.zeros((len(deliveries), 21), dtype=np.uint8)
    raw[:, :3] = (0x64, 0x02, 0x00)
    raw[:, 3:11] = mix(deliveries, seed).astype(">u8").view(np.uint8).reshape(-1, 8)
    raw[:, 11:19] = mix(deliveries, seed + 1).astype(">u8").view(np.uint8).reshape(-1, 8)
    matrix = np.frombuffer(base64.urlsafe_b64encode(raw.tobytes()), dtype=np.uint8).reshape(-1, 28).copy()
    matrix[:, 26:] = ord("=")  # the two bytes of filling
    return fixed_width(matrix, valid)


def ulids(
    moments: NDArray[np.int64],
    numbers: NDArray[np.integer],
    salt: int,
    valid: NDArray[np.bool_] | None = None,
) -> Column:
    """Return ULIDs: the milliseconds of the moment (in µs), then 80 bits made from the number."""
    matrix = np.empty((len(numbers), 26), dtype=np.uint8)
    milliseconds = moments // 1000
    for place in range(10):
        matrix[:, place] = _CROCKFORD[(milliseconds >> (5 * (9 - place))) & 31]
    high, low = mix(numbers, salt), mix(numbers, salt + 1)
    for place in range(12):
        matrix[:, 10 + place] = _CROCKFORD[(high >> np.uint64(5 * place)) & np.uint64(31)]
    for place in range(4):
        matrix[:, 22 + place] = _CROCKFORD[(low >> np.uint64(5 * place)) & np.uint64(31)]
    return fixed_width(matrix, valid)


def fixed_width(matrix: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> Column:
    """Turn a matrix of characters into a string column without copying it."""
    rows, width = matrix.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets.data), pa.py_buffer(matrix.data), bitmap)
