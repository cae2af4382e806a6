"""OpenTelemetry's own instrumentation of OpenAI for Python, content on, with logs and metrics."""

from opentelemetry import _logs, metrics
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from conversation import converse_with_clients, run_cases, tracer_provider

spans = tracer_provider()
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
_logs.set_logger_provider(logs)
try:
    # Until 1.36 events had a provider of their own, over the one for logs.
    from opentelemetry import _events
    from opentelemetry.sdk._events import EventLoggerProvider

    _events.set_event_logger_provider(EventLoggerProvider(logs))
except ImportError:
    pass
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.set_meter_provider(meters)
OpenAIInstrumentor().instrument()


def flush():
    for provider in (spans, logs, meters):
        provider.force_flush()


run_cases(converse_with_clients, flush)
