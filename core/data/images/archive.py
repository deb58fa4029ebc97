"""Reader of pictures in zip archives and folders; the folders around them name their classes and parts."""

import os
import threading
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from core.data.images.class_folders import MASK_FOLDER, infer_folder_labels, is_mask, split_folders
from core.data.images.decoding import MAGIC_BYTES, MAX_PICTURE_BYTES, PICTURE_FORMATS, PICTURE_SUFFIXES, is_picture
from core.data.images.image_block import MAX_BYTES, MAX_IMAGES, ImageBlock, shorten_names
from core.data.images.pictures import PictureFile, read_pictures
from core.data.ingest.archives import ARCHIVE_ERRORS, Budget, build_size_error, translate_archive_errors
from core.data.ingest.files import natural_sort_key
from core.data.ingest.readers.base import ProgressCallback
from core.errors import UnreadableFileError
from core.messages import N_, Message

ARCHIVE_SUFFIXES = {".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar"}
ENCRYPTED_FLAG = 0x1  # of a member of a zip archive
MAX_FILES = 2 * MAX_IMAGES  # of an archive or folder: each picture may have a text beside it


def read_picture_zip(path: Path, name: str, progress: ProgressCallback) -> ImageBlock:
    """Read the pictures in a zip archive. The names in it are names only; nothing is unpacked to disk.

    Raises UnreadableFileError for a damaged or encrypted archive, one beyond the limits, and one without pictures.
    """
    with translate_archive_errors(name), zipfile.ZipFile(path) as archive:
        members = {_clean_name(info.filename): info for info in archive.infolist() if not info.is_dir()}
        _check_file_count(len(members), name)
        if any(info.flag_bits & ENCRYPTED_FLAG for info in members.values()):
            raise UnreadableFileError(N_("{file}: the archive is encrypted. Give one without a password."), file=name)
        limit = Budget.from_file(path, MAX_BYTES).remaining_bytes
        if sum(info.file_size for info in members.values()) > limit:  # no member is read beyond its declared size
            raise build_size_error(name, limit)
        lock = threading.Lock()  # an archive is no safe source for several threads
        files = {
            member: PictureFile(member, partial(_read_member, archive, info, lock)) for member, info in members.items()
        }
        return _read_block(files, lambda member: _read_head(archive, members[member]), name, progress, [])


def read_picture_folder(path: Path, name: str, progress: ProgressCallback) -> ImageBlock:
    """Read the pictures in a folder and the folders below it. Links that lead out of it are not followed.

    Raises UnreadableFileError beyond the limits and for a folder without pictures.
    """
    paths, link_count = list_folder(path, name)
    notes = []
    if link_count:
        template = N_(
            "{file}: {count} link to another folder was not followed.",
            "{file}: {count} links to other folders were not followed.",
        )
        notes.append(Message(template, {"file": name, "count": link_count}))
    files = {member: make_picture_file(place, member) for member, place in paths.items()}
    return _read_block(files, lambda member: read_head(paths[member]), name, progress, notes)


def make_picture_file(path: Path, name: str) -> PictureFile:
    """Return a picture that was given by itself; its bytes are read later."""
    return PictureFile(name, partial(_read_file, path, name))


def list_folder(path: Path, name: str) -> tuple[dict[str, Path], int]:
    """Return the files in a folder by their path in it, and the number of links that are not followed."""
    paths: dict[str, Path] = {}
    link_count = 0
    for folder, folder_names, file_names in os.walk(path):
        link_count += sum((Path(folder) / folder_name).is_symlink() for folder_name in folder_names)
        for file_name in file_names:
            file_path = Path(folder) / file_name
            if file_path.is_symlink() and not file_path.resolve().is_relative_to(path.resolve()):
                link_count += 1
            elif file_path.is_file():  # no pipe or device
                paths[_clean_name(file_path.relative_to(path).as_posix())] = file_path
        _check_file_count(len(paths), name)
    return paths, link_count


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file; none of a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAGIC_BYTES)
    except OSError:
        return b""


def _read_block(
    files: dict[str, PictureFile],
    read_member_head: Callable[[str], bytes],
    name: str,
    progress: ProgressCallback,
    notes: list[Message],
) -> ImageBlock:
    """Read the pictures among `files`; masks, nested archives and other files are named in notes."""
    visible = [member for member in sorted(files, key=natural_sort_key) if not _is_hidden(member)]
    masks = [member for member in visible if is_mask(member)]
    pictures: list[str] = []
    others: list[str] = []
    for member in visible:
        if not is_mask(member):
            is_chosen = Path(member).suffix.lower() in PICTURE_SUFFIXES or is_picture(read_member_head(member))
            (pictures if is_chosen else others).append(member)
    notes = [*notes, *_describe_others(masks, others, name)]
    if not pictures:
        raise UnreadableFileError(
            N_("{file}: it contains no image. Found: {value}. Accepted images: {accepted}."),
            file=name,
            value=shorten_names(visible) or "–",
            accepted=", ".join(PICTURE_FORMATS),
        )
    pixels, positions, picture_notes = read_pictures([files[member] for member in pictures], name, progress)
    labels = infer_folder_labels(pictures)
    image_names = [pictures[position] for position in positions]
    return ImageBlock(
        name, pixels, image_names, labels.class_names[positions], labels.parts[positions], (*notes, *picture_notes)
    )


def _is_hidden(member: str) -> bool:
    """Tell whether a file is hidden, or an addition of macOS."""
    return any(part.startswith(".") or part == "__MACOSX" for part in [*split_folders(member), Path(member).name])


def _describe_others(masks: Sequence[str], others: Sequence[str], file: str) -> list[Message]:
    archives = [member for member in others if Path(member).suffix.lower() in ARCHIVE_SUFFIXES]
    texts = [member for member in others if member not in {*archives}]
    templates = (
        (
            masks,
            N_(
                "{file}: {count} mask in folders {folder} was left out.",
                "{file}: {count} masks in folders {folder} were left out.",
            ),
        ),
        (
            archives,
            N_(
                "{file}: {count} archive in it was not opened: {names}.",
                "{file}: {count} archives in it were not opened: {names}.",
            ),
        ),
        (
            texts,
            N_(
                "{file}: {count} file that is not an image was left out: {names}.",
                "{file}: {count} files that are not images were left out: {names}.",
            ),
        ),
    )
    return [
        Message(template, {"file": file, "count": len(members), "folder": MASK_FOLDER, "names": shorten_names(members)})
        for members, template in templates
        if members
    ]


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock) -> bytes:
    """Return the bytes of a member. Raises UnreadableFileError for a damaged or too large one."""
    _check_picture_bytes(info.file_size, info.filename)
    with translate_archive_errors(info.filename), lock:
        return archive.read(info)


def _read_head(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the first bytes of a member; none of a damaged one."""
    try:
        with archive.open(info) as file:
            return file.read(MAGIC_BYTES)
    except ARCHIVE_ERRORS:
        return b""


def _read_file(path: Path, name: str) -> bytes:
    """Return the bytes of a file. Raises UnreadableFileError if it cannot be read or is too large."""
    try:
        _check_picture_bytes(path.stat().st_size, name)
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(
            N_("{file}: the file could not be opened ({reason})."), file=name, reason=error.strerror or str(error)
        ) from error


def _check_picture_bytes(byte_count: int, name: str) -> None:
    if byte_count > MAX_PICTURE_BYTES:
        raise UnreadableFileError(
            N_("{file}: the image takes {count} MB. At most {limit} MB are accepted."),
            file=name,
            count=byte_count // 10**6,
            limit=MAX_PICTURE_BYTES // 10**6,
        )


def _check_file_count(count: int, name: str) -> None:
    if count > MAX_FILES:
        raise UnreadableFileError(
            N_("{file}: it contains more than {accepted} files. At most {limit} images are accepted."),
            file=name,
            accepted=MAX_FILES,
            limit=MAX_IMAGES,
        )


def _clean_name(name: str) -> str:
    """Return a name that can be stored and shown: valid Unicode without control characters."""
    text = name.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else "�" for letter in text)
