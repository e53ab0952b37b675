"""Messages as lines, and lines that are none."""

import json

import pytest

from vlmgate.protocol import EVENTS, GarbageError, decode, decode_event, encode


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"event": "stage", "arm": "int8", "stage": "loading"},
        {
            "event": "arm",
            "arm": "fp32",
            "data": {"captions": ["a red cube,\na new line", "\u2028 ü \udcff"], "seconds": [0.1, 1e-9]},
        },
        {"version": 1, "do": "block", "threads": 2, "image_size": None},
    ],
)
def test_a_message_is_one_line_and_comes_back(message: dict[str, object]) -> None:
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"Loading weights: 100%", b'{"event": "don', b"\xff\xfe{}", b"[1]", b'"done"', b"3", b"null"]
)
def test_what_is_no_object_is_garbage(line: bytes) -> None:
    with pytest.raises(GarbageError):
        decode(line)


def test_garbage_is_quoted_but_not_at_length() -> None:
    with pytest.raises(GarbageError, match="Loading weights") as caught:
        decode(b"Loading weights " + b"=" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_an_event_needs_all_its_fields(event: str) -> None:
    whole = {"event": event} | dict.fromkeys(EVENTS[event], "x")
    assert decode_event(encode(whole)) == whole
    for name in EVENTS[event]:
        with pytest.raises(GarbageError):
            decode_event(encode({key: value for key, value in whole.items() if key != name}))


@pytest.mark.parametrize("line", [b"{}", b'{"event": "dance"}', b'{"event": ["stage"]}', b'{"event": {}}', b'{"event": null}'])
def test_an_object_that_is_no_event_is_garbage(line: bytes) -> None:
    assert isinstance(json.loads(line), dict)
    with pytest.raises(GarbageError):
        decode_event(line)
