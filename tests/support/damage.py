"""Damage of stored files, as a failing disk, a killed process or a careless person leaves it."""

from pathlib import Path

from hypothesis import strategies as st

KINDS = ("cut", "emptied", "flipped", "zeroed", "replaced", "deleted")


def damage_file(path: Path, kind: str, position: float = 0.5) -> None:
    """Damage a file that is not empty; `position` (0–1) is the place of the first wrong byte."""
    body = bytearray(path.read_bytes())
    place = min(int(position * len(body)), len(body) - 1)
    if kind == "deleted":
        path.unlink()
        return
    if kind == "cut":
        body = body[:place]
    elif kind == "emptied":
        body = bytearray()
    elif kind == "flipped":
        body[place] ^= 0x01
    elif kind == "zeroed":
        body[place:] = bytes(max(len(body) - place, 1))
        body[place] = 0 if path.read_bytes()[place] else 1
    else:
        body = bytearray(b"something else\n")
    path.write_bytes(body)


damages = st.tuples(st.sampled_from(KINDS), st.floats(0, 1))
