"""What every Python emitter program has in common: the cases as requests of the official clients, and the order
run, flush, next. A program is told by its environment where the model stand-in and the collector are."""

import json
import os
import re
from urllib.request import Request, urlopen

MODEL_URL = os.environ["MODEL_URL"]
CONTROL_URL = os.environ["CONTROL_URL"]


def run_cases(converse, flush):
    """Runs the cases one after the other. A failed call is part of a case; anything else that is raised ends the
    program. `converse(name, scripted, base_url)` speaks with the model, `flush` exports all that is known."""
    with urlopen(f"{MODEL_URL}/cases.json") as response:
        cases = json.load(response)
    for name in os.environ["CASE_NAMES"].split(","):
        scripted = cases[name]
        control("begin", name)
        try:
            converse(name, scripted, f"{MODEL_URL}/{name}")
        except Exception:
            if "failure" not in scripted:
                raise
        flush()
        control("end", name)


def control(verb, name):
    urlopen(Request(f"{CONTROL_URL}/{verb}/{name}", method="POST")).close()


def tracer_provider():
    """The SDK's provider with its OTLP/HTTP exporter, set up by OTEL_* variables, registered globally."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def in_one_trace(scripted, converse):
    """A conversation of several calls belongs to one trace, as in an application that traces its own requests."""
    if "toolResult" not in scripted:
        return converse()
    from opentelemetry import trace

    with trace.get_tracer("weather-app", "1.0.0").start_as_current_span("answer question"):
        return converse()


def converse_with_clients(_name, scripted, url):
    """Any case through the official client of its provider."""
    if scripted["provider"] == "anthropic":
        from anthropic import Anthropic

        client = Anthropic(api_key="sk-stand-in", base_url=url, max_retries=0)
        return in_one_trace(scripted, lambda: converse_with_anthropic(client, scripted))
    from openai import OpenAI

    client = OpenAI(api_key="sk-stand-in", base_url=f"{url}/v1", max_retries=0)
    return in_one_trace(scripted, lambda: converse_with_openai(client, scripted))


def converse_with_openai(client, scripted):
    if scripted["api"] == "openai.embeddings":
        return client.embeddings.create(model=scripted["model"], input=scripted["user"], encoding_format="float")
    if scripted["api"] == "openai.responses":
        return converse_in_responses(client, scripted)
    return converse_in_chat(client, scripted)


def converse_in_chat(client, scripted):
    messages = []
    if "system" in scripted:
        messages.append({"role": "system", "content": scripted["system"]})
    messages.append({"role": "user", "content": chat_content(scripted)})
    request = {"model": scripted["model"], "messages": messages}
    if scripted.get("reasoning"):
        request["reasoning_effort"] = "medium"
    if "schema" in scripted:
        json_schema = {"name": "capital", "schema": scripted["schema"], "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    if "tool" in scripted:
        request["tools"] = [{"type": "function", "function": scripted["tool"]}]
    if scripted.get("stream"):
        return list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    first = client.chat.completions.create(**request)
    if "toolResult" not in scripted:
        return first
    message = first.choices[0].message
    call = message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": scripted["toolResult"]}
    asked = message.model_dump(exclude_none=True)
    return client.chat.completions.create(**{**request, "messages": [*messages, asked, result]})


def chat_content(scripted):
    if "image" not in scripted:
        return scripted["user"]
    return [
        {"type": "text", "text": scripted["user"]},
        {"type": "image_url", "image_url": {"url": scripted["image"]}},
    ]


def converse_in_responses(client, scripted):
    turns = [{"role": "user", "content": scripted["user"]}]
    request = {"model": scripted["model"]}
    if "system" in scripted:
        request["instructions"] = scripted["system"]
    if scripted.get("reasoning"):
        request["reasoning"] = {"effort": "medium", "summary": "auto"}
    if "tool" in scripted:
        request["tools"] = [{"type": "function", **scripted["tool"], "strict": True}]
    if scripted.get("stream"):
        return list(client.responses.create(**request, input=turns, stream=True))
    first = client.responses.create(**request, input=turns)
    if "toolResult" not in scripted:
        return first
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": scripted["toolResult"]}
    return client.responses.create(**request, input=[*turns, call.model_dump(exclude_none=True), result])


def converse_with_anthropic(client, scripted):
    messages = [{"role": "user", "content": message_content(scripted)}]
    request = {"model": scripted["model"], "max_tokens": 2048}
    if "system" in scripted:
        request["system"] = system_content(scripted)
    if scripted.get("reasoning"):
        request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if "tool" in scripted:
        tool = scripted["tool"]
        schema = tool["parameters"]
        request["tools"] = [{"name": tool["name"], "description": tool["description"], "input_schema": schema}]
    if scripted.get("stream"):
        return list(client.messages.create(**request, messages=messages, stream=True))
    first = client.messages.create(**request, messages=messages)
    if "toolResult" not in scripted:
        return first
    call = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": scripted["toolResult"]}
    asked = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
    return client.messages.create(**request, messages=[*messages, asked, {"role": "user", "content": [result]}])


def system_content(scripted):
    if not scripted.get("cached"):
        return scripted["system"]
    return [{"type": "text", "text": scripted["system"], "cache_control": {"type": "ephemeral"}}]


def message_content(scripted):
    if "image" not in scripted:
        return scripted["user"]
    media_type, data = re.match(r"data:([^;]+);base64,(.+)", scripted["image"]).groups()
    source = {"type": "base64", "media_type": media_type, "data": data}
    return [{"type": "image", "source": source}, {"type": "text", "text": scripted["user"]}]
