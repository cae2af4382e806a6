"""Logfire's instrumentations of the OpenAI and Anthropic clients, sent over OTLP instead of to Logfire."""

import logfire
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from conversation import converse_with_clients, run_cases

logfire.configure(
    send_to_logfire=False,
    console=False,
    service_name="weather-app",
    metrics=False,
    additional_span_processors=[BatchSpanProcessor(OTLPSpanExporter())],
)
logfire.instrument_openai()
logfire.instrument_anthropic()

run_cases(converse_with_clients, trace.get_tracer_provider().force_flush)
