"""Logfire's instrumentations of the OpenAI and Anthropic clients, sent where OTEL_EXPORTER_OTLP_ENDPOINT says
and not to Logfire."""

import logfire
from opentelemetry import trace

from conversation import converse_with_clients, run_cases

logfire.configure(
    send_to_logfire=False,
    console=False,
    service_name="weather-app",
    service_version="1.0.0",
    metrics=False,
)
logfire.instrument_openai()
logfire.instrument_anthropic()

run_cases(converse_with_clients, trace.get_tracer_provider().force_flush)
