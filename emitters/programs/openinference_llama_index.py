"""OpenInference of LlamaIndex: its chat model and its embedding of OpenAI, called as its engines do."""

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

from conversation import run_cases, tracer_provider

provider = tracer_provider()
LlamaIndexInstrumentor().instrument(tracer_provider=provider)


def converse(_name, scripted, url):
    settings = {"reasoning_effort": "medium"} if scripted.get("reasoning") else {}
    model = OpenAI(
        model=scripted["model"], api_base=f"{url}/v1", api_key="sk-stand-in", max_retries=0, **settings
    )
    messages = []
    if "system" in scripted:
        messages.append(ChatMessage(role="system", content=scripted["system"]))
    messages.append(ChatMessage(role="user", content=scripted["user"]))
    if scripted.get("stream"):
        return list(model.stream_chat(messages, stream_options={"include_usage": True}))
    return model.chat(messages)


run_cases(converse, provider.force_flush)
