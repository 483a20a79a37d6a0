import { renderWaterfall } from '#client';

import { UsageError } from './explain-error.ts';
import type { Session } from './session.ts';

/** Every hop of one trace. */
export async function trace(
  session: Session,
  given: string,
  options: { queries?: boolean },
): Promise<number> {
  const id = /^(?:00-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?$/i.exec(given)?.[1]?.toLowerCase();
  if (!id) throw new UsageError(`"${given}" is neither a trace id (32 hex digits) nor a traceparent.`);
  const found = await session.client.getTrace(id);
  if (session.json) session.printJson(found);
  else session.print(renderWaterfall(found.spans, session.style, options));
  return 0;
}
