"""A Kubernetes API server as the control plane reads it: objects as JSON, watches as they come, failures by name.

The official client brings what differs between clusters: addresses, certificates, tokens and plugins of a kubeconfig or
of a pod. Its classes of objects are not used: what is read goes through the same door as a folder's YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

CONNECT_S = 10.0
CONNECTIONS = 64
"""Each kind's watch has one; the client's own limit of ten would have it tell of each that it does not keep."""

_LONGEST = 300

UNREACHABLE = "Unreachable"
UNAUTHORIZED = "Unauthorized"
FORBIDDEN = "Forbidden"
MISSING = "Missing"
EXPIRED = "Expired"
STALE = "Stale"
FAILING = "Failing"
MALFORMED = "Malformed"
CONFLICT = "Conflict"

_BY_CODE = {401: UNAUTHORIZED, 403: FORBIDDEN, 404: MISSING, 409: CONFLICT, 410: EXPIRED}


class ConfigurationMissing(Exception):  # noqa: N818  (it is told to people as it stands)
    """The package `kubernetes` is missing, or there is no configuration for it; the text is for people."""


class ApiError(Exception):
    """The API server did not give what was asked for. `reason` is one of the names above; the text is one line."""

    def __init__(self, reason: str, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.reason = reason
        self.retry_after_s = retry_after_s


def configured(kubeconfig: str | None) -> Any:
    """The official client, as from a pod, or by `kubeconfig` (by default kubectl's).

    Raises:
        ConfigurationMissing: it is not installed, or nothing says where the API server is.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise ConfigurationMissing(
            "the package `kubernetes` is not installed: pip install 'proxyless[kubernetes]'"
        ) from error
    made = client.Configuration()
    made.connection_pool_maxsize = CONNECTIONS
    try:
        if kubeconfig is None:
            try:
                config.load_incluster_config(made)  # type: ignore[no-untyped-call]
                return client.ApiClient(made)
            except config.ConfigException:
                pass
        config.load_kube_config(kubeconfig, client_configuration=made)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise ConfigurationMissing(f"there is no configuration for Kubernetes: {error}") from error
    return client.ApiClient(made)


class ApiServer:
    """Reads, and writes where it is asked to.

    `client` is a `kubernetes.client.ApiClient`; its connections are used by any number of threads.
    """

    def __init__(self, client: Any) -> None:
        self._configuration = client.configuration
        self._pool = client.rest_client.pool_manager
        self.url = str(client.configuration.host).rstrip("/")

    def get(self, path: str, query: Mapping[str, str] | None = None, *, timeout_s: float = 60.0) -> dict[str, Any]:
        """A JSON object.

        Raises:
            ApiError: there was none.
        """
        return self._read(self._open(path, query or {}, timeout_s))

    def _read(self, response: Any) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        try:
            body = response.read()
        except (HTTPError, OSError) as error:
            raise _unreachable(error) from None
        finally:
            response.release_conn()
        return _object(body)

    def send(self, method: str, path: str, body: Mapping[str, Any], *, timeout_s: float = 30.0) -> dict[str, Any]:
        """POST, PUT or PATCH (a JSON merge patch); what the server made of it.

        Raises:
            ApiError: it was not done; CONFLICT where somebody else was first.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        response = self._open(path, {}, timeout_s, method, json.dumps(body).encode(), kind)
        return self._read(response)

    def date(self) -> str:
        """What time it has, as HTTP says it; empty where it does not. Raises ApiError."""
        response = self._open("/version", {}, CONNECT_S)
        response.drain_conn()
        response.release_conn()
        return str(response.headers.get("date", ""))

    def ready(self) -> bool:
        """Whether it says of itself that it has everything it needs: one that begins knows no custom kinds yet."""
        from urllib3.exceptions import HTTPError

        try:
            response = self._open("/readyz", {}, CONNECT_S)
            response.drain_conn()
            response.release_conn()
        except ApiError as error:
            return error.reason == FORBIDDEN  # it may not be asked, so what it answers otherwise must do
        except (HTTPError, OSError):
            return False
        return True

    def watch(self, path: str, query: Mapping[str, str], *, silence_s: float) -> Watch:
        """Opens a watch; `silence_s`: how long nothing at all may come (bookmarks come about once a minute).

        Raises:
            ApiError: it is refused.
        """
        return Watch(self._open(path, {**query, "watch": "1"}, silence_s))

    def _open(
        self, path: str, query: Mapping[str, str], read_s: float, method: str = "GET", body: bytes = b"", kind: str = ""
    ) -> Any:
        import urllib3

        headers = {"accept": "application/json"}
        if kind:
            headers["content-type"] = kind
        for setting in self._configuration.auth_settings().values():  # asked each time: tokens are replaced
            if setting["in"] == "header":
                headers[setting["key"]] = setting["value"]
        basic = getattr(self._configuration, "username", None)
        if basic and "authorization" not in headers:
            headers["authorization"] = self._configuration.get_basic_auth_token()
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=body or None,
                headers=headers,
                preload_content=False,
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=read_s),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _unreachable(error) from None
        if response.status not in (200, 201):
            raise _refused(response)
        return response


class Watch:
    """Events of a watch as they come; over when the server ends it."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises ApiError: the connection broke (Unreachable), nothing came (Stale), or it is no JSON (Malformed)."""
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        rest = b""
        try:
            for chunk in self._response.stream(1 << 16, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield _object(line)
        except ReadTimeoutError:
            raise ApiError(STALE, "nothing came for too long, not even a bookmark") from None
        except (HTTPError, OSError, ValueError, AttributeError) as error:  # the last two: closed by another thread
            if not self._closed:
                raise _unreachable(error) from None
        finally:
            self.close()

    def close(self) -> None:
        """Ends it, from any thread: whoever waits for the next event is woken."""
        self._closed = True
        for name in ("shutdown", "close"):  # the first wakes a reader; older versions of urllib3 have only the second
            try:
                getattr(self._response, name, lambda: None)()
            except (OSError, ValueError, RuntimeError):  # it is over already
                continue


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise ApiError(MALFORMED, "the API server sent what is no JSON") from None
    if not isinstance(value, dict):
        raise ApiError(MALFORMED, "the API server sent what is no object")
    return value


def of_status(value: Mapping[str, Any]) -> ApiError:
    """The error that a `Status` object tells of."""
    code = value.get("code")
    text = " ".join(str(value.get("message") or value.get("reason") or "it gave no reason").split())[:_LONGEST]
    return ApiError(_BY_CODE.get(code if isinstance(code, int) else 0, FAILING), text)


def _refused(response: Any) -> ApiError:
    from urllib3.exceptions import HTTPError

    try:
        body = response.read(1 << 16)
    except (HTTPError, OSError):
        body = b""
    finally:
        response.close()
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    told = isinstance(value, dict) and value.get("kind") == "Status"
    said: dict[str, Any] = value if told else {"message": f"it answered {response.status}"}
    after = response.headers.get("retry-after", "")
    error = of_status({**said, "code": response.status})
    return ApiError(error.reason, str(error), float(after) if after.isdecimal() else 0.0)


def _unreachable(error: Exception) -> ApiError:
    """In the words of the operating system or of TLS, where there are any."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return ApiError(UNREACHABLE, seen.strerror)
        inner = next((each for each in seen.args if isinstance(each, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__
    return ApiError(UNREACHABLE, type(error).__name__)
