"""OpenInference for Python: Arize's instrumentations of the OpenAI and Anthropic clients."""

from openinference.instrumentation.anthropic import AnthropicInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

from conversation import converse_with_clients, run_cases, tracer_provider

provider = tracer_provider()
OpenAIInstrumentor().instrument(tracer_provider=provider)
AnthropicInstrumentor().instrument(tracer_provider=provider)

run_cases(converse_with_clients, provider.force_flush)
