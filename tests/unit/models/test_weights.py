import numpy as np
import pytest

from consilium.kernel.errors import InputError
from consilium.models.weights import pack_arrays, read_notes, unpack_arrays


def test_the_same_arrays_give_the_same_bytes_in_any_order() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.float64(3.5)
    one = pack_arrays({"a": a, "b": np.asarray(b)})
    two = pack_arrays({"b": np.asarray(b), "a": np.asfortranarray(a)})
    assert one == two
    back = unpack_arrays(one)
    assert np.array_equal(back["a"], a)
    assert back["b"].shape == ()


def test_a_note_travels_in_the_header() -> None:
    assert read_notes(pack_arrays({}, note="who")) == {"note": "who"}
    assert read_notes(pack_arrays({})) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        b"\xff" * 16,
        b"\x04\x00\x00\x00\x00\x00\x00\x00nope",
        pack_arrays({"a": np.zeros(3)})[:-1],
    ],
)
def test_what_is_no_safetensors_file_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        unpack_arrays(data)
    if len(data) != len(pack_arrays({"a": np.zeros(3)})) - 1:
        with pytest.raises(InputError):
            read_notes(data)
