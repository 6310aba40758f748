"""What TikTok is told of a post before it takes it: photo posts and videos."""

from typing import Any

from apps.scheduling.publishers.base import Attachment, Outgoing

# Between TikTok's 5 MB and what the publishing call, which sends the last one, can carry.
PIECE = 6_000_000


def pieces_of(video: Attachment) -> tuple[int, int]:
    """How large the pieces of a video are, and how many; the last one takes the rest."""
    count = max(1, video.size // PIECE)
    return (PIECE if count > 1 else video.size), count


def video_body_of(outgoing: Outgoing) -> dict[str, Any]:
    """A video as TikTok is told of it before it is sent."""
    size, count = pieces_of(outgoing.attachments[0])
    return {
        "post_info": {
            "title": outgoing.full_text,
            "privacy_level": outgoing.progress["privacy"],
            "disable_comment": outgoing.progress["disable_comment"],
            "is_aigc": outgoing.made_with_ai,
        },
        "source_info": {
            "source": "FILE_UPLOAD",
            "video_size": outgoing.attachments[0].size,
            "chunk_size": size,
            "total_chunk_count": count,
        },
    }


def body_of(outgoing: Outgoing) -> dict[str, Any]:
    """The post as TikTok takes it; the words are its description, and it has no title."""
    return {
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": {
            "description": outgoing.full_text,
            "privacy_level": outgoing.progress["privacy"],
            "disable_comment": outgoing.progress["disable_comment"],
            "auto_add_music": False,
            "is_aigc": outgoing.made_with_ai,
        },
        "source_info": {
            "source": "PULL_FROM_URL",
            "photo_cover_index": 0,
            "photo_images": [each.url for each in outgoing.attachments],
        },
    }
