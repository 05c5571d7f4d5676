"""Requests to the API server, by the official client's own transport.

Objects are plain dicts in both directions: the typed models of the official client cost seven
times the parsing, and refuse fields that they do not know.
"""

import json
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from prometheus_client import Counter

from ondol import __version__
from ondol.cluster.kinds import Kind

FIELD_MANAGER = "ondol"
OWN_MANIFEST = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Ignore")]
"""Manifests of ours are checked by the tests with strict validation, not once more by the API
server for each write: a tenth of its CPU for an apply."""
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TIMEOUT_SECONDS = 30
PAGE = 500
CONNECTIONS = 32

REQUESTS = Counter(
    "ondol_api_requests", "Requests to the API server.", ["verb", "kind", "code"]
)  # exported as ondol_api_requests_total

Object = dict[str, Any]


class ApiError(Exception):
    """An answer of the API server that is not a success.

    Attributes
    ----------
    status
        HTTP status; 0 when there was no answer.
    reason
        Kubernetes' word for it, such as Conflict or Invalid.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def is_permanent(self) -> bool:
        """Whether the same request will be refused again: the user has to change something."""
        return self.status in (
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        )


class Client:
    """The verbs that the operator uses. Nothing is retried here: the queue does that."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls, kubeconfig: str | None) -> "Client":
        """Connect with a kubeconfig file, or as the pod's service account when None.

        Raises
        ------
        kubernetes.aio.config.ConfigException
            When there are no usable credentials.
        """
        configuration = Configuration()
        configuration.connection_pool_maxsize = CONNECTIONS
        # Else two threads are asked for .netrc and proxies before each request; a proxy for the
        # API server comes from the configuration itself.
        configuration.client_session_kwargs = {"trust_env": False}
        if kubeconfig:
            await config.load_kube_config(kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
        api = ApiClient(configuration)
        api.user_agent = f"ondol/{__version__}"
        return cls(api)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Read one object; None when it does not exist.

        Raises
        ------
        ApiError
            For every other failure; so do all methods below.
        """
        try:
            return await self._request("GET", kind, kind.path(namespace, name))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def list_all(self, kind: Kind, namespace: str | None, selector: str) -> list[Object]:
        """Read all objects of a kind, in pages."""
        items: list[Object] = []
        query: list[tuple[str, str]] = [("limit", str(PAGE))]
        if selector:
            query.append(("labelSelector", selector))
        token = ""
        while True:
            page = query + ([("continue", token)] if token else [])
            answer = await self._request("GET", kind, kind.path(namespace), query=page)
            for item in answer["items"]:
                item.setdefault("apiVersion", kind.api_version)
                item.setdefault("kind", kind.name)
            items += answer["items"]
            token = answer["metadata"].get("continue", "")
            if not token:
                return items

    async def create(self, kind: Kind, manifest: Object) -> Object:
        """Create an object that must not exist yet."""
        path = kind.path(manifest["metadata"]["namespace"])
        return await self._request("POST", kind, path, body=manifest, query=OWN_MANIFEST)

    async def apply(
        self, kind: Kind, manifest: Object, *, force: bool, subresource: str = ""
    ) -> Object:
        """Apply on the server. Without `force` a field of another manager is a Conflict."""
        meta = manifest["metadata"]
        path = kind.path(meta["namespace"], meta["name"], subresource)
        query = [*OWN_MANIFEST, ("force", "true" if force else "false")]
        return await self._request(
            "PATCH", kind, path, body=manifest, query=query, content_type=APPLY
        )

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        """Change some fields of an object that others own."""
        query = [("fieldManager", FIELD_MANAGER)]
        path = kind.path(namespace, name)
        return await self._request("PATCH", kind, path, body=patch, query=query, content_type=MERGE)

    async def replace(self, kind: Kind, manifest: Object) -> Object:
        """Replace an object if nobody changed it since it was read."""
        meta = manifest["metadata"]
        return await self._request(
            "PUT", kind, kind.path(meta["namespace"], meta["name"]), body=manifest
        )

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete an object if it is still the one with this UID."""
        body = {"preconditions": {"uid": uid}}
        try:
            await self._request("DELETE", kind, kind.path(namespace, name), body=body)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def _request(
        self,
        method: str,
        kind: Kind,
        path: str,
        *,
        body: Object | None = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = await self._api.param_serialize(
            method, path, query_params=query, header_params=headers, auth_settings=["BearerToken"]
        )
        _method, url, header_params, _body, _post = request
        try:
            response = await self._api.call_api(
                method, url, header_params, body, _request_timeout=TIMEOUT_SECONDS
            )
            data: bytes = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            REQUESTS.labels(method, kind.name, "0").inc()
            raise ApiError(0, "Unreachable", f"API server: {error!r}") from error
        REQUESTS.labels(method, kind.name, str(response.status)).inc()
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise _error(response.status, data)
        answer: Object = json.loads(data)
        return answer


def _error(status: int, data: bytes) -> ApiError:
    """Read the API server's Status object, or whatever else came."""
    try:
        answer = json.loads(data)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except ValueError:
        return ApiError(status, HTTPStatus(status).phrase, data[:200].decode(errors="replace"))
