"""OpenInference of LangChain: chat models called through their LangChain classes, tools by hand."""

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from openinference.instrumentation.langchain import LangChainInstrumentor

from conversation import in_one_trace, message_content, run_cases, system_content, tracer_provider

provider = tracer_provider()
LangChainInstrumentor().instrument(tracer_provider=provider)


def model_of(scripted, url):
    if scripted["provider"] == "anthropic":
        from langchain_anthropic import ChatAnthropic

        settings = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if scripted.get("reasoning") else {}
        return ChatAnthropic(
            model=scripted["model"], base_url=url, api_key="sk-stand-in", max_retries=0, max_tokens=2048, **settings
        )
    from langchain_openai import ChatOpenAI

    settings = {"reasoning_effort": "medium"} if scripted.get("reasoning") else {}
    return ChatOpenAI(
        model=scripted["model"],
        base_url=f"{url}/v1",
        api_key="sk-stand-in",
        max_retries=0,
        stream_usage=True,
        use_responses_api=scripted["api"] == "openai.responses",
        **settings,
    )


def converse(_name, scripted, url):
    model = model_of(scripted, url)
    if "tool" in scripted:
        model = model.bind_tools([{"type": "function", "function": scripted["tool"]}])
    messages = []
    if "system" in scripted:
        messages.append(SystemMessage(system_content(scripted)))
    messages.append(HumanMessage(human_content(scripted)))
    if scripted.get("stream"):
        return list(model.stream(messages))
    first = model.invoke(messages)
    if "toolResult" not in scripted:
        return first
    result = ToolMessage(scripted["toolResult"], tool_call_id=first.tool_calls[0]["id"])
    return model.invoke([*messages, first, result])


def human_content(scripted):
    if "image" not in scripted:
        return scripted["user"]
    if scripted["provider"] == "anthropic":
        return message_content(scripted)
    return [
        {"type": "text", "text": scripted["user"]},
        {"type": "image_url", "image_url": {"url": scripted["image"]}},
    ]


run_cases(
    lambda name, scripted, url: in_one_trace(scripted, lambda: converse(name, scripted, url)),
    provider.force_flush,
)
