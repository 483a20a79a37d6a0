import { templateSchema } from '#contracts';

import { namedSchemas } from './named-schemas.ts';
import { inProject, json, named, none } from './operation-inputs.ts';
import { operation } from './operation.ts';

const parts = {
  source: {
    required: true,
    binary: true,
    description: 'A folder with template.yaml, Dockerfile and sample/, as tar.gz or zip.',
  },
};
const checked =
  'The answer comes before the check: its `check` says `checking`, and then `ready`, or `refused` and why. A version is used once it is ready.';

/** The calls about templates. */
export const templateOperations = {
  listTemplates: operation({
    method: 'GET',
    path: '/v1/templates',
    tag: 'templates',
    summary: 'List templates: those of the project, and those that are always there',
    params: none,
    query: inProject,
    status: 200,
    answers: { [json]: namedSchemas.TemplateList },
    errors: ['bad-request', 'unavailable'],
  }),
  getTemplate: operation({
    method: 'GET',
    path: '/v1/templates/:name',
    tag: 'templates',
    summary: 'Describe a template',
    params: named,
    query: inProject,
    status: 200,
    answers: { [json]: templateSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  createTemplate: operation({
    method: 'POST',
    path: '/v1/templates',
    tag: 'templates',
    summary: 'Create a template',
    description: checked,
    params: none,
    query: inProject,
    parts,
    status: 202,
    answers: { [json]: templateSchema },
    errors: ['bad-request', 'invalid-template', 'invalid-archive', 'too-large', 'conflict', 'unavailable'],
  }),
  updateTemplate: operation({
    method: 'PUT',
    path: '/v1/templates/:name',
    tag: 'templates',
    summary: 'Make the next version of a template; what was built stays as it is',
    description: checked,
    params: named,
    query: inProject,
    parts,
    status: 202,
    answers: { [json]: templateSchema },
    errors: [
      'bad-request',
      'invalid-template',
      'invalid-archive',
      'too-large',
      'not-found',
      'conflict',
      'unavailable',
    ],
  }),
  deleteTemplate: operation({
    method: 'DELETE',
    path: '/v1/templates/:name',
    tag: 'templates',
    summary: 'Delete a template that no function uses',
    params: named,
    query: inProject,
    status: 200,
    answers: { [json]: templateSchema },
    errors: ['bad-request', 'not-found', 'conflict', 'unavailable', 'timed-out'],
  }),
};
