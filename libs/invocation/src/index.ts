export { readTraceparent, TraceBudget, traceCall } from './call-trace.ts';
export type { CallTrace } from './call-trace.ts';
export type { Call } from './forward-call.ts';
export { Invoker } from './invoker.ts';
export type { InvokerSettings } from './invoker.ts';
export type { FunctionAnswer } from './sent-request.ts';
export type { Target } from './target.ts';
