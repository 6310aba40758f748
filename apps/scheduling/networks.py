"""The networks this installation can publish to: settings.PUBLISHERS, one object each."""

from apps.core.plugins import Plugins
from apps.scheduling.publishers.base import Publisher

publishers: Plugins[Publisher] = Plugins("PUBLISHERS")
