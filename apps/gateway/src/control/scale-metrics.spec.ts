import { expect, it } from 'vitest';

import type { ScaleDecision } from '#contracts';

import { ScaleMetrics } from './scale-metrics.ts';

it('counts decisions by direction and shows the inputs of the last', () => {
  const metrics = new ScaleMetrics();
  const decision: ScaleDecision = {
    project: 'default',
    function: 'f',
    revision: 'f-v1',
    from: 1,
    to: 3,
    metric: 'concurrency',
    value: 10,
    panicValue: 28,
    target: 10,
    panic: true,
    reason: '',
  };
  metrics.hear(decision);
  metrics.hear({ ...decision, from: 3, to: 4 });
  metrics.hear({ ...decision, from: 4, to: 2, value: 19, panic: false });
  expect(metrics.render().match(/^cestx.*$/gm)).toEqual([
    'cestx_scale_decisions_total{project="default",function_name="f",direction="up"} 2',
    'cestx_scale_decisions_total{project="default",function_name="f",direction="down"} 1',
    'cestx_scale_wanted_machines{project="default",function_name="f"} 2',
    'cestx_scale_calls{project="default",function_name="f"} 19',
    'cestx_scale_target_calls{project="default",function_name="f"} 10',
  ]);
});
