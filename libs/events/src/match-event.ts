import type { EventFilter } from '#contracts';

import type { EventAttributes } from './cloud-event.ts';

/** Whether an event passes a filter (the dialects of CloudEvents Subscriptions: exact, prefix, suffix, all, any, not). */
export function matchesEvent(filter: EventFilter, attributes: EventAttributes): boolean {
  const every = (
    wanted: Readonly<Record<string, string>> | undefined,
    test: (value: string, wanted: string) => boolean,
  ) =>
    Object.entries(wanted ?? {}).every(([name, text]) => {
      const value = attributes[name];
      return value !== undefined && test(value, text);
    });
  return (
    every(filter.exact, (value, text) => value === text) &&
    every(filter.prefix, (value, text) => value.startsWith(text)) &&
    every(filter.suffix, (value, text) => value.endsWith(text)) &&
    (filter.all ?? []).every((each) => matchesEvent(each, attributes)) &&
    (filter.any === undefined || filter.any.some((each) => matchesEvent(each, attributes))) &&
    !(filter.not && matchesEvent(filter.not, attributes))
  );
}
