import type { FeedSpanExporter } from './feed-span.exporter.ts';

interface TraceKeeping {
  exporter: FeedSpanExporter;
  flush(): Promise<unknown>;
  shutdown(): Promise<unknown>;
}

let current: TraceKeeping | undefined;

/** Set by telemetry, when the process was started with it. */
export function keepTraces(keeping: TraceKeeping): void {
  current = keeping;
}

export function traceKeeping(): TraceKeeping | undefined {
  return current;
}
