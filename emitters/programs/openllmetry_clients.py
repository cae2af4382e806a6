"""OpenLLMetry for Python: Traceloop's instrumentations of OpenAI and Anthropic on the standard SDK."""

from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

from conversation import converse_with_clients, run_cases, tracer_provider

provider = tracer_provider()
OpenAIInstrumentor().instrument()
AnthropicInstrumentor().instrument()

run_cases(converse_with_clients, provider.force_flush)
