import type { BuildPlan, Language, PlanRequest } from './build-plan.ts';
import { planGo } from './plan-go.ts';
import { planNode } from './plan-node.ts';
import { planPython } from './plan-python.ts';

/** How a source of that language is built and started; throws `build-failed` with what is missing. */
export function planBuild(language: Language, request: PlanRequest): BuildPlan {
  return planners[language](request);
}

const planners: Record<Language, (request: PlanRequest) => BuildPlan> = {
  node: planNode,
  python: planPython,
  go: planGo,
};
