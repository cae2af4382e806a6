"""Pydantic AI: an agent with its own instrumentation on the standard SDK; it runs its tools itself."""

import os

from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.instrumented import InstrumentationSettings

from conversation import message_content, run_cases, tracer_provider

provider = tracer_provider()
settings = {"tracer_provider": provider, "include_content": True}
if "PYDANTIC_AI_FORMAT" in os.environ:
    settings["version"] = int(os.environ["PYDANTIC_AI_FORMAT"])
Agent.instrument_all(InstrumentationSettings(**settings))


def model_of(scripted, url):
    if scripted["provider"] == "anthropic":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        client = AsyncAnthropic(api_key="sk-stand-in", base_url=url, max_retries=0)
        return AnthropicModel(scripted["model"], provider=AnthropicProvider(anthropic_client=client))
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(api_key="sk-stand-in", base_url=f"{url}/v1", max_retries=0)
    kind = OpenAIResponsesModel if scripted["api"] == "openai.responses" else OpenAIChatModel
    return kind(scripted["model"], provider=OpenAIProvider(openai_client=client))


def converse(_name, scripted, url):
    agent = Agent(model_of(scripted, url), name="weather_agent", system_prompt=scripted.get("system", ()))
    if "tool" in scripted:

        @agent.tool_plain(name=scripted["tool"]["name"], description=scripted["tool"]["description"])
        def get_weather(city: str) -> str:
            return scripted["toolResult"]

    prompt = scripted["user"]
    if "image" in scripted:
        source = message_content({**scripted, "provider": "anthropic"})[0]["source"]
        from base64 import b64decode

        prompt = [scripted["user"], BinaryContent(b64decode(source["data"]), media_type=source["media_type"])]
    model_settings = {}
    if scripted.get("reasoning") and scripted["provider"] == "anthropic":
        model_settings["anthropic_thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if scripted.get("stream"):
        return stream(agent, prompt)
    return agent.run_sync(prompt, model_settings=model_settings)


def stream(agent, prompt):
    import asyncio

    async def read():
        async with agent.run_stream(prompt) as run:
            return [text async for text in run.stream_text()]

    return asyncio.run(read())


run_cases(converse, provider.force_flush)
