import { SpanStatusCode, trace } from '@opentelemetry/api';

/** Shows one phase of a build as a span of its own. */
export async function inSpan<T>(phase: string, work: () => Promise<T>): Promise<T> {
  return await trace.getTracer('cestx').startActiveSpan(`build ${phase}`, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({
        code: SpanStatusCode.ERROR,
        message: error instanceof Error ? error.message : String(error),
      });
      throw error;
    } finally {
      span.end();
    }
  });
}
