"""The built pages: files of one folder, under headers that let nothing foreign in.

Names of assets carry a digest of their content, so a browser keeps them for
ever. Every other path is the one page, which finds its way by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUNDLE = Path(str(files("consilium.web").joinpath("bundle")))
"""Where a build puts the pages; git holds none of them."""
_ASSETS = "assets/"
_FOR_EVER = "public, max-age=31536000, immutable"
_ALWAYS_ASK = "no-cache"
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_MISSING = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>Consilium 会诊</title></head><body>
<h1>控制台页面尚未构建</h1>
<p>节点运行正常，但此安装不含控制台页面。请安装正式发布的 wheel，
或在源代码目录执行 <code>make web</code> 后刷新本页。</p>
<hr>
<h1 lang="en">The console's pages are not built</h1>
<p lang="en">The node is running, but this installation holds no pages. Install a released wheel,
or run <code>make web</code> in the source folder and load this page again.</p>
</body></html>
"""


class StrictHeaders:
    """Adds the headers to every answer of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = "max-age=31536000"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_strictly)


class Bundle:
    """Serves the built pages of a folder.

    Parameters
    ----------
    folder : Path
        With `index.html` and `assets/`; it may come later.
    """

    def __init__(self, folder: Path = BUNDLE) -> None:
        self._folder = folder.resolve()

    def answer(self, request: Request) -> Response:
        """Give the file that a path names, else the one page.

        Discloses
        ---------
        Files of the bundle alone: the same for everybody.
        """
        name = str(request.path_params["path"])
        found = self._find(name)
        if found is not None and name != "index.html":
            is_kept = name.startswith(_ASSETS)
            return _send(found, _FOR_EVER if is_kept else _ALWAYS_ASK)
        if name.startswith(_ASSETS):
            return Response(status_code=404)
        page = self._find("index.html")
        if page is None:
            return HTMLResponse(_MISSING, status_code=503, headers={"cache-control": "no-store"})
        return _send(page, _ALWAYS_ASK)

    def _find(self, name: str) -> Path | None:
        """Look for a file of the folder; nothing outside it and no hidden file is one."""
        path = (self._folder / name).resolve()
        is_ours = path.is_relative_to(self._folder) and not path.name.startswith(".")
        return path if is_ours and path.is_file() else None


def _send(path: Path, kept: str) -> FileResponse:
    return FileResponse(path, headers={"cache-control": kept})
