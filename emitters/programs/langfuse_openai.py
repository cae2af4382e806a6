"""Langfuse for Python: its drop-in replacement of the OpenAI client, and its decorator around the Anthropic client."""

from langfuse import get_client, observe
from langfuse.openai import OpenAI

from conversation import converse_with_anthropic, converse_with_openai, run_cases

langfuse = get_client()


@observe(name="answer question")
def answer_question(client, scripted):
    return converse_with_openai(client, scripted)


def converse(_name, scripted, url):
    if scripted["provider"] == "anthropic":
        return observe_by_hand(scripted, url)
    client = OpenAI(api_key="sk-stand-in", base_url=f"{url}/v1", max_retries=0)
    if "toolResult" in scripted:
        return answer_question(client, scripted)
    return converse_with_openai(client, scripted)


@observe(as_type="generation", name="answer")
def observe_by_hand(scripted, url):
    """As Langfuse's documentation shows for a provider without a wrapper: usage types add up."""
    from anthropic import Anthropic

    client = Anthropic(api_key="sk-stand-in", base_url=url, max_retries=0)
    message = converse_with_anthropic(client, scripted)
    langfuse.update_current_generation(
        model=scripted["model"],
        input=[{"role": "user", "content": scripted["user"]}],
        output=message.content[0].text,
        usage_details={
            "input": message.usage.input_tokens,
            "output": message.usage.output_tokens,
            "cache_read_input_tokens": message.usage.cache_read_input_tokens,
            "cache_creation_input_tokens": message.usage.cache_creation_input_tokens,
        },
    )
    return message


run_cases(converse, langfuse.flush)
