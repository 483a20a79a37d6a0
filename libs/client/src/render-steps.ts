import type { Deployment } from '#contracts';

import { harmless, paint, renderDuration, type Style } from './render-style.ts';

type Step = Deployment['steps'][number];
type DeploymentError = NonNullable<Deployment['error']>;

const spinner = { unicode: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'], ascii: ['|', '/', '-', '\\'] };
const nameWidth = 16;

/** A step that has ended (or is only named), as one line. */
export function renderStep(step: Step, style: Style): string {
  const name = step.name.padEnd(nameWidth);
  const time = step.ms === null ? '' : renderDuration(step.ms).padStart(9);
  switch (step.state) {
    case 'done':
      return `  ${paint(style.unicode ? '✓' : '+', 'green', style)} ${name}${time}`;
    case 'failed':
      return `  ${paint(style.unicode ? '✗' : 'x', 'red', style)} ${name}${time}`;
    case 'undone':
      return `  ${paint(style.unicode ? '↩' : '<', 'yellow', style)} ${name}${time} ${paint('undone', 'dim', style)}`;
    case 'undoing':
      return `  ${paint(style.unicode ? '↩' : '<', 'yellow', style)} ${name}${' '.repeat(9)} undoing`;
    case 'running':
    case 'pending':
      return `  ${paint(style.unicode ? '·' : '.', 'dim', style)} ${name}`.trimEnd();
  }
}

/** The line of a step that is under way; `frame` counts up with the spinner. */
export function renderRunningStep(name: string, elapsedMs: number, frame: number, style: Style): string {
  const frames = style.unicode ? spinner.unicode : spinner.ascii;
  const sign = frames[frame % frames.length] ?? '';
  return `  ${paint(sign, 'cyan', style)} ${name.padEnd(nameWidth)}${renderDuration(elapsedMs).padStart(9)}`;
}

/** What changed between two looks at a deployment: each step that ended, in the order it did. */
export function endedSteps(before: Deployment | null, after: Deployment): Step[] {
  const earlier = new Map(before?.steps.map((step) => [step.name, step.state]));
  const ended = after.steps.filter(
    (step) => ['done', 'failed', 'undone'].includes(step.state) && earlier.get(step.name) !== step.state,
  );
  // Undo runs backwards.
  const undone = ended.filter((step) => step.state === 'undone').reverse();
  return [...ended.filter((step) => step.state !== 'undone'), ...undone];
}

/** The failed step, why, the end of the log that explains it, and what to do about it. */
export function renderFailure(error: DeploymentError, help: string | null, style: Style): string {
  const lines = [
    `${paint(`${error.step} failed:`, 'red', style)} ${harmless(error.message)} (${error.code})`,
  ];
  if (error.lastLines.length > 0) {
    const bar = style.unicode ? '│' : '|';
    lines.push('', ...error.lastLines.map((line) => `  ${paint(bar, 'dim', style)} ${harmless(line)}`), '');
  }
  if (help) lines.push(help);
  return lines.join('\n');
}
