export { readTraceparent, TraceBudget, traceCall } from './call-trace.ts';
export type { CallTrace } from './call-trace.ts';
export type { Target } from './endpoint-table.ts';
export type { Call } from './forward-call.ts';
export { Invoker } from './invoker.ts';
export type { InvokerSettings } from './invoker.ts';
