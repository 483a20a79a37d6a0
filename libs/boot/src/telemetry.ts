/**
 * Loaded with `node --import` before anything else, so that pg, http and undici are instrumented when they are first required.
 * Finished spans go to the kept traces (a feed on the broker) and, when OTEL_EXPORTER_OTLP_ENDPOINT is set, to an OTLP collector.
 */
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { startNodeSDK } from '@opentelemetry/sdk-node';
import { BatchSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace';

import { FeedSpanExporter } from './feed-span.exporter.ts';
import { RoomSpanExporter, RoomSpanProcessor } from './room-span.processor.ts';
import { keepTraces } from './trace-keeping.ts';

const exporter = new FeedSpanExporter();
const spanProcessors: SpanProcessor[] = [
  new RoomSpanProcessor(),
  new BatchSpanProcessor({
    exporter,
    scheduledDelayMillis: 300,
    maxQueueSize: 16_384,
    maxExportBatchSize: 512,
  }),
];
if (process.env['OTEL_EXPORTER_OTLP_ENDPOINT']) {
  spanProcessors.push(new BatchSpanProcessor({ exporter: new RoomSpanExporter(new OTLPTraceExporter()) }));
}

const sdk = startNodeSDK({
  resourceAttributes: { 'service.name': 'cestx' },
  resourceDetectors: [],
  spanProcessors,
  metricReaders: [],
  logRecordProcessors: [],
  instrumentations: [
    // Calls to functions pass the gateway's own, cheaper, spans; so incoming requests are not instrumented here.
    new HttpInstrumentation({
      disableIncomingRequestInstrumentation: true,
      requireParentforOutgoingSpans: true,
      // The container engine on its socket: driver and builder have spans that say what they ask it for.
      ignoreOutgoingRequestHook: (request) => 'socketPath' in request && Boolean(request.socketPath),
    }),
    new UndiciInstrumentation({ requireParentforSpans: true }),
    new PgInstrumentation({ requireParentSpan: true, ignoreConnectSpans: true }),
  ],
});

keepTraces({
  exporter,
  flush: () => Promise.all(spanProcessors.map((processor) => processor.forceFlush())),
  shutdown: () => sdk.shutdown(),
});
