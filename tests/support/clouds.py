"""A cloud of our own, over HTTP: moto's, with somebody before it who refuses, or is slow."""

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Thread
from typing import Any
from unittest.mock import patch
from urllib.parse import quote
from urllib.request import Request, urlopen

from boto3.session import Session
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = "eu-west-1"
INSTANCE = (("DBInstanceIdentifier", "db-1"),)
JSON = ("Content-Type", "application/x-amz-json-1.0")

Start = Callable[..., Any]


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own
        """Say nothing."""


@dataclass
class Cloud:
    """What answers.

    asked: how often.  refusals: status and code for the requests to come.  paged: answers come in
    two pages.  heard: requests wait for it.
    """

    app: Any
    asked: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)
    paged: bool = False
    heard: Event = field(default_factory=Event)

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET", "").endswith(".GetMetricData"):
            self.asked += 1
            self.heard.wait(30)
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            if self.refusals:
                return _refused(*self.refusals.pop(0), start)
            if self.paged:
                return self._page(json.loads(body), environ, start)
        answer: Iterable[bytes] = self.app(environ, start)
        return answer

    def _page(self, asked: dict[str, Any], environ: dict[str, Any], start: Start) -> list[bytes]:
        """Return every other point, and the others when it is asked for them."""
        second = asked.pop("NextToken", None) is not None
        body = json.dumps(asked).encode()
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        whole = json.loads(b"".join(self.app(environ, lambda *_: None)))
        for result in whole["MetricDataResults"]:
            for name in ("Timestamps", "Values"):
                result[name] = result[name][second::2]
        whole |= {} if second else {"NextToken": "2"}
        start("200 OK", [JSON])
        return [json.dumps(whole).encode()]

    def tell(
        self,
        metric: str,
        points: dict[datetime, float],
        whose: Iterable[tuple[str, str]] = INSTANCE,
    ) -> None:
        """Let points of a metric be there."""
        dimensions = [{"Name": name, "Value": value} for name, value in whose]
        data = [
            {"MetricName": metric, "Dimensions": dimensions, "Timestamp": when, "Value": value}
            for when, value in points.items()
        ]
        client = Session().client("cloudwatch", region_name=REGION)
        client.put_metric_data(Namespace="AWS/RDS", MetricData=data)


def _refused(status: int, code: str, start: Start) -> list[bytes]:
    start(f"{status} Refused", [JSON, ("x-amzn-query-error", f"{code};Sender")])
    return [json.dumps({"__type": code, "message": f"{code} it is"}).encode()]


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """Yield the address of what answers, to this process and those it starts."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    environment = {
        "AWS_ENDPOINT_URL_CLOUDWATCH": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    try:
        with patch.dict(os.environ, environment):
            reset = Request(f"{url}/moto-api/reset", method="POST")  # noqa: S310 - our own
            urlopen(reset).close()  # noqa: S310
            yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def cloud() -> Iterator[Cloud]:
    """Yield a CloudWatch that this process and those it starts talk to."""
    made = Cloud(DomainDispatcherApplication(create_backend_app))
    made.heard.set()
    with _served(made):
        try:
            yield made
        finally:
            made.heard.set()


@dataclass
class Store:
    """An object store.  down: it refuses all that is asked."""

    app: Any
    url: str = ""
    down: bool = False

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if self.down:
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"no"]
        answer: Iterable[bytes] = self.app(environ, start)
        return answer

    def uri(self, path: str) -> str:
        """Return where a path of it is, bucket first."""
        address = quote(self.url.removeprefix("http://"), safe="")
        return f"s3://{path}?scheme=http&region={REGION}&endpoint_override={address}"


@contextmanager
def store(bucket: str) -> Iterator[Store]:
    """Yield an object store over HTTP with a bucket in it."""
    made = Store(DomainDispatcherApplication(create_backend_app))
    with _served(made) as made.url:
        Session().client("s3", region_name=REGION, endpoint_url=made.url).create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield made
