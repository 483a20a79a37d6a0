export { createClient } from './client.ts';
export type {
  Client,
  ClientOptions,
  DeadLetterQuery,
  Invocation,
  List,
  LogsQuery,
  ScaleChange,
  StatsQuery,
} from './client.ts';
export type {
  Accepted,
  DeadLetter,
  Deployment,
  FunctionDescription,
  LogLine,
  Machine,
  MachineSample,
  PlatformHealth,
  Problem,
  RevisionDescription,
  RoomHealth,
  Route,
  ScaleDecision,
  Span,
  Template,
  Trace,
  Trigger,
} from './generated.ts';
export { ProblemError } from './problem-error.ts';
export { packSource, SourceError, type PackedSource } from './pack-source.ts';
export { DeploymentProgress, type ProgressOptions } from './render-progress.ts';
export { renderFailure, renderStep } from './render-steps.ts';
export { harmless, paint, renderBytes, renderDuration, styleFor, type Style } from './render-style.ts';
export { renderFacts, renderTable, type Column } from './render-table.ts';
export { renderWaterfall } from './render-waterfall.ts';
