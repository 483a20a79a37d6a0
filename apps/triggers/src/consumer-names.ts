import { appSubject, callSubject, type EventTriggerSettings, type TriggerSettings } from '#contracts';
import { streamNames } from '#messaging';

export interface FunctionKey {
  readonly project: string;
  readonly function: string;
}

/** User events. */
export const appStream = streamNames.app;
/** Work that is for one function only and waits for it. */
export const callsStream = streamNames.calls;

/** Names of functions hold no underscore, so these are never of two. */
export function durableOf(key: FunctionKey, triggerId: string): string {
  return `${key.project}_${key.function}_${triggerId}`;
}

export function callDurable(key: FunctionKey): string {
  return `call_${key.project}_${key.function}`;
}

export function streamOf(settings: TriggerSettings): string {
  if (settings.kind === 'schedule') return callsStream;
  return settings.kind === 'stream' ? settings.stream : appStream;
}

export function subjectsOf(key: FunctionKey, settings: EventTriggerSettings): string[] {
  return settings.kind === 'stream'
    ? settings.subject
    : settings.subject.map((topic) => appSubject(key.project, topic));
}

export function callSubjects(key: FunctionKey): string[] {
  return [callSubject(key.project, key.function)];
}

/** Milliseconds a message is held before the broker hands it to somebody else; prolonged while it is being worked on. */
export const leaseMs = 30_000;
