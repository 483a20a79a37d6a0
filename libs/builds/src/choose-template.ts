import { CestxError, type BuildSettings } from '#contracts';

import { findFile, type SourceTree } from './source-tree.ts';

export const templateNames = ['node', 'python', 'go', 'dockerfile', 'image'] as const;
export type TemplateName = (typeof templateNames)[number];

/** The files that tell a template, the most telling first: who writes a Dockerfile wants it to be used. */
const detected: readonly (readonly [TemplateName, readonly string[]])[] = [
  ['dockerfile', ['Dockerfile']],
  ['go', ['go.mod']],
  ['python', ['requirements.txt', 'pyproject.toml', 'uv.lock', 'Pipfile.lock', 'Pipfile', 'manage.py']],
  ['node', ['package.json']],
  ['python', ['main.py', 'app.py']],
];
const tellingFiles = detected.flatMap(([, files]) => files);

/** The template to build with and why; guessed from the files when none was asked for. */
export function chooseTemplate(
  tree: SourceTree,
  { template: wanted, image }: Pick<BuildSettings, 'template' | 'image'>,
): { template: TemplateName; reason: string } {
  if (image !== undefined || wanted === 'image') return chooseImage(wanted, image);
  if (wanted !== undefined) {
    const template = templateNames.find((name) => name === wanted);
    if (template) return { template, reason: 'the manifest names it' };
    throw new CestxError(
      'bad-request',
      `There is no template "${wanted}"; there are ${templateNames.join(', ')}.`,
    );
  }
  const found = detected.flatMap(([template, files]) =>
    files.filter((file) => findFile(tree, file)).map((file) => ({ template, file })),
  );
  // A front end often lies beside a program of another language: its package.json alone does not say what runs.
  const [first] = found;
  if (first) {
    const other = found.find(({ template }) => template !== first.template);
    const beside = other
      ? ` (and a ${other.file}: name "template: ${other.template}" in function.yaml to use that)`
      : '';
    return { template: first.template, reason: `there is a ${first.file}${beside}` };
  }
  throw new CestxError('bad-request', `No template fits this source: ${whatIsThere(tree)}.`);
}

function chooseImage(
  wanted: string | undefined,
  image: string | undefined,
): ReturnType<typeof chooseTemplate> {
  if (image === undefined) {
    throw new CestxError(
      'bad-request',
      'template: image runs an image; name it in function.yaml, as "image: …".',
    );
  }
  if (wanted !== undefined && wanted !== 'image') {
    throw new CestxError(
      'bad-request',
      `function.yaml names the template "${wanted}" and an image; leave one of them out.`,
    );
  }
  return { template: 'image', reason: 'the manifest names an image' };
}

/** The commonest reason is an archive of the folder itself instead of what is in it. */
function whatIsThere(tree: SourceTree): string {
  const tops = new Set(tree.files.map((file) => file.path.split('/')[0]));
  const [only] = tops;
  const nested = tree.files.find((file) =>
    tellingFiles.some((name) => file.path.split('/').slice(1).join('/') === name),
  );
  if (tops.size === 1 && nested) {
    return `everything lies in the folder "${only}"; pack what is inside it`;
  }
  return `at its top is none of ${tellingFiles.join(', ')}`;
}
