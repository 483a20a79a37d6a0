import { errorCodes } from '#contracts';

import type { OpenapiDocument, OpenapiOperation } from './openapi.ts';

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid var(--line); padding: .5rem 0; }
h2 { margin: 2rem 0 .5rem; text-transform: capitalize; } h3 { font: 600 1rem ui-monospace, monospace; margin: .5rem 0; }
h3 b { display: inline-block; min-width: 4.5rem; } table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .2rem .8rem .2rem 0; vertical-align: top; }
code, td:first-child { font-family: ui-monospace, monospace; font-size: .9em; } details pre { overflow-x: auto; }
`;

/** The description as one page that needs nothing else from anywhere. */
export function docsPage(document: OpenapiDocument): string {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const groups = Map.groupBy(all, ({ operation }) => operation.tags[0] ?? '');
  const sections = [...groups].map(
    ([tag, members]) =>
      `<h2>${escape(tag)}</h2>${members.map((one) => section(one.method, one.path, one.operation)).join('')}`,
  );
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<details id="schema-${name}"><summary><code>${name}</code></summary><pre>${escape(JSON.stringify(schema, null, 2))}</pre></details>`,
  );
  const errors = Object.entries(errorCodes).map(
    ([code, { http, help }]) =>
      `<tr id="${code}"><td>${code}</td><td>${http}</td><td>${escape(help)}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>CestX API</title><style>${style}</style><h1>CestX API</h1><p>${escape(document.info.description)}
Calls here need <code>Authorization: Bearer &lt;key&gt;</code> unless they say otherwise. The same as a document:
<a href="/openapi.json">/openapi.json</a>.</p>${sections.join('')}<h2>Shapes</h2>${schemas.join('')}
<h2>Errors</h2><table>${errors.join('')}</table></html>`;
}

function section(method: string, path: string, operation: OpenapiOperation): string {
  const rows = operation.parameters.map(
    ({ name, in: where, required, schema }) =>
      `<tr><td>${escape(name)}</td><td>${where}${required ? '' : ', optional'}</td><td>${typeOf(schema)}</td></tr>`,
  );
  const answers = Object.entries(operation.responses).map(([status, { description, content }]) => {
    const types = Object.entries(content).map(
      ([type, { schema }]) => `${type}${schema ? ` ${typeOf(schema)}` : ''}`,
    );
    return `<tr><td>${status}</td><td>${escape(description)}</td><td>${types.join('<br>')}</td></tr>`;
  });
  const open = operation.security ? ' <small>without a key</small>' : '';
  return `<section id="${operation.operationId}"><h3><b>${method.toUpperCase()}</b>${escape(path)}${open}</h3>
<p>${escape(operation.summary)}. ${escape(operation.description ?? '')}</p><table>${rows.join('')}${answers.join('')}</table></section>`;
}

function typeOf(schema: Record<string, unknown>): string {
  const name = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined;
  if (name) return `<a href="#schema-${name}">${name}</a>`;
  const choices = Array.isArray(schema['enum']) ? schema['enum'].map(String).join(' | ') : undefined;
  const fallback = schema['default'] === undefined ? '' : `, ${String(schema['default'])} when left out`;
  return escape(`${choices ?? String(schema['type'] ?? '')}${fallback}`);
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
