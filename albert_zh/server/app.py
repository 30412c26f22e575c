"""``create_app``: models as an ASGI application, for whichever server runs it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from albert_zh.files import InputError
from albert_zh.server.limits import Limits

if TYPE_CHECKING:
    from albert_zh.opened import OpenModel

#: What the server needs beyond the models.
PACKAGES = ("fastapi", "fastapi_offline", "uvicorn")


def require_packages() -> None:
    """Raises InputError when a package of the server is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the server needs {', '.join(missing)}, which this Python lacks. In the checkout run: "
            "pip install -e '.[serve]'"
        )


def create_app(
    models: Iterable[str | os.PathLike[str] | OpenModel], limits: Limits | None = None
) -> Callable[..., Awaitable[None]]:
    """The ASGI application that answers for models; each is loaded and asked once before this returns.

    Args:
        models: fine-tuned folders, pretrained models, or ones that are open; one name means one model.
        limits: what a request may ask; left out, the defaults of ``Limits``.

    Raises:
        InputError: a model cannot be opened, or a package is missing.
    """
    require_packages()
    from albert_zh.server.routes import application
    from albert_zh.server.service import Service

    service = Service(limits or Limits())
    service.load([models] if isinstance(models, (str, os.PathLike)) else models)
    return application(service)
