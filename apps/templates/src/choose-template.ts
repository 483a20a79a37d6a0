import { CestxError } from '#contracts';

import { findFile, type SourceTree } from './archive/source-tree.ts';

export const templateNames = ['node', 'dockerfile'] as const;
export type TemplateName = 'node' | 'dockerfile' | 'python' | 'go' | 'image';

/** The template to build with and why; guessed from the files when none was asked for. */
export function chooseTemplate(
  tree: SourceTree,
  wanted: string | undefined,
): { template: TemplateName; reason: string } {
  if (wanted !== undefined) {
    const template = templateNames.find((name) => name === wanted);
    if (template) return { template, reason: 'the manifest names it' };
    throw new CestxError(
      'bad-request',
      `There is no template "${wanted}"; there are ${templateNames.join(' and ')}.`,
    );
  }
  if (findFile(tree, 'Dockerfile')) return { template: 'dockerfile', reason: 'there is a Dockerfile' };
  if (findFile(tree, 'package.json')) return { template: 'node', reason: 'there is a package.json' };
  throw new CestxError('bad-request', `No template fits this source: ${whatIsThere(tree)}.`);
}

/** The commonest reason is an archive of the folder itself instead of what is in it. */
function whatIsThere(tree: SourceTree): string {
  const tops = new Set(tree.files.map((file) => file.path.split('/')[0]));
  const [only] = tops;
  const nested = tree.files.find((file) => /^[^/]+\/(Dockerfile|package\.json)$/.test(file.path));
  if (tops.size === 1 && nested) {
    return `everything lies in the folder "${only}"; pack what is inside it`;
  }
  return 'it has neither a Dockerfile nor a package.json at its top';
}
