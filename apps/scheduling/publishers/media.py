"""Pictures and videos as publishers get them, and whether they fit into one post of a network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import regex

MP4 = frozenset({"video/mp4"})
MP4_AND_MOV = frozenset({"video/mp4", "video/quicktime"})


@dataclass(frozen=True, kw_only=True)
class VideoLimits:
    """Which videos fit into one post; times in seconds, None means that the network sets no limit.

    `beside_pictures`: pictures and videos may be in one post, counted together.
    """

    most: int = 1
    types: frozenset[str] = MP4_AND_MOV
    bytes: int | None = None
    shortest: float = 0.0
    longest: float | None = None
    beside_pictures: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What fits into one post; None and an empty set mean that the network sets no such limit."""

    characters: int | None = None
    bytes: int | None = None
    images: int = 0
    image_bytes: int | None = None
    image_types: frozenset[str] = frozenset()
    alt_characters: int | None = None
    # None: it takes no video.
    video: VideoLimits | None = None


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """One media file of a post; `open` begins to read it when the network wants it."""

    name: str
    mime: str
    size: int
    width: int
    height: int
    alt: str
    sha256: str
    url: str
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)
    # Seconds; 0 for a picture.
    duration: float = 0.0

    @property
    def is_video(self) -> bool:
        return self.mime.startswith("video/")

    @property
    def extension(self) -> str:
        """How a file of this kind is named, without the dot."""
        return {"video/quicktime": "mov"}.get(self.mime, self.mime.partition("/")[2])

    def read(self) -> bytes:
        """All of it, for pictures: a video is read piece by piece."""
        with self.open() as file:
            return file.read()

    def piece(self, start: int, size: int) -> bytes:
        """So many bytes from there; fewer at the end."""
        with self.open() as file:
            file.seek(start)
            return file.read(size)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a post does not fit a network: the field it lies in, a stable code, words for people."""

    field: str
    code: str
    message: str


def graphemes(text: str) -> int:
    """How many characters a reader sees (extended grapheme clusters, Unicode UAX #29)."""
    return len(regex.findall(r"\X", text))


def media_problems(label: str, attachments: Sequence[Attachment], limits: Limits) -> list[Problem]:
    """What of these pictures and videos does not fit."""
    videos = [each for each in attachments if each.is_video]
    pictures = len(attachments) - len(videos)
    said: list[tuple[str, str]] = []
    if pictures > limits.images:
        words = f"{label} takes {limits.images} images; these are {pictures}."
        said.append(("too_many_media", words))
    if videos and limits.video is None:
        said.append(("no_video", f"{label} takes no videos from here."))
    elif videos and limits.video:
        most, together = limits.video.most, limits.video.beside_pictures
        if len(videos) > most:
            words = f"{label} takes {most} video{'s' * (most > 1)}; these are {len(videos)}."
            said.append(("too_many_media", words))
        if pictures and not together:
            said.append(("media_mixed", f"{label} takes pictures or a video, not both."))
        elif pictures and len(attachments) > max(limits.images, most):
            words = f"{label} takes {max(limits.images, most)} pictures and videos together."
            said.append(("too_many_media", words))
    for each in attachments:
        if each.is_video and limits.video:
            said += _video_problems(label, each, limits.video)
        elif not each.is_video:
            said += _image_problems(label, each, limits)
        most_alt = limits.alt_characters
        if most_alt is not None and (length := graphemes(each.alt)) > most_alt:
            words = f"{label} takes {most_alt:,} characters of description; {each.name} has"
            said.append(("alt_too_long", f"{words} {length:,}."))
    return [Problem(field="media", code=code, message=words) for code, words in said]


def _image_problems(label: str, each: Attachment, limits: Limits) -> Iterator[tuple[str, str]]:
    if limits.image_types and each.mime not in limits.image_types:
        kinds = ", ".join(sorted(limits.image_types))
        yield "media_type", f"{label} takes {kinds}; {each.name} is {each.mime}."
    if limits.image_bytes is not None and each.size > limits.image_bytes:
        words = f"{label} takes {limits.image_bytes:,} bytes per image; {each.name} has"
        yield "media_too_large", f"{words} {each.size:,}."


def _video_problems(label: str, each: Attachment, limits: VideoLimits) -> Iterator[tuple[str, str]]:
    if each.mime not in limits.types:
        kinds = ", ".join(sorted(limits.types))
        yield "media_type", f"{label} takes {kinds}; {each.name} is {each.mime}."
    if limits.bytes is not None and each.size > limits.bytes:
        words = f"{label} takes {limits.bytes:,} bytes per video; {each.name} has"
        yield "media_too_large", f"{words} {each.size:,}."
    if each.duration < limits.shortest:
        words = f"{label} takes videos from {limits.shortest:g} seconds on; {each.name} has"
        yield "video_too_short", f"{words} {each.duration:.1f}."
    if limits.longest is not None and each.duration > limits.longest:
        words = f"{label} takes videos of {limits.longest:,g} seconds; {each.name} has"
        yield "video_too_long", f"{words} {each.duration:,.1f}."
