"""The rows of chat: the log that sockets only show, and its people; import them from here."""

from apps.chat.models.conversations import Conversation as Conversation
from apps.chat.models.conversations import Membership as Membership
from apps.chat.models.messages import Attachment as Attachment
from apps.chat.models.messages import Edit as Edit
from apps.chat.models.messages import Message as Message
from apps.chat.models.messages import Reaction as Reaction
from apps.chat.models.messages import SearchRow as SearchRow
from apps.chat.models.people import Ban as Ban
from apps.chat.models.people import FanMemory as FanMemory
from apps.chat.models.people import Talker as Talker
from apps.chat.models.replies import Reply as Reply
from apps.chat.models.replies import ReplyQuerySet as ReplyQuerySet
from apps.chat.models.replies import ReplyVersion as ReplyVersion
