const longestId = 128;

/** The call and the trace a JSON line says it belongs to, under the names loggers use. Any other line has neither. */
export function readLineFields(text: string): { callId: string | null; traceId: string | null } {
  const fields = text.startsWith('{') ? parse(text) : {};
  return {
    callId: idIn(fields['callId'] ?? fields['call_id']),
    traceId: idIn(fields['traceId'] ?? fields['trace_id']),
  };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function idIn(value: unknown): string | null {
  if (typeof value !== 'string' || value.length === 0 || value.length > longestId) return null;
  // Kept beside what was said, never instead of it: what is no plain token is only noise in a column.
  return /^[\x21-\x7e]+$/.test(value) ? value : null;
}
