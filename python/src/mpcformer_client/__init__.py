"""Pipelines with transformers' names, answered privately by a gateway of mpcformer on this machine."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

import httpx

__all__ = ["GatewayError", "pipeline"]

URL = "http://127.0.0.1:7790"
Text = Union[str, list[str]]


class GatewayError(RuntimeError):
    """What the gateway answered instead: its words, and `status`, `code` and `param` where it told them."""

    def __init__(self, status: int, error: dict[str, Any]):
        super().__init__(error.get("message") or f"the gateway answered {status}")
        self.status = status
        self.code = error.get("code")
        self.param = error.get("param")


class _Gateway:
    def __init__(self, url: str, api_key: Optional[str], timeout: Optional[float]):
        headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        # The gateway is on this machine: no proxy of the environment may read a text.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)
        self._model: Optional[str] = None

    @property
    def model(self) -> str:
        if self._model is None:
            self._model = self._told(self._http.get("/v1/models"))["data"][0]["id"]
        return self._model

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        return self._told(self._http.post(path, json=body))

    @staticmethod
    def _told(response: httpx.Response) -> Any:
        try:
            told = response.json()
        except ValueError:
            told = {}
        if response.is_success:
            return told
        raise GatewayError(response.status_code, told.get("error", {}) if isinstance(told, dict) else {})


def _classification(gateway: _Gateway) -> Callable[..., list]:
    def classify(inputs: Text, top_k: Optional[int] = 1) -> list:
        """As transformers: the likeliest label of each text; with `top_k` other than 1, a list of labels for each (None: all)."""
        many = not isinstance(inputs, str)
        answers = gateway.ask("/predict", {"inputs": [[text] for text in (inputs if many else [inputs])]})
        if top_k == 1:
            return [answer[0] for answer in answers]
        cut = [answer if top_k is None else answer[:top_k] for answer in answers]
        return cut if many else cut[0]

    return classify


def _features(gateway: _Gateway) -> Callable[..., list]:
    def embed(inputs: Text, normalize: bool = False) -> list:
        """The vector of a text, or of each: of the whole text, pooled as the model does it."""
        vectors = gateway.ask("/embed", {"inputs": inputs, "normalize": normalize})
        return vectors[0] if isinstance(inputs, str) else vectors

    return embed


def _generation(gateway: _Gateway) -> Callable[..., list]:
    def generate(
        inputs: Union[str, list[dict[str, str]]],
        max_new_tokens: Optional[int] = None,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        num_return_sequences: int = 1,
        return_full_text: bool = True,
    ) -> list:
        """A text, or a conversation of messages with role and content, and how it goes on."""
        body: dict[str, Any] = {
            "model": gateway.model,
            "max_tokens": max_new_tokens,
            "n": num_return_sequences,
            "temperature": temperature if do_sample else 0,
        }
        if do_sample and top_p < 1:
            body["top_p"] = top_p
        if isinstance(inputs, str):
            choices = gateway.ask("/v1/completions", {**body, "prompt": inputs})["choices"]
            before = inputs if return_full_text else ""
            return [{"generated_text": before + choice["text"]} for choice in choices]
        choices = gateway.ask("/v1/chat/completions", {**body, "messages": inputs})["choices"]
        messages = [{"role": "assistant", "content": choice["message"]["content"]} for choice in choices]
        return [{"generated_text": [*inputs, one] if return_full_text else one["content"]} for one in messages]

    return generate


_TASKS: dict[str, Callable[[_Gateway], Callable[..., list]]] = {
    "text-classification": _classification,
    "sentiment-analysis": _classification,
    "feature-extraction": _features,
    "text-generation": _generation,
}


def pipeline(
    task: str, *, url: str = URL, api_key: Optional[str] = None, timeout: Optional[float] = None
) -> Callable[..., list]:
    """A function that answers one task by the gateway at `url`. `timeout`: seconds; none unless given, since MPC takes its time."""
    if task not in _TASKS:
        raise ValueError(f"no such task here: {task}; there are {', '.join(_TASKS)}")
    return _TASKS[task](_Gateway(url, api_key, timeout))
