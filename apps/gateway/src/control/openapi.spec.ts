import { readFile } from 'node:fs/promises';

import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';

import { openapiDocument } from './openapi.ts';
import { operations } from './operations.ts';
import { renderClient } from './render-client.ts';
import { DeploymentsController } from './deployments.controller.ts';
import { EventsController } from './events.controller.ts';
import { FunctionsController } from './functions.controller.ts';
import { LogsController } from './logs.controller.ts';
import { MachinesController } from './machines.controller.ts';
import { RunningController } from './running.controller.ts';
import { OPERATION } from './serves.decorator.ts';
import { TemplatesController } from './templates.controller.ts';
import { TracesController } from './traces.controller.ts';

const controllers = [
  DeploymentsController,
  EventsController,
  FunctionsController,
  LogsController,
  MachinesController,
  TemplatesController,
  RunningController,
  TracesController,
];

describe('the description of the control plane', () => {
  it('describes every operation that is served, and every described operation is served once', () => {
    const served = controllers.flatMap(({ prototype }) =>
      Object.getOwnPropertyNames(prototype).flatMap((name) => {
        const method = Object.getOwnPropertyDescriptor(prototype, name)?.value as object;
        const operation: unknown = Reflect.getMetadata(OPERATION, method);
        return operation ? [operation] : [];
      }),
    );
    expect(new Set(served)).toEqual(new Set(Object.values(operations)));
    expect(served).toHaveLength(Object.keys(operations).length);
  });

  it('has a parameter for each name in a path, and refers only to shapes it holds', () => {
    const document = openapiDocument();
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const operation of Object.values(methods)) {
        const named = [...path.matchAll(/\{([A-Za-z]+)\}/g)].map(([, name]) => name);
        const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
        expect(inPath.map((parameter) => parameter.name)).toEqual(named);
      }
    }
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/#\/components\/schemas\/([A-Za-z]+)/g)) {
      expect(document.components.schemas).toHaveProperty(name as string);
    }
    expect(text).not.toContain('"$defs"');
  });

  it('is what the client was made from', async () => {
    const path = new URL('../../../../libs/client/src/generated.ts', import.meta.url).pathname;
    const made = await format(renderClient(openapiDocument()), {
      ...(await resolveConfig(path)),
      filepath: path,
    });
    expect(await readFile(path, 'utf8'), 'run scripts/generate-client.ts').toBe(made);
  });
});
