import type { Deployment } from '#contracts';

import { endedSteps, renderRunningStep, renderStep } from './render-steps.ts';
import type { Style } from './render-style.ts';

export interface ProgressOptions {
  write: (text: string) => void;
  style: Style;
  /** A terminal, where the last line may be drawn again and again. */
  live: boolean;
}

/** Tells a deployment's steps while they happen: a turning line on a terminal, one plain line a step elsewhere. */
export class DeploymentProgress {
  readonly #options: ProgressOptions;
  #seen: Deployment | null = null;
  #timer: NodeJS.Timeout | null = null;
  #running: { name: string; since: number } | null = null;
  #frame = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  show(deployment: Deployment): void {
    const { style } = this.#options;
    for (const step of endedSteps(this.#seen, deployment)) this.#line(renderStep(step, style));
    this.#seen = deployment;
    const step = deployment.steps.find(({ state }) => state === 'running' || state === 'undoing');
    if (!step) this.#running = null;
    else if (this.#running?.name !== step.name) this.#running = { name: step.name, since: Date.now() };
    this.#draw();
    if (this.#options.live && !this.#timer) {
      this.#timer = setInterval(() => {
        this.#frame++;
        this.#draw();
      }, 100);
      this.#timer.unref();
    }
  }

  /** A line of its own between the steps, such as one of the build log. */
  note(text: string): void {
    this.#line(text);
    this.#draw();
  }

  end(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#running = null;
    this.#draw();
  }

  #line(text: string): void {
    this.#options.write(`${this.#options.live ? '\r\u001b[K' : ''}${text}\n`);
  }

  #draw(): void {
    if (!this.#options.live) return;
    const { style, write } = this.#options;
    const running = this.#running;
    write('\r\u001b[K');
    if (running) write(renderRunningStep(running.name, Date.now() - running.since, this.#frame, style));
  }
}
