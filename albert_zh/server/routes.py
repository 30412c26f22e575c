"""The paths of the server: one for each row of ABILITIES, and those about the server itself."""
# No "from __future__ import annotations" here: the framework reads the types of each path's function, made in a loop.

import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from albert_zh.server.abilities import ABILITIES, Ability
from albert_zh.server.guard import Guard, failure, problem
from albert_zh.server.limits import Refused
from albert_zh.server.messages import Answers, ErrorAnswer, Health, ModelInfo, Models
from albert_zh.server.service import Service

DOCS = "/docs"
_PAGE = Path(__file__).with_name("page")
_PAGE_FILES = {
    "/": "index.html",
    "/page.js": "page.js",
    "/words.js": "words.js",
    "/style.css": "style.css",
    "/icon.svg": "icon.svg",
}
#: What any ability may answer instead, for the OpenAPI page.
_PROBLEMS = {
    400: "the body is not JSON",
    404: "no such model, or none that can",
    413: "the body is too large",
    415: "the body is not declared as JSON",
    422: "a field is wrong, empty, too long or too many",
    503: "busy, loading or stopping; Retry-After says when to come again",
    504: "no answer in time",
}


def application(service: Service) -> Guard:
    """The ASGI application of a service."""
    app = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        title="albert-zh",
        version="1",
        description="Answers of Chinese ALBERT models. Offsets are counted in Unicode code points.",
        openapi_url="/openapi.json",
        redirect_slashes=False,
        swagger_ui_parameters={"validatorUrl": None},  # an address of others, which would be told of this server
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Exception, _failed)
    for ability in ABILITIES:
        _add(app, ability, service)
    _add_about(app, service)
    _add_page(app)
    computed = frozenset(ability.path for ability in ABILITIES)
    paths = computed | {*_PAGE_FILES, DOCS, "/openapi.json", "/v1/models", "/health", "/metrics"}
    return Guard(app, service, paths, computed, DOCS)


def _add(app: FastAPI, ability: Ability, service: Service) -> None:
    async def endpoint(body: ability.request, request: Request) -> Answers[ability.answer]:
        model, answers = await service.answer(ability, body)
        spent = (time.monotonic() - request.scope["state"]["started"]) * 1000
        return JSONResponse({"model": model, "milliseconds": round(spent, 2), "answers": answers})

    app.post(
        ability.path,
        summary=ability.summary,
        description=f"A model that answers this comes from: {ability.needs}",
        operation_id=ability.name.replace("-", "_"),
        response_model=Answers[ability.answer],
        responses={status: {"model": ErrorAnswer, "description": text} for status, text in _PROBLEMS.items()},
    )(endpoint)


def _add_about(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", summary="The loaded models and what each can do")
    async def models() -> Models:
        limits = service.limits
        return Models.model_validate(
            {
                "models": [about(served) for served in service.models.values()],
                "limits": {"body_bytes": limits.body_bytes, "characters": limits.characters, "texts": limits.texts},
            }
        )

    def about(served: Any) -> ModelInfo:
        task = served.opened.task
        return ModelInfo(
            name=served.name,
            task=task.name if task else None,
            kind=task.kind if task else "pretrained",
            abilities=list(served.abilities),
            labels=list(task.labels) if task else [],
            label_names=list(served.opened.label_names),
            max_seq_length=served.opened.max_seq_length,
        )

    @app.get("/health", summary="Whether requests are answered", responses={503: {"model": Health}})
    async def health(response: Response) -> Health:
        if service.state != "ready":
            response.status_code = 503
            response.headers["Retry-After"] = "1"
        return Health(status=service.state)

    app.add_api_route("/health", health, methods=["HEAD"], include_in_schema=False)  # as monitors ask

    @app.get("/metrics", summary="Counts in the text format of Prometheus", response_class=Response)
    async def metrics() -> Response:
        text = service.metrics.text(service.waiting(), service.state)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    def add(path: str, file: str) -> None:
        @app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)
        async def page() -> FileResponse:
            return FileResponse(_PAGE / file, headers={"Cache-Control": "no-cache"})

    for path, file in _PAGE_FILES.items():
        add(path, file)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals


async def _refused(request: Request, refused: Refused) -> Response:
    return Response(problem(refused), refused.status, dict(refused.headers), "application/json")


async def _failed(request: Request, error: Exception) -> Response:
    return await _refused(request, failure())  # the error goes on to the guard, which logs it


async def _http(request: Request, error: HTTPException) -> Response:
    said = {
        400: "The body is not JSON. Send one JSON object, in UTF-8.",
        404: f"No such path. The paths are listed at {DOCS}.",
        405: f"This path does not take {request.method}.",
    }
    message = said.get(error.status_code, str(error.detail))
    return await _refused(request, Refused(error.status_code, message, headers=error.headers or {}))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return await _refused(request, Refused(415, "Send the body as JSON, with Content-Type: application/json."))
    first = error.errors()[0]
    if first["type"] == "missing" and first["loc"] == ("body",):
        return await _refused(request, Refused(422, "The body is empty. Send one JSON object."))
    if first["type"] == "json_invalid":
        message = f"The body is not JSON ({first.get('ctx', {}).get('error', 'cannot be read')}). Fix it."
        return await _refused(request, Refused(400, message))
    field = ""
    for part in first["loc"][1:]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    return await _refused(request, Refused(422, f"{first['msg']}.", _shown(field) or None))


def _shown(field: str) -> str:
    """A field's name as it may be sent back: a user's own key could hold anything, at any length."""
    return field[:100].encode("ascii", "backslashreplace").decode()
