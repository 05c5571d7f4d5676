"""What the users of the page and of the API get."""

import math

import pytest

from e2e.conftest import NAMES, Page
from e2e.deploy import CHAT_MODEL, EMBEDDING_MODEL, FRONTEND, PROXY
from e2e.kubectl import get, kubectl
from e2e.openwebui import PageError, ask, call
from e2e.proxy import Proxy, Stream

QUESTION = "What is the capital of France?"
CHAT, EMBEDDING = CHAT_MODEL[2], EMBEDDING_MODEL[2]


def test_a_question_in_the_page_is_answered(page: Page) -> None:
    assert "Paris" in ask(page.url, page.token, CHAT, QUESTION)


def test_the_frontends_key_gets_a_plain_answer(chat: Proxy) -> None:
    answer = chat.chat(CHAT, QUESTION)
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["model"] == CHAT
    assert answer["usage"]["completion_tokens"] > 0


def test_the_frontends_key_gets_a_streamed_answer(chat: Proxy) -> None:
    stream = Stream(chat, CHAT, QUESTION)
    stream.finish()
    assert stream.complete, stream.error or stream.lines[-1:]
    assert stream.content_type == "text/event-stream"
    assert "Paris" in stream.text
    assert len(stream.chunks) > 3, "the whole answer came at once"
    usage = stream.chunks[-1]["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_texts_of_the_same_subject_have_near_vectors(embeddings: Proxy) -> None:
    vectors = embeddings.embed(
        EMBEDDING,
        [
            "How many days of holiday do I get?",
            "Employees have 30 days of paid vacation a year.",
            "The node has four GPUs with 80 GB of memory each.",
        ],
    )
    assert [len(vector) for vector in vectors] == [384, 384, 384]
    question, vacation, gpus = vectors
    assert _cosine(question, vacation) > _cosine(question, gpus) + 0.1


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def test_all_ready_models_are_listed_and_no_others(
    master: Proxy, chat: Proxy, embeddings: Proxy, page: Page
) -> None:
    assert master.models() == NAMES
    assert chat.models() == [CHAT]
    assert embeddings.models() == [EMBEDDING]
    assert page.models() == [CHAT]


def test_a_key_reaches_only_its_own_models(chat: Proxy, embeddings: Proxy) -> None:
    with pytest.raises(PageError, match=EMBEDDING) as refused:
        chat.embed(EMBEDDING, ["text"])
    assert refused.value.status == 403
    assert embeddings.refusal(CHAT) == 403


@pytest.mark.parametrize("key", ["", "sk-unknown"])
def test_nobody_gets_in_without_a_known_key(proxy_url: str, key: str) -> None:
    stranger = Proxy(proxy_url, key)
    assert stranger.refusal(CHAT) == 401
    with pytest.raises(PageError) as refused:
        stranger.models()
    assert refused.value.status == 401


def test_nobody_signs_up_or_sees_models_without_an_account(page: Page) -> None:
    body = {"name": "stranger", "email": "stranger@example.com", "password": "a-password-1"}
    with pytest.raises(PageError) as refused:
        call("POST", f"{page.url}/api/v1/auths/signup", body=body)
    assert refused.value.status == 403
    with pytest.raises(PageError) as refused:
        call("GET", f"{page.url}/api/models")
    assert refused.value.status in (401, 403)


def test_addresses_in_the_status_are_those_that_answer_inside_the_cluster() -> None:
    proxy = get("modelproxy", PROXY[2], "-n", PROXY[1])["status"]["url"]
    route = get("proxyroute", CHAT, "-n", CHAT_MODEL[1])["status"]["proxyURL"]
    page = get("chatfrontend", FRONTEND[2], "-n", FRONTEND[1])["status"]["url"]
    assert proxy == route
    in_page = ("-n", FRONTEND[1], f"deployment/{FRONTEND[2]}-ui")
    in_proxy = ("-n", PROXY[1], f"deployment/{PROXY[2]}-proxy")
    assert _status(in_page, f"{proxy}/models") == "401"
    assert _status(in_proxy, f"{page}/health") == "200"


def test_an_engine_answers_the_proxy_and_nobody_else() -> None:
    endpoint = get("modeldeployment", CHAT, "-n", CHAT_MODEL[1])["status"]["endpoint"]
    in_page = ("-n", FRONTEND[1], f"deployment/{FRONTEND[2]}-ui")
    in_proxy = ("-n", PROXY[1], f"deployment/{PROXY[2]}-proxy")
    assert _status(in_proxy, f"{endpoint}/models") == "401"
    assert _status(in_page, f"{endpoint}/models") == "none"


def _status(where: tuple[str, ...], url: str) -> str:
    """HTTP status that a pod gets, or `none` when there is no answer."""
    program = (
        "import sys, urllib.error, urllib.request as r\n"
        "try: print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=5).status)\n"
        "except urllib.error.HTTPError as e: print(e.code)\n"
        "except OSError: print('none')\n"
    )
    return kubectl("exec", *where, "--", "python", "-c", program, url).strip()
