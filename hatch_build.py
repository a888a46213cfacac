"""Metadata of the distributions: README, with links that lead somewhere from any page."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Makes the links of README absolute, in the source of the tag of this version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description of the distributions."""
        source = metadata["urls"]["Source"]
        tag = f"v{metadata['version']}"

        def absolute(link: re.Match[str]) -> str:
            image, text, target = link.groups()
            return f"{image}{text}({source}/{'raw' if image else 'blob'}/{tag}/{target})"

        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        readme = _RELATIVE.sub(absolute, text)
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
